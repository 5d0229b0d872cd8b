import { describe, expect, it } from 'vitest';
import { ERROR_CODES, type ErrorCode } from './error-codes.ts';
import { encodeServerMessage, errorMessage } from './server-message.ts';

function onTheWire(...parts: Parameters<typeof errorMessage>): unknown {
  return JSON.parse(new TextDecoder().decode(encodeServerMessage(errorMessage(...parts))));
}

describe('errorMessage', () => {
  it('echoes the id and tells whether and when to retry', () => {
    expect(onTheWire('rate_limited', 'slow down', 'x', 250)).toEqual({
      type: 'error',
      id: 'x',
      code: 'rate_limited',
      message: 'slow down',
      retryable: true,
      retryAfterMs: 250,
    });
  });

  it('leaves out what is not there', () => {
    expect(onTheWire('bad_json', 'not valid JSON', undefined)).toEqual({
      type: 'error',
      code: 'bad_json',
      message: 'not valid JSON',
      retryable: false,
    });
  });

  it.each(Object.keys(ERROR_CODES) as ErrorCode[])(
    'takes retryable for %s from the table',
    (code) => {
      expect(errorMessage(code, '', 0).retryable).toBe(ERROR_CODES[code].retryable);
    },
  );
});

describe('encodeServerMessage', () => {
  it('is UTF-8 that says again what a client sent, even half an emoji', () => {
    const id = '\ud83d😀"\\\n\u2028';
    const text = new TextDecoder('utf-8', { fatal: true }).decode(
      encodeServerMessage({ type: 'pong', id, serverTime: 1 }),
    );
    expect(JSON.parse(text)).toEqual({ type: 'pong', id, serverTime: 1 });
  });
});
