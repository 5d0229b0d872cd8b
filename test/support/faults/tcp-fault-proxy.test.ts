import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RedisNode, startRedisNode } from '../redis/redis-topology.ts';
import { eventually } from '../suite/wait.ts';
import { linksOf, TcpFaultProxy } from './tcp-fault-proxy.ts';

const CHANNEL = 'BTC.trade';

/** Long enough for loopback to deliver everything in flight, in ms. */
const SILENCE_MS = 150;

let stack: AsyncDisposableStack;
let redis: RedisNode;
let proxy: TcpFaultProxy;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  redis = stack.use(await startRedisNode());
  proxy = stack.use(
    await TcpFaultProxy.start({ host: redis.host, port: redis.port, speaks: 'redis' }),
  );
});

afterEach(async () => {
  await stack.disposeAsync();
});

async function connect(name: string, protocol: 2 | 3 = 3): Promise<Redis> {
  const client = new Redis(proxy.url, {
    connectionName: name,
    protocol,
    lazyConnect: true,
    retryStrategy: null,
    autoResendUnfulfilledCommands: false,
  });
  client.on('error', () => {});
  stack.defer(() => client.disconnect());
  await client.connect();
  return client;
}

async function subscribe(protocol: 2 | 3 = 3): Promise<{ client: Redis; received: string[] }> {
  const client = await connect('tradewind-edge-1-subscriber', protocol);
  const received: string[] = [];
  client.on('message', (_channel, payload) => received.push(payload));
  await client.subscribe(CHANNEL, 'ETH.trade');
  return { client, received };
}

function ended(client: Redis): Promise<void> {
  return new Promise((resolve) => client.once('end', () => resolve()));
}

async function within(ms: number, promise: Promise<unknown>): Promise<'settled' | 'silence'> {
  const silence = new Promise<'silence'>((resolve) => setTimeout(() => resolve('silence'), ms));
  return await Promise.race([promise.then(() => 'settled' as const), silence]);
}

