import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { TIMEOUT_MS } from '../clients/testing/deadline.ts';
import { YOUNG_HALF_MIB } from './worker-heap.ts';

const MIB = 1024 * 1024;
const GROW = fileURLToPath(new URL('./testing/grow-young-generation.ts', import.meta.url));

/** Keeps V8 from making what always survives old at once: then nothing would fill the young generation. */
const EVERYTHING_BEGINS_YOUNG = '--no-allocation-site-pretenuring';

describe('the young generation of a thread', () => {
  it('grows beyond the bound when nothing bounds it', { timeout: TIMEOUT_MS }, async () => {
    expect(await grownMib([], 'main')).toBeGreaterThan(YOUNG_HALF_MIB);
  });

  it('is bounded in the main thread by a flag', { timeout: TIMEOUT_MS }, async () => {
    const flag = `--max-semi-space-size=${YOUNG_HALF_MIB}`;
    expect(await grownMib([flag], 'main')).toBeLessThanOrEqual(YOUNG_HALF_MIB);
  });

  it('is bounded in a worker thread by its limits', { timeout: TIMEOUT_MS }, async () => {
    expect(await grownMib([], 'worker')).toBeLessThanOrEqual(YOUNG_HALF_MIB);
  });
});

/** How large a half is after much has survived in a process of its own, in MiB. */
async function grownMib(flags: readonly string[], thread: 'main' | 'worker'): Promise<number> {
  const args = [EVERYTHING_BEGINS_YOUNG, ...flags, GROW, thread];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: {} });
  return Number(stdout) / MIB;
}
