import { createPublisher, type IoredisLike } from '@tradewind/publisher';
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { type CommandFilter, TcpFaultProxy } from '../support/faults/tcp-fault-proxy.ts';
import { type RedisNode, startRedisNode } from '../support/redis/redis-topology.ts';
import { eventually } from '../support/suite/wait.ts';

const COUNT = 1_000;
/** Publications in one pipeline. */
const PIPELINE = 25;

const CHANNELS = ['BTC.trade', 'ETH.trade', 'SOL.trade', 'DOGE.trade'];

/** An answered publication survives SIGKILL. FAILOVER loses none either, so each must be there once. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** The longest that a call may take, in ms: a busy machine needs some seconds for a restart and a failover. */
const DEADLINE_MS = 60_000;

const isPublish: CommandFilter = ([name = '']) => /^(evalsha|eval)$/i.test(name);

/** What is published on one channel, in its order. */
function numbersOf(lane: number): readonly number[] {
  const numbers = Array.from({ length: COUNT }, (_, i) => i);
  return numbers.filter((number) => number % CHANNELS.length === lane);
}

interface Outcome {
  /** What is in the histories, each in its order. */
  readonly histories: readonly (readonly number[])[];
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

  let [allowed, started, done] = [0, 0, 0];
  const all = Promise.all(
    CHANNELS.map(async (channel, lane) => {
      const numbers = numbersOf(lane);
      // The last channel goes in pipelines.
      const size = lane === CHANNELS.length - 1 ? PIPELINE : 1;
      for (let i = 0; i < numbers.length; i += size) {
        const batch = numbers.slice(i, i + size).map((number) => ({ channel, data: { number } }));
        await eventually(() => started + batch.length <= allowed, { deadlineMs: DEADLINE_MS });
        started += batch.length;
        const results = size === 1 ? [] : await publisher.publishMany(batch);
        if (size === 1) await publisher.publish(channel, batch[0]!.data);
        expect(results.filter(({ ok }) => !ok)).toEqual([]);
        done += batch.length;
      }
    }),
  );
  all.catch(() => {});
  /** Lets `count` more be published, and waits until every channel has used up what it may publish. */
  const publish = async (count: number): Promise<void> => {
    allowed += count;
    const published = eventually(() => done > allowed - PIPELINE, { deadlineMs: DEADLINE_MS });
    await Promise.race([published, all]);
  };

  let answersLost = 0;
  const loseAnswers = async (): Promise<void> => {
    for (let i = 0; i < 3; i += 1) {
      const trap = proxy.dropReplyThenCut(isPublish);
      await publish(2 * PIPELINE);
      await trap.sprung;
      answersLost += 1;
    }
  };
  await publish(100);
  await loseAnswers();
  await Promise.all([master.restart('empty'), publish(100)]);
  await loseAnswers();
  await Promise.all([takeOver(master, replica, proxy), publish(50)]);
  await publish(50);
  await loseAnswers();
  allowed = COUNT;
  await all;

  const histories: number[][] = [];
  for (const channel of CHANNELS) {
    const entries = await replica.control.xrange(`{${channel}}:log`, '-', '+');
    histories.push(entries.map(([, fields]) => JSON.parse(fields[3]!).number));
  }
  return { histories, answersLost };
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
  const { histories, answersLost } = await publishThroughFaults(true);
  expect(answersLost).toBe(9);
  // Each once, and in the order in which its channel was published.
  CHANNELS.forEach((_, lane) => {
    expect(histories[lane]).toEqual(numbersOf(lane));
  });
});

it('control: without keys the same faults publish some twice', async () => {
  const { histories, answersLost } = await publishThroughFaults(false);
  const numbers = histories.flat();
  expect(numbers.length - new Set(numbers).size).toBeGreaterThanOrEqual(answersLost);
});
