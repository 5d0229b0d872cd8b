import { expect, it } from 'vitest';
import { readRedirect } from './redirect.ts';

it.each([
  [
    'MOVED 3999 127.0.0.1:6381',
    { kind: 'moved', slot: 3_999, to: { host: '127.0.0.1', port: 6_381 } },
  ],
  ['ASK 0 ::1:7000', { kind: 'ask', slot: 0, to: { host: '::1', port: 7_000 } }],
  [
    'MOVED 1 redis-1.internal:6379',
    { kind: 'moved', slot: 1, to: { host: 'redis-1.internal', port: 6_379 } },
  ],
  ['MOVED 1 :6379', { kind: 'moved', slot: 1, to: { host: '', port: 6_379 } }],
  ['MOVED 1 ?:6379', { kind: 'moved', slot: 1, to: { host: '', port: 6_379 } }],
  ['TRYAGAIN Multiple keys request during rehashing of slot', undefined],
  ['MOVED somewhere', undefined],
  ['ERR unknown command', undefined],
])('reads %s', (reply, redirect) => {
  expect(readRedirect(reply)).toEqual(redirect);
});
