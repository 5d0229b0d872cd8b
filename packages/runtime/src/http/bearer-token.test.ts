import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { createBearerCheck } from './bearer-token.ts';

describe('createBearerCheck', () => {
  const isAuthorized = createBearerCheck(['first', 'second']);

  it.each(['Bearer first', 'bearer second', 'Bearer  second '])('lets %j in', (authorization) => {
    expect(isAuthorized(requestWith(authorization))).toBe(true);
  });

  it.each([
    undefined,
    '',
    'first',
    'Bearer',
    'Bearer ',
    'Bearer firs',
    'Bearer firstt',
    'Bearer first second',
    'Basic first',
  ])('keeps %j out', (authorization) => {
    expect(isAuthorized(requestWith(authorization))).toBe(false);
  });

  it('lets nobody in when there are no tokens', () => {
    expect(createBearerCheck([])(requestWith('Bearer undefined'))).toBe(false);
  });
});

function requestWith(authorization: string | undefined): IncomingMessage {
  return { headers: { authorization } } as IncomingMessage;
}
