import { expect, it } from 'vitest';
import { createRedisPublisher } from './redis-publisher.ts';

const PUBLICATION = { channel: 'c', payload: 'x', bytes: 1, idempotencyKey: 'k' };

it('publishes by the script, on its terms', async () => {
  expect(await argumentsOf({ idempotencyWindowMs: 7, notAfterMs: 9 })).toEqual({
    channel: 'c',
    payload: 'x',
    historySize: 3,
    historyTtlMs: 4,
    idempotencyKey: 'k',
    idempotencyWindowMs: 7,
    notAfterMs: 9,
  });
});

it('gives Redis no key where keys are not used', async () => {
  const sent = await argumentsOf({ idempotencyWindowMs: 0, notAfterMs: undefined });
  expect(sent).not.toHaveProperty('idempotencyKey');
});

async function argumentsOf(terms: {
  readonly idempotencyWindowMs: number;
  readonly notAfterMs: number | undefined;
}): Promise<unknown> {
  let sent: unknown;
  const redis = {
    available: true,
    async publishSequenced(publication: unknown) {
      sent = publication;
      return { epoch: 'e', offset: 1, duplicate: false };
    },
  };
  const publisher = createRedisPublisher(redis, { historySize: 3, historyTtlMs: 4 });
  await publisher.publish(PUBLICATION, terms);
  return sent;
}
