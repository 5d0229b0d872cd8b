import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProcess, WORKSPACE_NODE } from '@tradewind/dev';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundSendBuffers } from './kernel-send-buffers.ts';

const MODULE = fileURLToPath(new URL('./kernel-send-buffers.ts', import.meta.url));
const BEFORE = '4096\t16384\t4194304\n';
const BOUNDED_DEADLINE_MS = 20_000;

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'send-buffers-'));
  path = join(folder, 'tcp_wmem');
  writeFileSync(path, BEFORE);
});

afterEach(() => rmSync(folder, { recursive: true }));

function sizes(): string[] {
  return readFileSync(path, 'utf8').trim().split(/\s+/);
}

describe('boundSendBuffers', () => {
  it('bounds them until it is disposed of', () => {
    const before = sizes();
    {
      using buffers = boundSendBuffers(path);
      expect(buffers).toMatchObject({ sizes: '4096 16384 131072', failure: undefined });
      expect(sizes().at(-1)).toBe('131072');
    }
    expect(sizes()).toEqual(before);
    expect(process.listeners('SIGINT').map(({ name }) => name)).not.toContain('restoreAndEnd');
  });

  it('says why it failed', () => {
    using buffers = boundSendBuffers(folder);
    expect(buffers.failure).toContain('EISDIR');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('restores them at %s', async (signal) => {
    const before = sizes();
    const script = `import { boundSendBuffers } from ${JSON.stringify(MODULE)};
      boundSendBuffers(${JSON.stringify(path)});
      setInterval(() => {}, 1_000);
      console.log('bounded');`;
    await using owner = await startProcess({
      name: 'owner',
      command: WORKSPACE_NODE,
      args: ['--input-type=module', '-e', script],
      env: process.env,
      cwd: undefined,
    });
    await owner.waitForLine((line) => line === 'bounded' || undefined, BOUNDED_DEADLINE_MS);
    expect(sizes().at(-1)).toBe('131072');
    owner.signal(signal);
    expect(await owner.exited).toEqual({ code: null, signal });
    expect(sizes()).toEqual(before);
  });
});
