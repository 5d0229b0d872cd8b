import { describe, expect, it } from 'vitest';
import { type EdgeCondition, judgeReadiness, LINK_GRACE_MS } from './health.ts';

const NOW = 1_000_000;

const SERVING: EdgeCondition = {
  draining: false,
  full: false,
  descriptorsExhausted: false,
  everLinked: true,
  degraded: false,
  isolatedSince: undefined,
  provenOnce: true,
  probeRefused: false,
  hadKeys: true,
};

const LONG_AGO = NOW - LINK_GRACE_MS;
const JUST_NOW = NOW - LINK_GRACE_MS + 1;

const CASES: readonly (readonly [
  situation: string,
  change: Partial<EdgeCondition>,
  expected: { ready: boolean; degraded: boolean; reasons: string[] },
])[] = [
  ['serves', {}, { ready: true, degraded: false, reasons: [] }],
  ['drains', { draining: true }, { ready: false, degraded: false, reasons: ['draining'] }],
  ['is full', { full: true }, { ready: false, degraded: false, reasons: ['full'] }],
  [
    'has never been linked, because Redis is away',
    { everLinked: false, degraded: true },
    { ready: false, degraded: true, reasons: ['not_linked_yet', 'redis_unavailable'] },
  ],
  [
    'lost Redis altogether, as every other node did',
    { degraded: true },
    { ready: true, degraded: true, reasons: ['redis_unavailable'] },
  ],
  [
    'lost only its subscriptions, a moment ago',
    { degraded: true, isolatedSince: JUST_NOW },
    { ready: true, degraded: true, reasons: ['redis_unavailable'] },
  ],
  [
    'lost only its subscriptions, and they do not come back',
    { degraded: true, isolatedSince: LONG_AGO },
    { ready: false, degraded: true, reasons: ['subscription_link_down', 'redis_unavailable'] },
  ],
  [
    'is linked, and has proven nothing yet',
    { provenOnce: false },
    { ready: false, degraded: false, reasons: ['not_proven_yet'] },
  ],
  [
    'may not probe, and so never proved anything',
    { provenOnce: false, probeRefused: true },
    { ready: false, degraded: false, reasons: ['probe_refused'] },
  ],
  [
    'may not probe any more, as every other node',
    { probeRefused: true },
    { ready: true, degraded: false, reasons: ['probe_refused'] },
  ],
  [
    'has not fetched the keys for tokens yet',
    { hadKeys: false },
    { ready: false, degraded: false, reasons: ['no_keys_yet'] },
  ],
  [
    'drains, full, after Redis went away',
    { draining: true, full: true, degraded: true },
    { ready: false, degraded: true, reasons: ['draining', 'full', 'redis_unavailable'] },
  ],
];

describe('judgeReadiness', () => {
  it.each(CASES)('an edge that %s', (_situation, change, expected) => {
    expect(judgeReadiness({ ...SERVING, ...change }, NOW)).toEqual(expected);
  });
});
