import { startProcess, WORKSPACE_NODE } from '@tradewind/dev';
import { describe, expect, it } from 'vitest';
import { METERED, readMeter } from './metered-process.ts';

const ROUNDS = 400;
const ARRAYS = 2_000;
const ELEMENTS = 100;
/** An array has 4 words, its elements a word each and 2 more; V8 builds for Node have words of 8 bytes. */
const ARRAY_BYTES = (4 + ELEMENTS + 2) * 8;
const BYTES = ROUNDS * ARRAYS * ARRAY_BYTES;
/** What else a round needs: the list of its arrays, which grows. */
const FURTHER_SHARE = 0.05;

/** Allocates a known amount in small pieces, over many turns of its loop, on SIGHUP. */
const PROGRAM = `
  let kept = [];
  function round(left) {
    if (left === 0) { console.log('done'); return; }
    kept = Array.from({ length: ${ARRAYS} }, () => new Array(${ELEMENTS}).fill(left));
    setImmediate(round, left - 1);
  }
  setInterval(() => {}, 1000);
  process.on('SIGHUP', () => round(${ROUNDS}));
  console.log('ready');
`;

describe('readMeter', () => {
  it('counts what was allocated, over many collections', async () => {
    await using metered = await startProcess({
      name: 'metered',
      command: WORKSPACE_NODE,
      args: ['--eval', PROGRAM],
      env: { PATH: process.env.PATH, ...METERED },
      cwd: undefined,
    });
    const says = (word: string) => (line: string) => (line === word ? true : undefined);
    await metered.waitForLine(says('ready'), 20_000);
    const before = await readMeter(metered);
    metered.signal('SIGHUP');
    await metered.waitForLine(says('done'), 60_000);
    const after = await readMeter(metered);
    const bytes = after.heapBytes - before.heapBytes;
    expect(after.collections - before.collections).toBeGreaterThan(3);
    expect(bytes).toBeGreaterThan(BYTES);
    expect(bytes).toBeLessThan(BYTES * (1 + FURTHER_SHARE));
    expect(after.cpuMicros).toBeGreaterThan(before.cpuMicros);
  });
});
