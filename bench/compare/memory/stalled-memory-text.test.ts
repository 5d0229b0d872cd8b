import { describe, expect, it } from 'vitest';
import type { Trial } from '../arena/arena.ts';
import type { EdgeMemory } from '../arena/edge-memory.ts';
import { PARTLY_STALLED } from '../speed/subjects.ts';
import type { LeavingRun, StalledResult, StalledRun } from './stalled-memory.ts';
import { describeStalled } from './stalled-memory-text.ts';

const MEGABYTE = 1e6;

function memory(pss: number): EdgeMemory {
  const inUse = { heapBytes: (pss / 4) * MEGABYTE, externalBytes: (pss / 4) * MEGABYTE };
  const anonymousBytes = (pss / 2) * MEGABYTE;
  return { pssBytes: pss * MEGABYTE, anonymousBytes, ...inUse, settled: true };
}

/** A run with these MB of PSS: after publishing, after a collection, and after the stalled clients left. */
function run(published: number, collected: number, left: number, p99: number): StalledRun {
  const latency = { p50: 1, p90: 1, p99, p999: 1, max: 1, samples: 1 };
  return {
    trial: { whole: true, latency, serverCore: 0.4, loadCore: 0.3 } as Trial,
    bytesTowardsEach: 10.5 * MEGABYTE,
    refusals: 0,
    slowDisconnects: 0,
    connections: 5_000,
    published: memory(published),
    publishedCollected: memory(collected),
    leftCollected: memory(left),
  };
}

/** A departure with these MB of PSS: before it, and at the last reading. */
function leaving(before: number, left: number, isBack: boolean, seconds: number): LeavingRun {
  return {
    trial: { whole: true } as Trial,
    refusals: 640_000,
    slowDisconnects: 0,
    publishedPssBytes: before * MEGABYTE,
    left: { pssBytes: left * MEGABYTE, isBack, seconds },
    leftCollected: memory(81),
  };
}

const RESULT: StalledResult = {
  shape: PARTLY_STALLED,
  seconds: 120,
  rounds: 1,
  stalledClients: 1_000,
  steadyClients: 4_000,
  tcpWmem: '4096 16384 65536',
  tcpWmemFailure: undefined,
  roundsMeasured: [
    {
      without: run(200, 80, 80, 20),
      withoutPublishingPssBytes: 190 * MEGABYTE,
      stalled: run(250, 120, 82, 21),
      reading: run(210, 88, 88, 30),
      leaving: leaving(255, 203, true, 31),
    },
  ],
};

describe('describeStalled', () => {
  it('says what each stalled client costs, and what remains after it has left', () => {
    const text = describeStalled(RESULT);
    expect(text).toMatch(/PSS, above no client: 50\.000/);
    expect(text).toMatch(/PSS, above a client that reads: 40\.000/);
    expect(text).toMatch(/PSS collected, above a client that reads: 32\.000/);
    expect(text).toMatch(/heap \+ external, above no client: 20\.000/);
    expect(text).toMatch(/they left.*PSS collected, above no client: 2\.000/s);
    expect(text).toMatch(/stalled \/ without them: 1\.050/);
    expect(text).toMatch(/stalled \/ all reading: 0\.700/);
  });

  it('shows what was returned without a collection, and when', () => {
    const text = describeStalled(RESULT);
    expect(text).toMatch(/PSS before they left, above no client: 55\.000/);
    expect(text).toMatch(/PSS held since 31 s after they left, above no client: 13\.000/);
    expect(text).toMatch(/PSS collected afterwards, above no client: 1\.000/);
    expect(text).toContain('in 1 of 1 rounds');
    const [round] = RESULT.roundsMeasured;
    const held = { ...round!, leaving: leaving(255, 240, false, 60) };
    const notBack = describeStalled({ ...RESULT, roundsMeasured: [held] });
    expect(notBack).toMatch(/held since 60 s after they left, above no client: 50\.000/);
    expect(notBack).toContain('in 0 of 1 rounds');
  });

  it('says whether the kernel’s send buffers were bounded', () => {
    expect(describeStalled(RESULT)).toContain('bounded: net.ipv4.tcp_wmem 4096 16384 65536');
    const failed = { ...RESULT, tcpWmem: '4096 16384 4194304', tcpWmemFailure: 'EROFS' };
    expect(describeStalled(failed)).toContain('NOT bounded: net.ipv4.tcp_wmem 4096 16384 4194304');
  });
});
