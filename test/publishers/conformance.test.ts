import { FUNCTION_LIBRARY } from '@tradewind/bus';
import { findFreePort } from '@tradewind/dev';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CommandFilter, TcpFaultProxy, type Trap } from '../support/faults/tcp-fault-proxy.ts';
import { CLUSTER_SLOTS } from '../support/redis/redis-cluster.ts';
import { type RedisNode, startRedisNode } from '../support/redis/redis-topology.ts';
import { rulesOf } from '../support/redis/redis-with-users.ts';
import { IS_LONG, shortOrLong } from '../support/suite/length.ts';
import { eventually } from '../support/suite/wait.ts';
import { LIBRARIES, removeBuilds } from './libraries.ts';
import type { DriverResult, PublisherDriver } from './publisher-driver.ts';
import { expand, payloadOf, VECTORS, type VectorItem } from './vectors.ts';

/** Includes an installation by apt, and the build of a driver. */
const START_DEADLINE_MS = 300_000;

/** What survives a restart: everything that was answered. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** A deadline for calls that must fail, in ms. */
const SHORT_DEADLINE_MS = 1_500;

/** What a user needs beside the rights of its role to send scripts. */
const SCRIPTS = ['+eval', '+evalsha', '+script|load'];

/** A refusal that ends by itself. */
const OOM = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

/** Arguments of a node that is a Cluster by itself, and is reached from outside at another port. */
async function clusterArguments(announcedPort: number): Promise<readonly string[]> {
  return [
    ...['--cluster-enabled', 'yes', '--cluster-port', String(await findFreePort())],
    ...['--cluster-announce-ip', '127.0.0.1', '--cluster-announce-port', String(announcedPort)],
  ];
}

async function ownAllSlots({ control }: RedisNode): Promise<void> {
  await control.call('CLUSTER', 'ADDSLOTSRANGE', '0', String(CLUSTER_SLOTS - 1));
  await eventually(async () => String(await control.cluster('INFO')).includes('state:ok'));
}

const isPublish: CommandFilter = ([name = '']) => /^(evalsha|eval|fcall)$/i.test(name);

afterAll(removeBuilds);

/** Clients of a Cluster differ in where they send: `npm test` has that in `cluster.test.ts`, and all of this on one server. */
const SHORT = LIBRARIES.filter(({ isCluster }) => !isCluster);

