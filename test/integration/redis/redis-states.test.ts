import { describe, it } from 'vitest';
import { expectServed } from '../../support/redis/expect-redis-state.ts';
import { IS_CLUSTER } from '../../support/redis/redis-mode.ts';
import {
  CLUSTER_STATE_NAMES,
  playRedisState,
  type RedisStateName,
} from '../../support/redis/redis-state-scenes.ts';

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

// A Cluster is three servers, so one after the other.
const describeAll = IS_CLUSTER ? describe : describe.concurrent;

describeAll(`${IS_CLUSTER ? 'one master of a Cluster' : 'Redis'}, under load,`, () => {
  it.each(IS_CLUSTER ? CLUSTER_STATE_NAMES : STATES)('%s, and back', async (name) => {
    expectServed(await playRedisState(name, SECONDS));
  });
});
