import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../clients/testing/deadline.ts';
import { KeyFile } from './key-file.ts';
import { SECRET } from './testing/tokens.ts';

const POLL_MS = 5;
const folder = mkdtempSync(join(tmpdir(), 'tradewind-keys-'));
const path = join(folder, 'key');
const told: string[] = [];
const EVENTS = {
  keysRead: () => void told.push('read'),
  keysUnreadable: (_path: string, cause: string) => void told.push(`unreadable: ${cause}`),
};
let file: KeyFile | undefined;

afterEach(() => {
  file?.stop();
  told.length = 0;
  rmSync(path, { force: true });
});

describe('KeyFile', () => {
  it('does not open without usable keys', async () => {
    const open = () => KeyFile.open({ kind: 'secret', path }, EVENTS, POLL_MS);
    await expect(open()).rejects.toThrow('ENOENT');
    writeFileSync(path, 'short');
    await expect(open()).rejects.toThrow('at least 32 bytes');
  });

  it('reads the keys again when the file changes, and tells its listeners', async () => {
    writeFileSync(path, SECRET);
    file = await KeyFile.open({ kind: 'secret', path }, EVENTS, POLL_MS);
    const before = file.keys;
    let changes = 0;
    file.onChanged(() => {
      changes += 1;
    });
    writeFileSync(path, Buffer.alloc(40, 1));
    await until(() => told.length > 0, 'the new keys');
    expect(told).toEqual(['read']);
    expect(file.keys).not.toBe(before);
    expect(changes).toBe(1);
  });

  it('goes on with the previous keys while the file has none, and says so once', async () => {
    writeFileSync(path, SECRET);
    file = await KeyFile.open({ kind: 'secret', path }, EVENTS, POLL_MS);
    const before = file.keys;
    writeFileSync(path, 'short');
    await until(() => told.length > 0, 'the warning');
    rmSync(path);
    await until(() => told.length > 1, 'the second warning');
    expect(file.keys).toBe(before);
    writeFileSync(path, Buffer.alloc(50, 2));
    await until(() => told.length > 2, 'the new keys');
    expect(told).toEqual([
      expect.stringContaining('at least 32 bytes'),
      expect.stringContaining('ENOENT'),
      'read',
    ]);
  });

  it('looks no more once it is stopped', async () => {
    writeFileSync(path, SECRET);
    const [stopped, control] = await Promise.all([
      KeyFile.open(
        { kind: 'secret', path },
        { ...EVENTS, keysRead: () => void told.push('stopped') },
        POLL_MS,
      ),
      KeyFile.open({ kind: 'secret', path }, EVENTS, POLL_MS),
    ]);
    file = control;
    stopped.stop();
    writeFileSync(path, Buffer.alloc(40, 1));
    await until(() => told.length > 0, 'what the other one reads');
    expect(told).toEqual(['read']);
  });
});
