import { describe, expect, it } from 'vitest';
import { eventually } from '../suite/wait.ts';
import {
  commandsWithin,
  startRedisNode,
  startReplicatedPair,
  startSentinels,
} from './redis-topology.ts';

/** Long enough for an answer on loopback, in ms. */
const SILENCE_MS = 150;

/**
 * A Sentinel needs seconds to agree and promote; one that the machine did not run for a while distrusts everything for
 * 30 s (TILT). In ms.
 */
const FAILOVER_DEADLINE_MS = 60_000;

describe('startRedisNode', () => {
  it('restarts empty, or with saved data', async () => {
    await using redis = await startRedisNode();
    await redis.control.set('key', 'saved');
    await redis.save();
    await redis.control.set('key', 'later');
    await redis.restart('saved');
    expect(await redis.control.get('key')).toBe('saved');
    await redis.restart('empty');
    expect(await redis.control.get('key')).toBeNull();
  });

  it('is silent while paused', async () => {
    await using redis = await startRedisNode();
    redis.pause();
    let answered = false;
    const answer = redis.control.ping().then(() => {
      answered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
    expect(answered).toBe(false);
    redis.resume();
    await answer;
  });

  it('counts and shows the commands that it executes', async () => {
    await using redis = await startRedisNode();
    using monitor = await redis.monitor();
    const counting = commandsWithin(redis, SILENCE_MS);
    // Both are sent at once: the answer to one of them may take longer than is counted.
    await Promise.all([redis.control.set('key', 'value'), redis.control.get('key')]);
    expect([...(await counting)].sort()).toEqual([
      ['get', 1],
      ['set', 1],
    ]);
    await eventually(() => monitor.commands.some((words) => words.join(' ') === 'get key'));
  });
});

describe('startReplicatedPair', () => {
  it('loses exactly the writes that it must lose', async () => {
    await using pair = await startReplicatedPair();
    await pair.master.control.rpush('list', 'kept');
    await pair.loseWrites(async () => {
      expect(await pair.master.control.rpush('list', 'lost')).toBe(2);
    });
    expect(await pair.replica.control.lrange('list', 0, -1)).toEqual(['kept']);
    expect(await pair.replica.control.rpush('list', 'new')).toBe(2);
  });
});

describe('startSentinels', () => {
  it('promote the replica if the master is gone', async () => {
    await using master = await startRedisNode();
    await using replica = await startRedisNode({ replicaOf: master });
    await using sentinels = await startSentinels({
      ...{ master, masterName: 'tradewind', count: 3, downAfterMs: 500 },
    });
    expect(await sentinels.master()).toMatchObject({ port: master.port });
    await master.kill();
    await eventually(async () => (await sentinels.master()).port === replica.port, {
      deadlineMs: FAILOVER_DEADLINE_MS,
    });
    await eventually(async () =>
      (await replica.control.info('replication')).includes('role:master'),
    );
  }, 180_000);
});
