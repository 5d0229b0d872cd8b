import { setTimeout as sleep } from 'node:timers/promises';
import { createPublisher, type IoredisLike } from '@tradewind/publisher';
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { type RedisNode, startRedisNode } from '../support/redis-topology.ts';
import { type CommandFilter, TcpFaultProxy } from '../support/tcp-fault-proxy.ts';
import { eventually } from '../support/wait.ts';

const COUNT = 1_000;
const CHANNELS = ['BTC.trade', 'ETH.trade', 'SOL.trade', 'DOGE.trade'];

/** What was answered survives SIGKILL. A failover by FAILOVER loses nothing either, so each has to be there once. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** A call goes on for so long, in ms: a busy machine needs some seconds for a restart and a failover. */
const DEADLINE_MS = 60_000;

const isPublish: CommandFilter = ([name = '']) => /^(evalsha|eval)$/i.test(name);

interface Outcome {
  /** Payload → how often it is in the history. */
  readonly counts: ReadonlyMap<string, number>;
  readonly answersLost: number;
}

/**
 * Publishes {@link COUNT} numbers on four channels at a time while answers are lost, the master is killed and restarted, and a
 * replica takes over.
 */
async function publishThroughFaults(withKey: boolean): Promise<Outcome> {
  await using stack = new AsyncDisposableStack();
  const master = stack.use(await startRedisNode({ args: DURABLE }));
  const replica = stack.use(await startRedisNode({ args: DURABLE, replicaOf: master }));
  const proxy = stack.use(
    await TcpFaultProxy.start({ host: master.host, port: master.port, speaks: 'redis' }),
  );
  const redis = new Redis(proxy.url, { retryStrategy: () => 50 });
  redis.on('error', () => {});
  stack.defer(() => redis.disconnect());
  const publisher = createPublisher(withKey ? redis : withoutKeys(redis), {
    ...{ history: 2 * COUNT, deadlineMs: DEADLINE_MS },
  });

  let done = 0;
  const published = CHANNELS.map(async (channel, lane) => {
    for (let i = lane; i < COUNT; i += CHANNELS.length) {
      await publisher.publish(channel, { number: i });
      done += 1;
    }
  });
  const all = Promise.all(published);
  all.catch(() => {});
  const until = async (count: number): Promise<void> => {
    while (done < count) await Promise.race([sleep(5), all]);
  };

  let answersLost = 0;
  const loseAnswers = async (): Promise<void> => {
    for (let i = 0; i < 3; i += 1) {
      await proxy.dropReplyThenCut(isPublish).sprung;
      answersLost += 1;
      await until(done + 20);
    }
  };
  await until(100);
  await loseAnswers();
  await master.restart('empty');
  await until(400);
  await loseAnswers();
  await takeOver(master, replica, proxy);
  await until(done + 100);
  await loseAnswers();
  await all;

  const counts = new Map<string, number>();
  for (const channel of CHANNELS) {
    const entries = await replica.control.xrange(`{${channel}}:log`, '-', '+');
    for (const [, fields] of entries) counts.set(fields[3]!, (counts.get(fields[3]!) ?? 0) + 1);
  }
  return { counts, answersLost };
}

/** The replica takes over without a loss. Connections to the old master stay open, and it refuses to write. */
async function takeOver(master: RedisNode, replica: RedisNode, proxy: TcpFaultProxy) {
  await eventually(async () => {
    await master.control.call('FAILOVER', 'TO', replica.host, `${replica.port}`);
  });
  await eventually(async () => {
    const role = await replica.control.info('replication');
    return role.includes('role:master');
  });
  proxy.retarget(replica);
}

/** What a publisher without keys would send. */
function withoutKeys(redis: Redis): IoredisLike {
  return {
    get status() {
      return redis.status;
    },
    disconnect: (reconnect) => redis.disconnect(reconnect),
    async call(command, args) {
      const isScript = isPublish([command]);
      return await redis.call(command, isScript ? args.with(8, '') : args);
    },
  };
}

it(`publishes ${COUNT} once each while answers are lost, Redis dies and a replica takes over`, async () => {
  const { counts, answersLost } = await publishThroughFaults(true);
  expect(answersLost).toBe(9);
  const numbers = Array.from({ length: COUNT }, (_, i) => `{"number":${i}}`);
  expect(numbers.filter((number) => counts.get(number) !== 1)).toEqual([]);
  expect(counts.size).toBe(COUNT);
});

it('control: without keys the same faults publish some twice', async () => {
  const { counts, answersLost } = await publishThroughFaults(false);
  const twice = [...counts.values()].filter((count) => count > 1);
  expect(twice.length).toBeGreaterThanOrEqual(answersLost);
});
