import { describe, expect, it } from 'vitest';
import { type EdgeCondition, judgeReadiness, LINK_GRACE_MS } from './health.ts';

const NOW = 1_000_000;

const SERVING: EdgeCondition = {
  draining: false,
  full: false,
  everLinked: true,
  degradedSince: undefined,
  commandsAvailable: true,
};

const LONG_AGO = NOW - LINK_GRACE_MS;
const JUST_NOW = NOW - LINK_GRACE_MS + 1;

const CASES: readonly (readonly [
  situation: string,
  change: Partial<EdgeCondition>,
  expected: { ready: boolean; degraded: boolean; reasons: string[] },
])[] = [
  ['serves', {}, { ready: true, degraded: false, reasons: [] }],
  [
    'is linked but cannot send commands',
    { commandsAvailable: false },
    { ready: true, degraded: false, reasons: [] },
  ],
  ['drains', { draining: true }, { ready: false, degraded: false, reasons: ['draining'] }],
  ['is full', { full: true }, { ready: false, degraded: false, reasons: ['full'] }],
  [
    'has never been linked, because Redis is away',
    { everLinked: false, degradedSince: JUST_NOW, commandsAvailable: false },
    { ready: false, degraded: true, reasons: ['not_linked_yet', 'source_unreachable'] },
  ],
  [
    'lost Redis altogether, as every other node did',
    { degradedSince: LONG_AGO, commandsAvailable: false },
    { ready: true, degraded: true, reasons: ['source_unreachable'] },
  ],
  [
    'lost only its subscriptions, a moment ago',
    { degradedSince: JUST_NOW },
    { ready: true, degraded: true, reasons: ['source_unreachable'] },
  ],
  [
    'lost only its subscriptions, and they do not come back',
    { degradedSince: LONG_AGO },
    { ready: false, degraded: true, reasons: ['subscription_link_down', 'source_unreachable'] },
  ],
  [
    'drains, full, after Redis went away',
    { draining: true, full: true, degradedSince: LONG_AGO, commandsAvailable: false },
    { ready: false, degraded: true, reasons: ['draining', 'full', 'source_unreachable'] },
  ],
];

describe('judgeReadiness', () => {
  it.each(CASES)('an edge that %s', (_situation, change, expected) => {
    expect(judgeReadiness({ ...SERVING, ...change }, NOW)).toEqual(expected);
  });
});
