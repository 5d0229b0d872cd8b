import { describe, expect, it } from 'vitest';
import type { Trial } from './arena.ts';
import { describeOverload, type Overload, overloadFailures } from './overload.ts';

/** An edge that bore it: half of the clients are short, and each was told. */
function overload(trial: Partial<Trial> = {}, changes: Partial<Overload> = {}): Overload {
  const told = { stayed: 1_000, short: 500, told: 300, untold: 0, undertold: 0, over: 0 };
  return {
    saturation: 5_000,
    trial: { rate: 10_000, disconnected: 0, gaps: 500, gapLost: 9_000, ...told, ...trial } as Trial,
    asked: 100,
    unanswered: 0,
    slowestAnswerMs: 900,
    alive: true,
    linkLosses: 1,
    ...changes,
  };
}

describe('an overload', () => {
  it('passes when every client that is short was told', () => {
    expect(overloadFailures(overload())).toEqual([]);
    const text = describeOverload(overload());
    expect(text).toContain('500 of the 1000 others are short');
    expect(text).toContain('0 told no gap');
    expect(text).toContain('300 told exactly, 200 told that nobody knows');
    expect(text).toMatch(/verdict +passed; 200 clients were told a loss without a number/);
    expect(describeOverload(overload({ told: 500 }))).toMatch(/verdict +passed$/);
  });

  it('says when there was nothing to be told', () => {
    const text = describeOverload(overload({ short: 0, told: 0 }));
    expect(text).toMatch(/passed, but nobody was short/);
  });

  it.each([
    ['one client was told nothing, however many gaps others got', { untold: 1 }, {}, 'no gap'],
    ['one was told of less than it misses', { undertold: 1 }, {}, 'less than they miss'],
    ['one received something twice', { over: 1 }, {}, 'twice'],
    ['nobody was left', { stayed: 0, short: 0, told: 0 }, {}, 'no client was left'],
    ['the admin port did not answer', {}, { unanswered: 2 }, '2 of 100 times'],
    ['the edge died', {}, { alive: false }, 'not alive'],
  ] as const)('fails when %s', (_case, trial, changes, failure) => {
    const failed = overload(trial, changes);
    expect(overloadFailures(failed)).toEqual([expect.stringContaining(failure)]);
    expect(describeOverload(failed)).toMatch(/verdict +FAILED/);
  });
});