describe.each(shortOrLong(SHORT, LIBRARIES))('$name', (library) => {
  let redis: RedisNode;
  let proxy: TcpFaultProxy;
  let driver: PublisherDriver;
  let missing: string | undefined;
  /** The publishing commands of a test, in their order, with the link that they came over. */
  let calls: { readonly words: readonly string[]; readonly link: number }[] = [];

  beforeAll(async () => {
    proxy = await TcpFaultProxy.start({ host: '127.0.0.1', port: 1, speaks: 'redis' });
    // By arguments, because it must survive a restart.
    const rules = [...rulesOf('ingest'), ...(library.rights ?? []), ...SCRIPTS];
    const user = ['--user', 'publisher', '>secret', ...rules];
    const cluster = library.isCluster ? await clusterArguments(proxy.port) : [];
    redis = await startRedisNode({ args: [...DURABLE, ...user, ...cluster] });
    proxy.retarget(redis);
    if (library.isCluster) await ownAllSlots(redis);
    proxy.watchCommands((words, { number }) => {
      if (isPublish(words)) calls.push({ words, link: number });
    });
    const started = await library.start(urlOf('publisher'));
    if (typeof started === 'string') missing = started;
    else driver = started;
  }, START_DEADLINE_MS);

  afterAll(async () => {
    await driver?.[Symbol.asyncDispose]();
    await proxy?.[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
  });

  beforeEach(({ skip }) => {
    if (missing !== undefined) skip(missing);
    calls = [];
  });

  afterEach(() => proxy.refuse(false));

  async function setUser(name: string, rules: readonly string[]): Promise<void> {
    await redis.control.call(
      'ACL',
      'SETUSER',
      name,
      '>secret',
      ...rules,
      ...(library.rights ?? []),
    );
  }

  function urlOf(user: string): string {
    return proxy.url.replace('redis://', `redis://${user}:secret@`);
  }

  async function publishOne(item: VectorItem, deadlineMs?: number): Promise<DriverResult> {
    const options = deadlineMs === undefined ? {} : { deadlineMs };
    const [result] = await driver.publish([item], options);
    return result!;
  }

  /** The payloads of a channel's history, oldest first. */
  async function historyOf(channel: string): Promise<Buffer[]> {
    const entries = await redis.control.xrangeBuffer(`{${channel}}:log`, '-', '+');
    return entries.map(([, fields]) => fields[3]!);
  }

  /** Entries of the ACL log that say that this user sent a script. */
  async function forbiddenScripts(user: string): Promise<number> {
    const entries = (await redis.control.call('ACL', 'LOG')) as readonly unknown[][];
    return entries.filter((entry) => entry.includes(user) && entry.includes('evalsha')).length;
  }

  const writable = ({ json }: VectorItem): boolean => json === undefined || library.encodesObjects;

  it.each(VECTORS.sent.filter(writable))('sends $name', async (vector) => {
    const item = expand(vector);
    const [seconds] = await redis.control.time();
    const result = await publishOne(item);
    expect(result).toMatchObject({ offset: 1, duplicate: false });
    const all = calls[0]!.words.map(String);
    const words = library.isCluster ? all.slice(0, -1) : all;
    if (library.isCluster) expect(all.at(-1)).toBe('sharded');
    if (vector.words !== undefined) {
      expect([words[0]!.toLowerCase(), ...words.slice(1, -1)]).toEqual(vector.words);
    }
    expect(words[9]).not.toBe('');
    const deadline = Number(words.at(-1)) - Number(seconds) * 1_000;
    expect(deadline).toBeGreaterThan(VECTORS.options.deadlineMs - 100);
    // Redis told whole seconds, and a busy machine may have needed some before it sent the call.
    expect(deadline).toBeLessThan(VECTORS.options.deadlineMs + 20_000);
    expect(await historyOf(item.channel)).toEqual([payloadOf(item)]);
  });

  it.each(VECTORS.refused.filter(writable))('refuses $name', async (vector) => {
    expect(await publishOne(expand(vector))).toEqual({
      ...{ code: vector.code, retryable: false, published: 'no' },
    });
    expect(calls).toEqual([]);
  });

  it.each(VECTORS.answers)('reads $name', async ({ resp, result, error }) => {
    using _ = proxy.swallowCommand(isPublish, { answer: resp });
    expect(await publishOne({ channel: 'answers', text: '1' })).toEqual(result ?? error);
    expect(calls).toHaveLength(1);
  });

  it.each(VECTORS.errors.map((error, index) => ({ ...error, channel: `error-${index}` })))(
    'is told $reply once: $then',
    async ({ reply, then, channel, ...error }) => {
      await publishOne({ channel: 'warm', text: '1' });
      calls = [];
      using _ = proxy.swallowCommand(isPublish, { answer: `-${reply}\r\n` });
      const result = await publishOne({ channel, text: '1' });
      if (then === 'fail') {
        expect(result).toEqual({ ...error });
        expect(calls).toHaveLength(1);
        expect(await historyOf(channel)).toEqual([]);
        return;
      }
      expect(result).toMatchObject({ offset: 1, duplicate: false });
      expect(await historyOf(channel)).toHaveLength(1);
      expect(calls.length).toBeGreaterThan(1);
      expect(new Set(calls.map(({ words }) => words[9])).size, 'the same key').toBe(1);
      // A client of a Cluster finds the master by itself, without another connection.
      if (then === 'reconnect' && !library.isCluster)
        expect(calls[1]!.link).toBeGreaterThan(calls[0]!.link);
      if (then === 'otherwise') expect(calls[1]!.words[0]).toMatch(/^eval$/i);
    },
  );

  const passing = VECTORS.errors.filter(({ then }) => then === 'again' || then === 'reconnect');
  // Each takes its whole deadline.
  const inShort = passing.filter(({ code }) => code === 'LOADING' || code === 'READONLY');

  it.each(shortOrLong(inShort, passing))(
    'is told $code until the deadline',
    async ({ reply, code, retryable }) => {
      using _ = proxy.swallowCommand(isPublish, {
        answer: `-${reply}\r\n`,
        times: Number.POSITIVE_INFINITY,
      });
      const result = await publishOne({ channel: 'a', text: '1' }, SHORT_DEADLINE_MS);
      // Whether it was published is unknown if the deadline cuts the last try short, on a busy machine.
      expect(result).toMatchObject({ code, retryable });
      expect(calls.length).toBeGreaterThan(1);
    },
  );

  it('publishes once when the answer is lost', async () => {
    using _ = proxy.dropReplyThenCut(isPublish);
    const result = await publishOne({ channel: 'lost-answer', text: '1' });
    expect(result).toMatchObject({ offset: 1, duplicate: true });
    expect(await historyOf('lost-answer')).toHaveLength(1);
  });

  it('publishes once over a new connection when the old one falls silent', async () => {
    using _ = proxy.swallowCommand(isPublish);
    expect(await publishOne({ channel: 'silent', text: '1' })).toMatchObject({ offset: 1 });
    expect(calls.at(-1)!.link).toBeGreaterThan(calls[0]!.link);
    expect(await historyOf('silent')).toHaveLength(1);
  });

  it('gives up at the deadline while Redis is not reachable, and works again afterwards', async () => {
    proxy.refuse(true);
    proxy.cut();
    const result = await publishOne({ channel: 'away', text: '1' }, SHORT_DEADLINE_MS);
    expect(result).toMatchObject({ retryable: true });
    expect(result).toHaveProperty('code', expect.stringMatching(/^(CONNECTION|TIMEOUT)$/));
    proxy.refuse(false);
    await eventually(async () => 'offset' in (await publishOne({ channel: 'away', text: '2' })));
    expect(await historyOf('away')).toContainEqual(Buffer.from('2'));
  });

  it('answers the first position to a known key', async () => {
    const item = { channel: 'known', text: '1', key: 'trade-1' };
    const first = await publishOne(item);
    expect(first).toMatchObject({ offset: 1, duplicate: false });
    await publishOne({ ...item, key: 'trade-2' });
    expect(await publishOne(item)).toEqual({ ...first, duplicate: true });
    expect(await historyOf('known')).toHaveLength(2);
  });

  it('is refused what Redis holds otherwise', async () => {
    await redis.control.set('{typed}:log', 'x');
    const error = { retryable: false, published: 'no' };
    expect(await publishOne({ channel: 'typed', text: '1' })).toEqual({ code: 'TWTYPE', ...error });
    await redis.control.set('{odd}:meta', 'x');
    expect(await publishOne({ channel: 'odd', text: '1' })).toEqual({ code: 'TWMETA', ...error });
  });

  /** 100 publications on three channels, with the number as payload. */
  const many = Array.from({ length: 100 }, (_, i) => ({ channel: `many-${i % 3}`, text: `${i}` }));

  async function expectInOrder(results: readonly DriverResult[], channel: string): Promise<void> {
    expect(results.filter((result) => 'code' in result)).toEqual([]);
    const numbers = (await historyOf(channel)).map((payload) => Number(payload.toString()));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(new Set(numbers).size).toBe(numbers.length);
  }

  it('publishes many in a pipeline, in order, when Redis has forgotten the script', async () => {
    await redis.control.script('FLUSH');
    const results = await driver.publish(many, { many: true });
    expect(results).toHaveLength(many.length);
    for (const channel of ['many-0', 'many-1', 'many-2']) await expectInOrder(results, channel);
    expect(await historyOf('many-0')).toHaveLength(34);
  });

  it('keeps the order when Redis forgets the script in the middle of a pipeline', async () => {
    const items = many.map(({ text }) => ({ channel: 'flushed', text }));
    await publishOne({ channel: 'warm', text: '1' });
    calls = [];
    using _ = proxy.swallowCommand(isPublish, {
      ...{ answer: '-NOSCRIPT No matching script.\r\n', nth: 51, times: 50 },
    });
    await expectInOrder(await driver.publish(items, { many: true }), 'flushed');
    expect(await historyOf('flushed')).toHaveLength(items.length);
    expect(calls).toHaveLength(150);
  });

  it('keeps the order, and publishes once, when the connection is lost in the middle of a pipeline', async () => {
    const items = many.map(({ text }) => ({ channel: 'cut', text }));
    using _ = proxy.dropReplyThenCut(isPublish, { nth: 50 });
    await expectInOrder(await driver.publish(items, { many: true }), 'cut');
    expect(await historyOf('cut')).toHaveLength(items.length);
  });

  it('gives each its own result, and tells one that was overtaken', async () => {
    await publishOne({ channel: 'warm', text: '1' });
    using _ = proxy.swallowCommand(isPublish, { answer: OOM, nth: 2 });
    const results = await driver.publish(
      [
        { channel: 'results', text: '1' },
        { channel: 'not a channel', text: '2' },
        { channel: 'results', text: '3' },
        { channel: 'results', text: '4' },
        { channel: 'others', text: '5' },
      ],
      { many: true },
    );
    expect(results).toEqual([
      expect.objectContaining({ offset: 1 }),
      { code: 'BAD_CHANNEL', retryable: false, published: 'no' },
      { code: 'OVERTAKEN', retryable: true, published: 'no' },
      expect.objectContaining({ offset: 2 }),
      expect.objectContaining({ offset: 1 }),
    ]);
  });

  const losses: [what: string, lose: () => Trap][] = [
    ['executed', () => proxy.dropReplyThenCut(isPublish)],
    ['not executed', () => proxy.swallowCommand(isPublish)],
  ];
  // The second one waits until the client gives the connection up.
  const lossesInShort = losses.slice(0, 1);

  it.each(shortOrLong(lossesInShort, losses))(
    'keeps the order when one is refused and the next is lost, %s',
    async (what, lose) => {
      const channel = `lost-${what.replace(' ', '-')}`;
      await publishOne({ channel: 'warm', text: '1' });
      using _refused = proxy.swallowCommand(isPublish, { answer: OOM });
      using _lost = lose();
      const items = ['1', '2', '3'].map((text) => ({ channel, text }));
      const results = await driver.publish(items, { many: true });
      // Which of them depends on the Redis client, which may send what was in flight again by itself.
      const published = items.filter((_item, i) => 'offset' in results[i]!);
      expect((await historyOf(channel)).map(String)).toEqual(published.map(({ text }) => text));
      expect(published.length).toBeGreaterThanOrEqual(2);
      for (const result of results.filter((each) => 'code' in each))
        expect(result).toEqual({ code: 'OVERTAKEN', retryable: true, published: 'no' });
    },
  );

  // It waits until the client gives the connection up, as the one that falls silent does.
  it.runIf(IS_LONG)('keeps the order when one is lost, and then refused', async () => {
    await publishOne({ channel: 'warm', text: '1' });
    using _lost = proxy.swallowCommand(isPublish);
    using _refused = proxy.swallowCommand(isPublish, { answer: OOM });
    const items = ['1', '2'].map((text) => ({ channel: 'lost-then-refused', text }));
    const results = await driver.publish(items, { many: true });
    const published = items.filter((_item, i) => 'offset' in results[i]!);
    const history = (await historyOf('lost-then-refused')).map(String);
    expect(history).toEqual(published.map(({ text }) => text));
    expect(history).toContain('2');
  });

  it('calls the function where the user may not EVAL, and says when it is missing', async ({
    skip,
  }) => {
    const version = /redis_version:(\d+)/.exec(await redis.control.info('server'))?.[1];
    if (Number(version) < 7) skip('functions came with Redis 7');
    await setUser('caller', rulesOf('ingest'));
    await redis.control.call('FUNCTION', 'LOAD', 'REPLACE', FUNCTION_LIBRARY);
    const started = await library.start(urlOf('caller'));
    if (typeof started === 'string') return skip(started);
    await using caller = started;
    const publish = async (deadlineMs: number) =>
      (await caller.publish([{ channel: 'function', text: '1' }], { deadlineMs }))[0];
    expect(await publish(5_000)).toMatchObject({ offset: 1, duplicate: false });
    expect(await publish(5_000)).toMatchObject({ offset: 2 });
    expect(calls.map(({ words }) => words[0]!.toLowerCase())).toEqual([
      'evalsha',
      'fcall',
      'fcall',
    ]);
    expect(await forbiddenScripts('caller'), 'control: the script was tried').toBe(1);
    await redis.control.call('FUNCTION', 'FLUSH');
    expect(await publish(SHORT_DEADLINE_MS)).toMatchObject({ code: 'NOFUNCTION', retryable: true });
  });

  it('leaves nothing in the ACL log where it is told to call the function', async ({ skip }) => {
    await setUser('quiet', rulesOf('ingest'));
    await redis.control.call('FUNCTION', 'LOAD', 'REPLACE', FUNCTION_LIBRARY);
    const started = await library.start(urlOf('quiet'), true);
    if (typeof started === 'string') return skip(started);
    await using quiet = started;
    const items = ['1', '2'].map((text) => ({ channel: 'quiet', text }));
    const results = await quiet.publish(items, { many: true });
    expect(results).toMatchObject([{ offset: 1 }, { offset: 2 }]);
    expect(calls.map(({ words }) => words[0]!.toLowerCase())).toEqual(['fcall', 'fcall']);
    expect(await forbiddenScripts('quiet')).toBe(0);
  });

  it('is refused a channel that the user may not publish to', async ({ skip }) => {
    await setUser('narrow', [...rulesOf('publisher'), ...SCRIPTS]);
    const started = await library.start(urlOf('narrow'));
    if (typeof started === 'string') return skip(started);
    await using narrow = started;
    expect(await narrow.publish([{ channel: 'ETH.trade', text: '1' }])).toEqual([
      { code: 'NOPERM', retryable: false, published: 'no' },
    ]);
  });

  it('publishes 100 once each while answers are lost and Redis dies', async () => {
    const results: DriverResult[] = [];
    for (let i = 0; i < 100; i += 1) {
      using trap = i % 20 === 10 ? proxy.dropReplyThenCut(isPublish) : undefined;
      const restarted = i === 50 ? redis.restart('empty') : undefined;
      results.push(await publishOne({ channel: 'hundred', text: `${i}` }, 30_000));
      await restarted;
      if (trap !== undefined) expect(trap.count).toBe(1);
    }
    const history = (await historyOf('hundred')).map(String);
    expect(results.filter((result) => 'code' in result)).toEqual([]);
    expect(history).toEqual(results.map((_, i) => `${i}`));
  });
});
