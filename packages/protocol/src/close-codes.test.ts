import { describe, expect, it } from 'vitest';
import { CLOSE_CODES } from './close-codes.ts';

const ROWS = Object.entries(CLOSE_CODES).map(([reason, row]) => ({ reason, ...row }));
const LONGEST_REASON_BYTES = 123;

describe('the close codes', () => {
  it('are used for one reason each', () => {
    expect(new Set(ROWS.map(({ code }) => code)).size).toBe(ROWS.length);
  });

  it('say by their range whether to reconnect, for clients that do not know them', () => {
    const own = ROWS.filter(({ code }) => code >= 4000);
    for (const { reason, code, action } of own) {
      expect
        .soft([reason, action === 'resume' || action === 'back-off'])
        .toEqual([reason, code <= 4399]);
    }
    expect(own.length).toBeGreaterThan(0);
  });

  it('are ours to send: our own range, or registered ones that a close frame may carry', () => {
    const sendable = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    const others = ROWS.filter(({ code }) => !(code >= 4000 && code <= 4999))
      .filter(({ code }) => !sendable.includes(code))
      .map(({ reason }) => reason);
    expect(others).toEqual(['connection_lost']);
  });

  it('have names that fit into a close frame and a metric label', () => {
    for (const { reason } of ROWS) {
      expect.soft(reason).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect.soft(reason.length).toBeLessThanOrEqual(LONGEST_REASON_BYTES);
    }
  });
});
