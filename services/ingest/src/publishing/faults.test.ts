import { ERROR_CODES } from '@tradewind/protocol';
import { type HttpErrorDetails, SERVER_ERRORS } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { fault, refusal } from './faults.ts';

describe('the HTTP server’s own errors', () => {
  it.each(Object.values<HttpErrorDetails>(SERVER_ERRORS))(
    '$code is the row of the protocol’s table',
    ({ code, status, retryable }) => {
      expect(ERROR_CODES).toHaveProperty(code, expect.objectContaining({ status, retryable }));
    },
  );
});

describe('refusal', () => {
  it('says when to come back if that can help', () => {
    expect(refusal('unavailable').headers).toEqual({ 'retry-after': '1' });
    expect(refusal('rate_limited', undefined, 7).headers).toEqual({ 'retry-after': '7' });
    expect(refusal('bad_json').headers).toEqual({});
  });

  it('asks for a token where one is missing', () => {
    expect(refusal('unauthorized').headers).toEqual({ 'www-authenticate': 'Bearer' });
  });
});

describe('fault', () => {
  it('tells what the code always means, or what happened this time', () => {
    expect(fault('bad_json').message).toBe(ERROR_CODES.bad_json.meaning);
    expect(fault('bad_json', 'here').message).toBe('here');
  });
});
