import { describe, expect, it } from 'vitest';
import { withTlsHint } from './tls-hint.ts';

describe('withTlsHint', () => {
  it('names rediss: when a plain connection is reset before anything came', () => {
    expect(withTlsHint('read ECONNRESET', false, 0)).toBe(
      'read ECONNRESET; if this port speaks TLS, REDIS_URL must begin with rediss:',
    );
  });

  it.each([
    'C0:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../ssl/record.c:354:',
    'C0:error:0A0000C6:SSL routines::packet length too long',
    'Client network socket disconnected before secure TLS connection was established',
  ])('names redis: when what came back is no TLS: %s', (cause) => {
    expect(withTlsHint(cause, true, 40)).toBe(
      `${cause}; if this port does not speak TLS, REDIS_URL must begin with redis:`,
    );
  });

  it.each([
    ['read ECONNRESET', false, 7],
    ['read ECONNRESET', true, 0],
    ['connect ECONNREFUSED 127.0.0.1:6379', false, 0],
    [undefined, false, 0],
  ])('leaves %j as it is (TLS %j, %d bytes)', (cause, isTls, bytesRead) => {
    expect(withTlsHint(cause, isTls, bytesRead)).toBe(cause);
  });
});
