import { describe, expect, it } from 'vitest';
import type { Trial } from '../arena/arena.ts';
import { type EncodeRun, encodeFailures } from './encode.ts';

function runOf(binary: Partial<EncodeRun>, isWhole = true) {
  const trial = { whole: isWhole } as Trial;
  const usual = { hub: 0.4, deflating: 0.2, deflated: 90, raw: 10, withoutTime: 0, bytesOut: 1 };
  return { text: { ...usual, trial }, binary: { ...usual, ...binary, trial } };
}

describe('encodeFailures', () => {
  it('has none while the hub has time left and most leave deflated', () => {
    expect(encodeFailures({ runs: [runOf({})] })).toEqual([]);
  });

  it('lets the hub take more if it steps back', () => {
    expect(encodeFailures({ runs: [runOf({ hub: 0.7, withoutTime: 5 })] })).toEqual([]);
    expect(encodeFailures({ runs: [runOf({ hub: 0.7 })] })).toEqual([
      'the hub took 0.7 cores and did not step back',
    ]);
  });

  it('names what left raw and what did not arrive', () => {
    const runs = [runOf({ deflated: 40, raw: 60, withoutTime: 60 }, false)];
    expect(encodeFailures({ runs })).toEqual([
      'not everything was delivered',
      'only 40 % of the publications left deflated',
    ]);
  });
});
