import type { IncomingMessage } from 'node:http';
import { expect, it } from 'vitest';
import { Guard } from './guard.ts';
import { viewerRefusal } from './routes.ts';

/** Why a console without a login refuses a page that connects to a path. */
function refusalOf(url: string, isFull: boolean) {
  const request = { url, headers: { host: '127.0.0.1:8090' } } as unknown as IncomingMessage;
  return viewerRefusal(new Guard(undefined, []), request, isFull);
}

it('refuses a page that connects to no path of its own for good, also while the console is full', () => {
  const refusal = { status: 404, code: 'not_found', retryable: false };
  expect(refusalOf('/v1/other', false)).toMatchObject(refusal);
  expect(refusalOf('/v1/other', true)).toMatchObject(refusal);
});

it('tells a page that the console is full, and that it may come back, by the code of the table', () => {
  const refusal = refusalOf('/v1/live', true);
  expect(refusal).toMatchObject({ status: 503, code: 'node_full', retryable: true });
});

it('refuses no page while there is room', () => {
  expect(refusalOf('/v1/live', false)).toBeUndefined();
});
