import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TcpFaultProxy } from '../../support/faults/tcp-fault-proxy.ts';
import { type RedisNode, startRedisNode } from '../../support/redis/redis-topology.ts';
import { eventually } from '../../support/suite/wait.ts';
import { Ledger } from '../oracle/ledger.ts';
import { NotPublishedError, NumberedPublisher } from './publisher.ts';
import { startScriptPublisher } from './script-publisher.ts';

const CHANNEL = 'BTC.trade';

/** The last message of a channel; no publication equals it. */
const END = 'end';

/** Long enough for several publications at the rate of these tests, in ms. */
const HELD_MS = 100;

let redis: RedisNode;
let proxy: TcpFaultProxy;

beforeAll(async () => {
  redis = await startRedisNode();
  const { host, port } = redis;
  proxy = await TcpFaultProxy.start({ host, port, speaks: 'redis' });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
});

/** The number of publish calls at Redis. */
async function scriptCalls(): Promise<number> {
  const calls = await redis.commandCalls();
  return (calls.get('eval') ?? 0) + (calls.get('evalsha') ?? 0);
}

async function published(
  act: (publisher: NumberedPublisher) => Promise<void>,
  onUnknown: 'repeat' | 'repeat-without-key',
) {
  await redis.control.flushall();
  const subscriber = new Redis(redis.url);
  const received: string[] = [];
  subscriber.on('message', (_channel, message) => received.push(message));
  await subscriber.subscribe(CHANNEL);
  using via = startScriptPublisher(proxy.url);
  await eventually(() => via.publish('warm-up', '0'));
  const ledger = new Ledger();
  const channels = [CHANNEL];
  await using publisher = new NumberedPublisher({
    channels,
    ledger,
    via,
    ratePerSecond: 200,
    onUnknown,
  });
  await act(publisher);
  await publisher.stop();
  // Everything that Redis published earlier arrives earlier.
  await redis.control.publish(CHANNEL, END);
  await eventually(() => received.at(-1) === END);
  received.pop();
  subscriber.disconnect();
  return { ledger, received, acknowledged: publisher.acknowledged };
}

async function loseOneReply(publisher: NumberedPublisher): Promise<void> {
  await eventually(() => publisher.acknowledged > 10);
  const trap = proxy.dropReplyThenCut(([name]) => /^evalsha$/i.test(name ?? ''));
  await trap.sprung;
  await eventually(() => publisher.failed > 0);
  const { acknowledged } = publisher;
  await eventually(() => publisher.acknowledged > acknowledged + 10);
}

describe('NumberedPublisher', () => {
  it('records the answers', async () => {
    const { ledger, received, acknowledged } = await published(async (publisher) => {
      await eventually(() => publisher.acknowledged >= 20);
    }, 'repeat');
    const head = ledger.head(CHANNEL)!;
    expect(head.offset).toBe(acknowledged);
    expect(received).toHaveLength(acknowledged);
    for (const [index, message] of received.entries()) {
      expect(message).toMatch(new RegExp(`^@1:${head.epoch}:${index + 1}:\\d+;`));
      const payload = message.slice(message.indexOf(';') + 1);
      expect(JSON.parse(payload)).toMatchObject({ n: index + 1 });
      const position = { epoch: head.epoch, offset: index + 1 };
      expect(ledger.livesWith(CHANNEL, position, payload)).toEqual([0]);
    }
  });

  it('has nothing in flight while it is held, and continues', async () => {
    const { received, acknowledged } = await published(async (publisher) => {
      await eventually(() => publisher.acknowledged > 10);
      await publisher.hold();
      const before = publisher.acknowledged;
      const calls = await scriptCalls();
      await new Promise((resolve) => setTimeout(resolve, HELD_MS));
      expect(publisher.acknowledged).toBe(before);
      expect(await scriptCalls()).toBe(calls);
      publisher.go();
      await eventually(() => publisher.acknowledged > before);
    }, 'repeat');
    expect(received).toHaveLength(acknowledged);
  });

  it('records no doubt about publications that were certainly not executed', async () => {
    const ledger = new Ledger();
    const outcomes = [new NotPublishedError('refused'), new Error('who knows')];
    const via = {
      publish: () => Promise.reject(outcomes.shift()),
      [Symbol.dispose]: () => {},
    };
    await using publisher = new NumberedPublisher({
      ...{ channels: [CHANNEL], ledger, via, ratePerSecond: 0 },
    });
    await expect(publisher.publishOne(CHANNEL)).rejects.toThrow('not acknowledged');
    expect(ledger.hasUncertain(CHANNEL)).toBe(false);
    await expect(publisher.publishOne(CHANNEL)).rejects.toThrow('not acknowledged');
    expect(ledger.hasUncertain(CHANNEL)).toBe(true);
  });

  it('publishes repetitions with a key once, and twice without one', async () => {
    const once = await published(loseOneReply, 'repeat');
    expect(once.received).toHaveLength(once.acknowledged);
    const twice = await published(loseOneReply, 'repeat-without-key');
    expect(twice.received).toHaveLength(twice.acknowledged + 1);
  });
});
