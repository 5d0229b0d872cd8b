import { CLOSE_CODES, ERROR_CODES, JSON_SUBPROTOCOL } from '@tradewind/protocol';
import { expect, it } from 'vitest';
import { closeMeaning, isRetryable } from './codes.ts';
import { SUBPROTOCOL } from './link.ts';

it('has the close codes of the protocol', () => {
  for (const [name, { code, action }] of Object.entries(CLOSE_CODES)) {
    expect(closeMeaning(code)).toEqual({ code, name, action });
  }
});

it('takes an end without a code for a lost connection', () => {
  for (const code of [0, 1005])
    expect(closeMeaning(code).code).toBe(CLOSE_CODES.connection_lost.code);
});

it('stops at unknown codes from 4400 only', () => {
  expect(closeMeaning(4_399).action).toBe('back-off');
  expect(closeMeaning(4_499).action).toBe('stop');
});

it('has the retryable errors of the protocol', () => {
  for (const [code, { retryable }] of Object.entries(ERROR_CODES)) {
    expect([code, isRetryable(code)]).toEqual([code, retryable]);
  }
});

it('speaks the protocol', () => {
  expect(SUBPROTOCOL).toBe(JSON_SUBPROTOCOL);
});
