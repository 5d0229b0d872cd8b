import { ERROR_CODES, type ErrorCode } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { retryWaitMs } from './subscribe-reply.ts';

const CODES = Object.keys(ERROR_CODES) as ErrorCode[];

describe('retryWaitMs', () => {
  it('tells a wait with each code that the state of the node explains, and with no other', () => {
    const withWait = CODES.filter((code) => retryWaitMs(code, 0) !== undefined);
    expect(withWait).toEqual(['node_channels_full', 'rate_limited', 'unavailable']);
  });

  it('spreads clients over the range by their phases', () => {
    const waits = [0, 0.25, 0.5, 0.75].map((phase) => retryWaitMs('unavailable', phase));
    expect(waits).toEqual([2_000, 4_000, 6_000, 8_000]);
  });
});