describe('TcpFaultProxy', () => {
  it('passes everything on, and identifies links by their names', async () => {
    const client = await connect('tradewind-edge-1-commands');
    const large = 'x'.repeat(3 * 2 ** 20);
    await client.set('key', large);
    expect(await client.get('key')).toBe(large);
    expect(proxy.links.map(({ name }) => name)).toEqual(['tradewind-edge-1-commands']);
    expect(proxy.links.filter(linksOf('commands', 'edge-2'))).toEqual([]);
    client.disconnect();
    await eventually(() => proxy.links.length === 0);
  });

  it('delays each way', async () => {
    const client = await connect('tradewind-edge-1-commands');
    const before = performance.now();
    const fault = proxy.impose({ delayMs: 60 });
    await client.ping();
    expect(performance.now() - before).toBeGreaterThan(115);
    fault[Symbol.dispose]();
    await client.ping();
  });

  it('throttles', async () => {
    const client = await connect('tradewind-edge-1-commands');
    await client.set('key', 'x'.repeat(20_000));
    using _fault = proxy.impose({ bytesPerSecond: 50_000, direction: 'to-client' });
    const before = performance.now();
    await client.get('key');
    expect(performance.now() - before).toBeGreaterThan(350);
  });

  it('swallows everything in a black hole with sockets open, for the chosen links, and delivers it later', async () => {
    const { client, received } = await subscribe();
    const other = await connect('tradewind-edge-1-commands');
    const fault = proxy.impose({ blackhole: true }, linksOf('subscriber'));
    const answer = client.ping();
    await redis.control.publish(CHANNEL, '1');
    expect(await within(SILENCE_MS, answer)).toBe('silence');
    expect(await other.ping()).toBe('PONG');
    expect([client.status, received]).toEqual(['ready', []]);
    fault[Symbol.dispose]();
    await answer;
    await eventually(() => received.length === 1);
  });

  it('swallows one way only', async () => {
    const client = await connect('tradewind-edge-1-commands');
    const fault = proxy.impose({ blackhole: true, direction: 'to-client' });
    const answer = client.set('key', 'value');
    await eventually(async () => (await redis.control.get('key')) === 'value');
    expect(await within(SILENCE_MS, answer)).toBe('silence');
    fault[Symbol.dispose]();
    expect(await answer).toBe('OK');
  });

  it('does not let Redis notice a client that leaves through a black hole', async () => {
    const { client } = await subscribe();
    const fault = proxy.impose({ blackhole: true });
    client.disconnect();
    await ended(client);
    await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
    const subscribers = async (): Promise<unknown> => await redis.control.pubsub('NUMSUB', CHANNEL);
    expect(await subscribers()).toEqual([CHANNEL, 1]);
    fault[Symbol.dispose]();
    await eventually(async () => expect(await subscribers()).toEqual([CHANNEL, 0]));
  });

  it('closes connections, and resets connections', async () => {
    const first = await connect('tradewind-edge-1-commands');
    const second = await connect('tradewind-edge-2-commands');
    const ends = [ended(first), ended(second)];
    expect(proxy.cut(linksOf('commands', 'edge-1'))).toBe(1);
    expect(proxy.reset(linksOf('commands', 'edge-2'))).toBe(1);
    await Promise.all(ends);
    expect(proxy.links).toEqual([]);
  });

  it('resets what a black hole lets go of in the same turn', async () => {
    const client = await connect('tradewind-edge-1-commands');
    const fault = proxy.impose({ blackhole: true });
    client.disconnect();
    await ended(client);
    await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
    fault[Symbol.dispose]();
    expect(proxy.reset()).toBe(1);
    await eventually(() => proxy.links.length === 0, { deadlineMs: 5_000 });
  });

  it('refuses connections, and changes their target', async () => {
    const other = stack.use(await startRedisNode());
    await other.control.set('who', 'other');
    proxy.refuse(true);
    await expect(connect('tradewind-edge-1-commands')).rejects.toThrow();
    proxy.refuse(false);
    proxy.retarget(other);
    expect(await (await connect('tradewind-edge-1-commands')).get('who')).toBe('other');
  });

  for (const protocol of [2, 3] as const) {
    it(`swallows exactly the n-th message of a channel in RESP${protocol}`, async () => {
      const { received } = await subscribe(protocol);
      const trap = proxy.swallowMessage(({ channel }) => channel === CHANNEL, { nth: 3 });
      for (let n = 1; n <= 5; n += 1) {
        await redis.control.publish('ETH.trade', `e${n}`);
        await redis.control.publish(CHANNEL, `${n}`);
      }
      await trap.sprung;
      await eventually(() => received.includes('5'));
      expect(received).toEqual(['e1', '1', 'e2', '2', 'e3', 'e4', '4', 'e5', '5']);
    });

    it(`drops a reply and cuts in RESP${protocol}: executed, and not known`, async () => {
      const client = await connect('tradewind-edge-1-commands', protocol);
      const trap = proxy.dropReplyThenCut(([name]) => name === 'set');
      const end = ended(client);
      const before = client.incr('before');
      client.set('key', 'value').catch(() => {});
      expect(await before).toBe(1);
      await end;
      await trap.sprung;
      expect(await redis.control.get('key')).toBe('value');
    });
  }

  it('cuts in the middle of a message', async () => {
    const { client, received } = await subscribe();
    const trap = proxy.cutMidMessage(({ payload }) => payload === '2');
    const end = ended(client);
    for (const n of ['1', '2', '3']) await redis.control.publish(CHANNEL, n);
    await Promise.all([trap.sprung, end]);
    expect(received).toEqual(['1']);
  });

  it('swallows a command and answers in its turn', async () => {
    const client = await connect('tradewind-edge-1-commands');
    proxy.swallowCommand(([name]) => name === 'set', { answer: '+OK\r\n' });
    const answers = await Promise.all([client.incr('n'), client.set('key', 'v'), client.incr('n')]);
    expect(answers).toEqual([1, 'OK', 2]);
    expect(await redis.control.get('key')).toBeNull();
  });

  it('swallows a command and all behind it on its connection', async () => {
    const client = await connect('tradewind-edge-1-commands');
    proxy.swallowCommand(([name]) => name === 'set');
    const answers = Promise.all([client.set('key', 'value'), client.incr('n')]);
    answers.catch(() => {});
    expect(await within(SILENCE_MS, answers)).toBe('silence');
    expect(await redis.control.get('n')).toBeNull();
    expect(client.status).toBe('ready');
  });

  it('reports the commands that pass', async () => {
    const seen: string[] = [];
    using _watch = proxy.watchCommands(([name], link) => seen.push(`${link.name} ${name}`));
    const client = await connect('tradewind-edge-1-commands');
    await client.get('key');
    expect(seen).toContain('tradewind-edge-1-commands get');
  });
});
