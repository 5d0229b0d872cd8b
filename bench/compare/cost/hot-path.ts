import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WORKSPACE_NODE } from '@tradewind/dev';
import type { HotPathCost, HotPathLoad } from './hot-path-measurement.ts';

const PROGRAM = fileURLToPath(new URL('./hot-path-process.ts', import.meta.url));

/**
 * A young generation in MiB that is large enough to count allocations without a collection: a million deliveries of 100
 * bytes each take 95.
 */
const YOUNG_GENERATION_MIB = 512;

/** Measures the hot path in a process whose heap holds nothing else. */
export async function runHotPath(load: HotPathLoad): Promise<HotPathCost> {
  const { stdout } = await promisify(execFile)(WORKSPACE_NODE, [
    '--expose-gc',
    // Code is compiled once it is hot, also on a busy machine; otherwise boxed numbers count.
    '--single-threaded',
    `--min-semi-space-size=${YOUNG_GENERATION_MIB}`,
    `--max-semi-space-size=${YOUNG_GENERATION_MIB}`,
    PROGRAM,
    JSON.stringify(load),
  ]);
  return JSON.parse(stdout) as HotPathCost;
}
