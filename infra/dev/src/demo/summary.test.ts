import { describe, expect, it } from 'vitest';
import { type SubscriberSummary, summarize } from './summary.ts';

const SUBSCRIBER: SubscriberSummary = {
  name: 'all',
  edge: 'edge-1',
  channels: ['BTC.trade'],
  delivered: 10,
  outOfOrder: 0,
  duplicates: 0,
  missing: 0,
  moves: 0,
  recovered: 0,
  gaps: 0,
};

const RUN = {
  trades: 'synthetic',
  redis: 'process',
  seconds: 1,
  published: 10,
  refused: 0,
  latencyMs: { p50: 1, p99: 2 },
  subscribers: [SUBSCRIBER, SUBSCRIBER],
};

describe('summarize', () => {
  it('adds up what subscribers received', () => {
    expect(summarize(RUN, undefined)).toMatchObject({ ok: true, problems: [], delivered: 20 });
  });

  it.each([{ wrong: { missing: 1 } }, { wrong: { duplicates: 1 } }, { wrong: { outOfOrder: 1 } }])(
    'is not ok when one subscriber has $wrong',
    ({ wrong }) => {
      const subscribers = [SUBSCRIBER, { ...SUBSCRIBER, ...wrong }];
      const summary = summarize({ ...RUN, subscribers }, undefined);
      expect(summary.ok).toBe(false);
      expect(summary.problems).toHaveLength(1);
    },
  );

  it('is not ok when nothing was published, trades were refused, or a process ended', () => {
    expect(summarize({ ...RUN, published: 0 }, undefined).ok).toBe(false);
    expect(summarize({ ...RUN, refused: 1 }, undefined).ok).toBe(false);
    expect(summarize(RUN, 'edge-2 ended').problems).toEqual(['edge-2 ended']);
  });
});
