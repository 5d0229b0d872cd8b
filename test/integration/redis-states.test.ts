import { describe, it } from 'vitest';
import { expectServed } from '../support/redis/expect-redis-state.ts';
import { playRedisState, type RedisStateName } from '../support/redis/redis-state-scenes.ts';

/**
 * Long enough for a link that treats an error as no answer to close twice. `npm run chaos` has all states, 30 s each.
 */
const SECONDS = 4;

const STATES: readonly RedisStateName[] = [
  'cannot save to disk',
  'has no memory left',
  'forbids PING',
  'has another password',
  'has no room for a client',
  'loads its data',
];

describe.concurrent('Redis, under load,', () => {
  it.each(STATES)('%s, and back', async (name) => {
    expectServed(await playRedisState(name, SECONDS));
  });
});
