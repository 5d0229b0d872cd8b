import { describe, expect, it } from 'vitest';
import type { Trial } from './arena.ts';
import type { BusyResult, BusyRun, QuietResult, TierUsage } from './checks-cost.ts';
import { describeBusy, describeQuiet } from './checks-cost-text.ts';
import { EDGE_WITH_CHECKS, EDGE_WITHOUT_CHECKS, QUIET, SPREAD, USUAL_HISTORY } from './subjects.ts';

function usage(heapBytes: number, calls: Readonly<Record<string, number>>): TierUsage {
  return {
    seconds: 10,
    edgeCpuSeconds: 0.02,
    heapBytes,
    collections: 5,
    collectingSeconds: 0.01,
    redis: { seconds: 10, cpuSeconds: 0.5, calls },
  };
}

/** A run of 10,000 publications that are 500,000 deliveries. */
function run(cpuMicrosPerDelivery: number, tier: TierUsage): BusyRun {
  const latency = { p50: 2, p90: 3, p99: 4, p999: 5, max: 6, samples: 1 };
  const trial = {
    ...{ whole: true, published: 10_000, received: 500_000, deliveriesPerSecond: 50_000 },
    ...{ cpuMicrosPerDelivery, latency, serverCore: 0.4, loadCore: 0.3 },
  } as Trial;
  return { trial, usage: tier };
}

const COMMON = {
  checked: EDGE_WITH_CHECKS,
  unchecked: EDGE_WITHOUT_CHECKS,
  sequenced: USUAL_HISTORY,
  pairs: 3,
  seconds: 10,
};
const RATIO = { median: 1.25, low: 1.1, high: 1.4, confidence: 0.75 };
const PUBLISHING = { evalsha: 10_000, publish: 10_000 };

const BUSY: BusyResult = {
  plan: { ...COMMON, shape: SPREAD, publicationsPerSecond: 1_000 },
  sides: [
    {
      label: 'checks on',
      runs: [4_000, 6_000, 5_000].map((mget) =>
        run(mget / 1_000, usage(mget * 50_000, { ...PUBLISHING, mget })),
      ),
    },
    { label: 'checks off', runs: [run(3, usage(1e8, PUBLISHING))] },
  ],
  ratios: [{ of: 'CPU per delivery', ratio: RATIO }],
};

const QUIET_RESULT: QuietResult = {
  plan: { ...COMMON, shape: QUIET, settleSeconds: 35 },
  sides: [
    { label: 'checks on', runs: [usage(2e6, { mget: 40, ping: 20 })] },
    { label: 'checks off', runs: [usage(1e6, { ping: 20 })] },
  ],
  ratios: [],
};

/** The cells of the line that begins with `name`. */
function row(text: string, name: string): readonly string[] | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name}  `));
  return line?.slice(name.length).trim().split(/ {2,}/);
}

describe('describeBusy', () => {
  const text = describeBusy(BUSY);

  it('gives medians, per delivery and per publication', () => {
    expect(row(text, 'checks on')).toEqual([
      ...['3 of 3', '50,000', '5', '500', '0.5', '50', '2', '4', '40 %', '30 %'],
    ]);
    expect(row(text, 'checks off')).toEqual([
      ...['1 of 1', '50,000', '3', '200', '0.5', '50', '2', '4', '40 %', '30 %'],
    ]);
  });

  it('lists what Redis executed, the most first, and what one side alone asks for', () => {
    expect(row(text, 'mget')).toEqual(['500', '0', '0.01', '0']);
    expect(row(text, 'all')).toEqual(['2,500', '2,000', '0.05', '0.04']);
    expect(text.indexOf('\nevalsha')).toBeLessThan(text.indexOf('\nmget'));
  });

  it('says what one side is to the other', () => {
    expect(text).toContain(
      'CPU per delivery, checks on / checks off: 1.250 (1.100 to 1.400, 75.0 %)',
    );
  });
});

describe('describeQuiet', () => {
  it('gives everything per second', () => {
    const text = describeQuiet(QUIET_RESULT);
    expect(text).toContain('10,000 channels');
    expect(row(text, 'checks on')).toEqual(['2', '200', '6', '50']);
    expect(row(text, 'checks off')).toEqual(['2', '100', '2', '50']);
    expect(row(text, 'mget')).toEqual(['4', '0']);
    expect(row(text, 'all')).toEqual(['6', '2']);
  });
});
