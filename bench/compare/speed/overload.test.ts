import { describe, expect, it } from 'vitest';
import type { Trial } from '../arena/arena.ts';
import { describeOverload, type Overload, overloadFailures } from './overload.ts';

/** An edge that passed: half of the clients are short, and each got gap notices with the exact number. */
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
  it('passes if every short client got gap notices', () => {
    expect(overloadFailures(overload())).toEqual([]);
    const text = describeOverload(overload());
    expect(text).toContain('500 of the 1000 others are short');
    expect(text).toContain('0 without a gap notice');
    expect(text).toContain('300 with the exact number, 200 with a notice without a number');
    expect(text).toMatch(/verdict +passed; 200 clients got a notice of a loss without a number/);
    expect(describeOverload(overload({ told: 500 }))).toMatch(/verdict +passed$/);
  });

  it('says so if no client was short', () => {
    const text = describeOverload(overload({ short: 0, told: 0 }));
    expect(text).toMatch(/passed, but nobody was short: there was no loss/);
  });

  it.each([
    ['one client got no notice, however many others got', { untold: 1 }, {}, 'no gap notice'],
    ['one got notices of less than it missed', { undertold: 1 }, {}, 'less than they missed'],
    ['one received something twice', { over: 1 }, {}, 'twice'],
    ['no client stayed connected', { stayed: 0, short: 0, told: 0 }, {}, 'no client stayed'],
    ['the admin port did not answer', {}, { unanswered: 2 }, '2 of 100 times'],
    ['the edge died', {}, { alive: false }, 'dead'],
  ] as const)('fails if %s', (_case, trial, changes, failure) => {
    const failed = overload(trial, changes);
    expect(overloadFailures(failed)).toEqual([expect.stringContaining(failure)]);
    expect(describeOverload(failed)).toMatch(/verdict +FAILED/);
  });
});
