import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { startMemoryReturn } from './malloc-trim.ts';

const PROGRAM = fileURLToPath(new URL('./testing/freed-memory.ts', import.meta.url));

interface FreedMemory {
  readonly freed: number;
  readonly returned: number;
}

describe('memory that is free', () => {
  it.runIf(process.platform === 'linux' && process.arch === 'x64')(
    'goes back to the system, which without it does not get it',
    async () => {
      const [control, measured] = await Promise.all([run('keeps'), run('returns')]);
      expect(control.returned).toBeLessThan(0.1 * control.freed);
      expect(measured.returned).toBeGreaterThanOrEqual(0.8 * measured.freed);
    },
    30_000,
  );

  it('says why it cannot be returned', () => {
    const broken = () => {
      throw new Error('no native code');
    };
    expect(() => startMemoryReturn(1, broken)).toThrow('no native code');
  });
});

async function run(what: 'keeps' | 'returns'): Promise<FreedMemory> {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, what], { env: {} });
  return JSON.parse(stdout);
}
