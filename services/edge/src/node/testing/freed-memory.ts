import { setTimeout as sleep } from 'node:timers/promises';
import { startMemoryReturn } from '../malloc-trim.ts';

/**
 * A program that frees memory of which the allocator returns none by itself, since what it allocated last stays in use. It
 * prints, in bytes, how much it freed and how much less it has then, as the system sees it. With the argument
 * `returns` it has its memory returned, and waits for most of it to go; otherwise it waits for a time in which that
 * would have happened many times.
 */
const PIECES = 1_250;
const PIECE_BYTES = 64 * 1024;
const INTERVAL_MS = 10;
const WAIT_MS = 500;
const DEADLINE_MS = 20_000;

const pieces = Array.from({ length: PIECES }, () => new Uint8Array(PIECE_BYTES).fill(1));
const kept = pieces.pop();
const freed = pieces.length * PIECE_BYTES;
const { rss: before } = process.memoryUsage();
for (const { buffer } of pieces) buffer.transfer(0);
const returned = (): number => before - process.memoryUsage().rss;
if (process.argv[2] === 'returns') {
  const memoryReturn = startMemoryReturn(INTERVAL_MS);
  const deadline = performance.now() + DEADLINE_MS;
  while (returned() < 0.8 * freed && performance.now() < deadline) await sleep(INTERVAL_MS);
  memoryReturn.stop();
} else {
  await sleep(WAIT_MS);
}
console.log(JSON.stringify({ freed, returned: returned(), kept: kept?.length }));
