import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from './error-codes.ts';

const ROWS = Object.entries(ERROR_CODES).map(([code, row]) => ({ code, ...row }));

describe('the error codes', () => {
  it('have names that fit into a metric label', () => {
    for (const { code } of ROWS) expect.soft(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
  });

  it('are statuses of failed requests', () => {
    for (const { code, status } of ROWS) {
      expect.soft([code, status >= 400 && status <= 599]).toEqual([code, true]);
    }
  });

  it('have meanings that are whole sentences, which clients are told as messages', () => {
    for (const { code, meaning } of ROWS) {
      expect.soft(meaning, code).toMatch(/^[A-Z`][\s\S]*[^.]\.$/);
    }
  });

  it('never ask to repeat what is malformed or forbidden, and always what is busy or away', () => {
    const always = [500, 503];
    const never = [400, 401, 403, 404, 405, 409, 413, 501];
    for (const { code, status, retryable } of ROWS) {
      if (always.includes(status)) expect.soft([code, retryable]).toEqual([code, true]);
      if (never.includes(status)) expect.soft([code, retryable]).toEqual([code, false]);
    }
  });
});
