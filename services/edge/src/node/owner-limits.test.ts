import { describe, expect, it } from 'vitest';
import { readEdgeConfig } from '../config/config.ts';
import { addressLimits, subjectLimits } from './owner-limits.ts';

const config = (workers: number) => readEdgeConfig({ EDGE_WORKERS: String(workers) });

describe('the limits of one owner on one worker', () => {
  it('are those of the node where there is one worker', () => {
    expect(addressLimits(config(1))).toMatchObject({
      connections: 2_000,
      plain: 256,
      unidentified: 500,
      rates: {
        handshakes: { perSecond: 50, burst: 250 },
        channels: { perSecond: 1_000, burst: 2_000 },
      },
    });
    expect(subjectLimits(config(1))).toMatchObject({
      connections: 500,
      rates: { requests: { perSecond: 500, burst: 2_000 } },
    });
  });

  it('are divided by the workers, rounded up', () => {
    expect(addressLimits(config(3))).toMatchObject({
      connections: 667,
      plain: 86,
      unidentified: 167,
      rates: { handshakes: { perSecond: 17, burst: 84 } },
    });
    expect(subjectLimits(config(3)).connections).toBe(167);
  });

  it('are never narrower than those of one connection', () => {
    const { subscribeRate, replayRate, requestRate } = config(64);
    const { plain, rates } = addressLimits(config(64));
    expect(plain).toBe(4);
    expect(rates.channels).toEqual(subscribeRate);
    expect(rates.replay?.burst).toBe(replayRate.burst);
    expect(subjectLimits(config(64)).rates.requests).toEqual(requestRate);
  });
});
