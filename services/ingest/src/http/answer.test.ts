import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { DOUBT, type ItemResult, unavailable } from '../publishing/publish.ts';
import { answerMany } from './answer.ts';

it('does not say of a request that it was not published while one of its entries is in doubt', () => {
  const notSent = unavailable('Redis is not reachable', false);
  const inDoubt = unavailable('the link was lost', true);
  for (const results of [
    [notSent, inDoubt],
    [inDoubt, notSent],
  ]) {
    expect(answerTo(results)).toMatchObject({ error: { code: 'unavailable', message: DOUBT } });
  }
  const { message } = notSent.error;
  expect(answerTo([notSent, notSent]), 'control').toMatchObject({ error: { message } });
});

function answerTo(results: readonly ItemResult[]): unknown {
  let body = '';
  const response = {
    req: { complete: true, readableEnded: true, headers: {} },
    writeHead: () => {},
    end: (text: string) => {
      body = text;
    },
  };
  answerMany(response as unknown as ServerResponse, results);
  return JSON.parse(body);
}
