import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { loadKernelSend } from './kernel-send.ts';

const TRY = fileURLToPath(new URL('./testing/available-call.ts', import.meta.url));

describe('loadKernelSend', () => {
  it('says that it is for Linux only, where its flags may be others', () => {
    expect(() => loadKernelSend('darwin')).toThrow('Linux only; this is darwin');
  });

  it('says why koffi does not load', () => {
    const broken = () => {
      throw new Error('no native code');
    };
    expect(() => loadKernelSend('linux', broken)).toThrow('no native code');
  });
});

describe('an edge that is asked to send', () => {
  it.runIf(process.platform === 'linux')(
    'writes where native code may not be loaded, and says why',
    async () => {
      expect(await availableIn(['--no-addons'])).toMatchObject({
        call: 'write',
        why: expect.stringMatching(/koffi|addons?/i),
      });
    },
  );

  it.runIf(process.platform === 'linux' && process.arch === 'x64')(
    'sends where it may',
    async () => {
      expect(await availableIn([])).toEqual({ call: 'send' });
    },
  );
});

async function availableIn(flags: readonly string[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, TRY], { env: {} });
  return JSON.parse(stdout);
}
