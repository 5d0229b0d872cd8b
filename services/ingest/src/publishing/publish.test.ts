import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import { describe, expect, it } from 'vitest';
import { createFakePublisher } from './fake-publisher.ts';
import { type PublishTerms, publishOne } from './publish.ts';

const TERMS: PublishTerms = { idempotencyWindowMs: 1_000, notAfterMs: undefined };

describe('publishOne', () => {
  it('says where it was published, and what was published before', async () => {
    const publisher = createFakePublisher();
    const publication = { channel: 'c', payload: 'x', bytes: 1, idempotencyKey: 'k' };
    const accepted = { ok: true, channel: 'c', bytes: 1, epoch: 'e', offset: 1 };
    expect(await publishOne(publisher, publication, TERMS)).toEqual({
      ...accepted,
      duplicate: false,
    });
    expect(await publishOne(publisher, publication, TERMS)).toEqual({
      ...accepted,
      duplicate: true,
    });
    expect(publisher.published).toEqual(['c x']);
  });

  it.each([
    [new RedisUnavailableError('not-sent', 'down'), 'unavailable', false],
    [new RedisUnavailableError('unknown', 'cut'), 'unavailable', true],
    [new RedisRefusedError('NOPERM this user may not'), 'channel_not_allowed', false],
    [new RedisRefusedError('OOM command not allowed'), 'storage_full', false],
    [new RedisRefusedError('TWLATE it is 7 ms later than allowed'), 'too_late', false],
    [new RedisRefusedError('TWTYPE {c}:meta must be a string'), 'internal', false],
    [new RedisRefusedError('LOADING Redis is loading the dataset'), 'unavailable', false],
  ])('says what %s means, and keeps the reply for the log', async (error, code, outcomeUnknown) => {
    const publisher = createFakePublisher();
    publisher.failFrom(1, error);
    const result = await publishOne(publisher, { channel: 'c', payload: 'x', bytes: 1 }, TERMS);
    expect(result).toMatchObject({
      ok: false,
      error: { code },
      outcomeUnknown,
      cause: error.message,
    });
  });

  it('does not hide a fault of its own', async () => {
    const publisher = createFakePublisher();
    publisher.failFrom(1, new TypeError('a bug'));
    const publication = { channel: 'c', payload: 'x', bytes: 1 };
    await expect(publishOne(publisher, publication, TERMS)).rejects.toThrow('a bug');
  });
});
