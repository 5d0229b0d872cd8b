import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { rename, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WatchedFiles } from './watched-files.ts';

const POLL_MS = 5;
const DEADLINE_MS = 10_000;
let folder: string;
let first: string;
let second: string;
let told: string[];
const opened: WatchedFiles<string>[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'watched-files-'));
  first = join(folder, 'first');
  second = join(folder, 'second');
  told = [];
  writeFileSync(first, '1');
  writeFileSync(second, '1');
});
afterEach(() => {
  for (const files of opened.splice(0)) files.stop();
  rmSync(folder, { recursive: true });
});

describe('WatchedFiles', () => {
  it('reads files that belong together, and again when one of them changes', async () => {
    const files = await open();
    expect(files.value).toBe('1');
    writeFileSync(first, '22');
    writeFileSync(second, '22');
    await untilTold(1);
    expect(files.value).toBe('22');
    expect(told).toEqual(['changed 22']);
  });

  it('keeps the previous value while the files do not go together, and tells it once', async () => {
    const files = await open();
    writeFileSync(first, '22');
    await untilTold(1);
    await sleep(10 * POLL_MS);
    expect(told).toEqual(['unusable 22 and 1']);
    expect(files.value).toBe('1');
    writeFileSync(second, '22');
    await untilTold(2);
    expect(files.value).toBe('22');
  });

  it('keeps the previous value while a file is missing', async () => {
    const files = await open();
    await rename(first, `${first}.old`);
    await untilTold(1);
    expect(told[0]).toMatch(/^unusable ENOENT/);
    expect(files.value).toBe('1');
    writeFileSync(second, '22');
    await rename(`${first}.old`, first);
    writeFileSync(first, '22');
    await untilTold(2);
    expect(files.value).toBe('22');
  });

  it('notices a link that leads to another file, as where secrets are mounted', async () => {
    const link = join(folder, 'link');
    await symlink(first, link);
    const files = await open([link, link]);
    writeFileSync(second, '3');
    await symlink(second, `${link}.new`);
    await rename(`${link}.new`, link);
    await untilTold(1);
    expect(files.value).toBe('3');
  });

  it('does not open what is not usable, and says why', async () => {
    writeFileSync(first, '2');
    await expect(open()).rejects.toThrow('2 and 1');
    await expect(open([join(folder, 'none'), second])).rejects.toThrow('ENOENT');
    writeFileSync(first, Buffer.alloc(1024 * 1024 + 1));
    await expect(open()).rejects.toThrow('has more than 1048576 bytes');
  });

  it('tells nothing once it is stopped', async () => {
    const files = await open();
    writeFileSync(first, '22');
    files.stop();
    await sleep(10 * POLL_MS);
    expect(told).toEqual([]);
  });
});

async function open(paths: readonly string[] = [first, second]): Promise<WatchedFiles<string>> {
  const files = await WatchedFiles.open({
    paths,
    parse([one, other]) {
      if (String(one) !== String(other)) throw new Error(`${one} and ${other}`);
      return String(one);
    },
    changed: (value) => told.push(`changed ${value}`),
    unusable: (cause) => told.push(`unusable ${cause}`),
    pollMs: POLL_MS,
  });
  opened.push(files);
  return files;
}

async function untilTold(count: number): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (told.length < count && performance.now() < deadline) await sleep(POLL_MS);
  expect(told.length).toBeGreaterThanOrEqual(count);
}
