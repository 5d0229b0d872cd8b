import { describe, it } from 'vitest';
import { expectServed } from '../../support/redis/expect-redis-state.ts';
import { playRedisState, REDIS_STATE_NAMES } from '../../support/redis/redis-state-scenes.ts';

/** How long Redis is in each state, in s. */
const SECONDS = Number(process.env.REDIS_STATE_SECONDS ?? 30);

describe.concurrent('A15: Redis, under load,', () => {
  it.each(REDIS_STATE_NAMES)('%s, and back', async (name) => {
    const outcome = await playRedisState(name, SECONDS);
    const { connections, naiveLosses, missed, delivered } = outcome;
    console.log(
      `${name}: ${connections} connections in ${SECONDS} s (a naive link was closed ${naiveLosses} times), missed ${missed} of ${delivered}`,
    );
    expectServed(outcome);
  });
});
