import { readFileSync } from 'node:fs';
import {
  type Commands,
  FUNCTION_LIBRARY,
  logKey,
  metaKey,
  onceKey,
  PUBLISH_SCRIPT,
  type PublishedPosition,
  publishArguments,
  publishKeys,
  RedisCommands,
  readHeader,
  type SequencedPublication,
} from '@tradewind/bus';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startCommands as startCommandsOf } from '../../support/redis/bus-of-mode.ts';
import {
  connectBackend,
  errorReplies,
  IS_CLUSTER,
  startReceiver as receive,
} from '../../support/redis/redis-mode.ts';
import { redisOfEachTest } from '../../support/redis/redis-of-each-test.ts';
import { eventually } from '../../support/suite/wait.ts';

const DOCUMENT = readFileSync(new URL('../../../docs/publishing.md', import.meta.url), 'utf8');

const redis = redisOfEachTest();
let admin: Redis;

beforeEach(() => {
  admin = connectBackend(redis.current);
});

afterEach(() => {
  admin.disconnect();
});

/** @param login `user:password@`, or nothing. */
async function startCommands(login = ''): Promise<Commands> {
  const { commands, isUp } = startCommandsOf(redis.current, login);
  onTestFinished(() => commands.stop());
  await eventually(isUp);
  return commands;
}

/** The commands to one Redis, which a cluster has for each master. */
async function startRedisCommands(login = ''): Promise<RedisCommands> {
  const commands = await startCommands(login);
  if (!(commands instanceof RedisCommands)) throw new Error('these are the commands to a cluster');
  return commands;
}

/** Collects what subscribers of `channel` receive, header and payload. */
async function startReceiver(channel: string): Promise<string[]> {
  const received: string[] = [];
  const subscriber = await receive(redis.current, channel, (payload) => {
    received.push(payload.toString());
  });
  onTestFinished(() => subscriber.disconnect());
  return received;
}

/** The server that has the channel `a`. */
async function server(): Promise<Redis> {
  return (await redis.current.cluster?.masterOf('a'))?.control ?? admin;
}

/** ARGV of a publication that subscribers of this mode receive. */
function argumentsOf(changes: Partial<SequencedPublication> = {}) {
  return publishArguments(publication(changes), IS_CLUSTER);
}

function publication(changes: Partial<SequencedPublication> = {}): SequencedPublication {
  return {
    channel: 'a',
    payload: 'x',
    historySize: 100,
    historyTtlMs: 60_000,
    idempotencyWindowMs: 60_000,
    ...changes,
  };
}

function payloadOf(message: string): string {
  const bytes = Buffer.from(message);
  const header = readHeader(bytes);
  return header.kind === 'sequenced' ? bytes.subarray(header.payloadAt).toString() : header.kind;
}

/** Bytes that Redis has sent to all clients so far. */
async function sentBytes(): Promise<number> {
  return Number(/total_net_output_bytes:(\d+)/.exec(await (await server()).info('stats'))?.[1]);
}

async function dump(): Promise<Record<string, unknown>> {
  const keys = (await admin.keys('*')).sort();
  const dumps = await Promise.all(keys.map((key) => admin.dumpBuffer(key)));
  return Object.fromEntries(keys.map((key, index) => [key, dumps[index]?.toString('hex')]));
}

describe('a sequenced publication', () => {
  it('is numbered, kept and published in the order of the calls', async () => {
    const received = await startReceiver('a');
    const commands = await startCommands();
    const before = Date.now();
    const numbers = Array.from({ length: 1_000 }, (_, index) => String(index));
    const positions = await Promise.all(
      numbers.map((payload) => commands.publishSequenced(publication({ payload }))),
    );
    const epoch = positions[0]?.epoch ?? '';
    expect(epoch).toMatch(/^[a-z0-9]{1,16}$/);
    expect(positions).toEqual(
      numbers.map((_, index) => ({ epoch, offset: index + 1, duplicate: false })),
    );
    await eventually(() => received.length === numbers.length);
    expect(received.map(payloadOf)).toEqual(numbers);
    expect(readHeader(Buffer.from(received[41] ?? ''))).toMatchObject({ epoch, offset: 42 });

    const history = await commands.readHistory('a', 0, 1_000);
    expect(history.position).toEqual({ epoch, offset: 1_000 });
    expect(history.publications.map(({ offset }) => offset)).toEqual(
      Array.from({ length: 100 }, (_, index) => 901 + index),
    );
    for (const { offset, payload, publishedAt } of history.publications) {
      expect(payload.toString()).toBe(numbers[offset - 1]);
      expect(publishedAt).toBeGreaterThanOrEqual(before - 1);
    }
    expect(await admin.ttl(metaKey('a'))).toBe(-1);
  });

  it('keeps any bytes unchanged', async () => {
    const commands = await startCommands();
    const payload = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256));
    await commands.publishSequenced(publication({ payload }));
    const { publications } = await commands.readHistory('a', 1, 10);
    expect(publications[0]?.payload).toEqual(payload);
  });

  it('has its position read from meta without the rest of meta, if the ACL allows it', async () => {
    const HUGE = 20 * 1024 * 1024;
    await admin.call('ACL', 'SETUSER', 'before', 'on', '>secret', '+@all', '-getrange', '~*', '&*');
    const limited = await startCommands();
    const whole = await startCommands('before:secret@');
    await admin.set(metaKey('a'), 'k'.repeat(HUGE));
    const bytesToRead = async (commands: Commands): Promise<number> => {
      const before = await sentBytes();
      expect((await commands.readHistory('a', 1, 10)).position).toBeUndefined();
      return (await sentBytes()) - before;
    };
    expect(await bytesToRead(limited)).toBeLessThan(HUGE / 10);
    expect(await bytesToRead(whole), 'control: GET').toBeGreaterThan(HUGE);
    await admin.set(metaKey('a'), 'e:7');
    for (const commands of [limited, whole]) {
      const { position } = await commands.readHistory('a', 1, 10);
      expect(position).toEqual({ epoch: 'e', offset: 7 });
    }
  });

  it('has its offset written as an integer above 1e14, and begins an epoch after 2^53-1', async () => {
    const received = await startReceiver('a');
    const commands = await startCommands();
    await admin.set(metaKey('a'), 'old:99999999999999');
    expect(await commands.publishSequenced(publication())).toMatchObject({ offset: 1e14 });
    expect(await admin.get(metaKey('a'))).toBe('old:100000000000000');
    await admin.set(metaKey('a'), 'old:9007199254740990');
    await admin.del(logKey('a'));
    // Does not use the answer, because ioredis reads integers near 2^53 wrongly.
    await commands.publishSequenced(publication());
    const last = { epoch: 'old', offset: Number.MAX_SAFE_INTEGER };
    const history = await commands.readHistory('a', last.offset, 1);
    expect(history).toMatchObject({ position: last, publications: [{ offset: last.offset }] });
    const next = await commands.publishSequenced(publication());
    expect(next.offset).toBe(1);
    expect(next.epoch).not.toBe('old');
    expect((await commands.readHistory('a', 0, 10)).publications).toHaveLength(1);
    await eventually(() => received.length === 3);
    expect(received[0]).toContain('@1:old:100000000000000:');
    expect(received[1]).toContain('@1:old:9007199254740991:');
  });

  it('keeps exactly the requested length of history, for exactly the requested time', async () => {
    const commands = await startCommands();
    const log = logKey('a');
    for (let index = 0; index < 10; index += 1)
      await commands.publishSequenced(publication({ historySize: 3, historyTtlMs: 50_000 }));
    expect(await admin.xlen(log)).toBe(3);
    expect(await admin.pttl(log)).toBeGreaterThan(40_000);
    await commands.publishSequenced(publication({ historySize: 5, historyTtlMs: 0 }));
    expect(await admin.pttl(log)).toBe(-1);
    await commands.publishSequenced(publication({ historySize: 0 }));
    expect(await admin.exists(log)).toBe(0);

    await commands.publishSequenced(publication({ historyTtlMs: 1 }));
    await eventually(async () => (await admin.exists(log)) === 0);
    const after = await commands.publishSequenced(publication());
    expect(after.offset).toBe(14);
    const { publications } = await commands.readHistory('a', 0, 10);
    expect(publications.map(({ offset }) => offset)).toEqual([14]);
  });

  it('begins a new epoch without the old history if meta is gone', async () => {
    const commands = await startCommands();
    const first = await commands.publishSequenced(publication());
    await commands.publishSequenced(publication());
    await admin.del(metaKey('a'));
    const second = await commands.publishSequenced(publication({ payload: 'new' }));
    expect(second.offset).toBe(1);
    expect(second.epoch).not.toBe(first.epoch);
    const { publications } = await commands.readHistory('a', 0, 10);
    expect(publications.map(({ payload }) => payload.toString())).toEqual(['new']);
  });

  it('drops a history that is ahead of meta, which was reset by hand', async () => {
    const commands = await startCommands();
    for (let index = 0; index < 5; index += 1) await commands.publishSequenced(publication());
    await admin.set(metaKey('a'), 'hand:2');
    expect(await commands.publishSequenced(publication())).toMatchObject({ offset: 3 });
    const { publications } = await commands.readHistory('a', 0, 10);
    expect(publications.map(({ offset }) => offset)).toEqual([3]);
  });
});

describe('an idempotency key', () => {
  it('publishes once, for any number of uses over any connections', async () => {
    const received = await startReceiver('a');
    const commands = await startCommands();
    const call = publication({ idempotencyKey: 'trade-1' });
    const first = await Promise.all(
      Array.from({ length: 100 }, () => commands.publishSequenced(call)),
    );
    expect(first.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually(async () =>
      expect(await commands.publishSequenced(call)).toMatchObject({ duplicate: true }),
    );
    const positions = [...first, await commands.publishSequenced(call)];
    expect(new Set(positions.map(({ epoch, offset }) => `${epoch}:${offset}`)).size).toBe(1);
    expect(await commands.publishSequenced(publication({ payload: 'end' }))).toMatchObject({
      offset: 2,
    });
    await eventually(() => received.length === 2);
    expect(received.map(payloadOf)).toEqual(['x', 'end']);
  });

  it('belongs to its channel, and is forgotten after its window', async () => {
    const commands = await startCommands();
    const call = publication({ idempotencyKey: 'k', idempotencyWindowMs: 60_000 });
    await commands.publishSequenced(call);
    const elsewhere = await commands.publishSequenced({ ...call, channel: 'b' });
    expect(elsewhere.duplicate).toBe(false);
    expect(await admin.pttl(onceKey('a', 'k'))).toBeGreaterThan(50_000);
    await admin.pexpire(onceKey('a', 'k'), 1);
    await eventually(async () => (await admin.exists(onceKey('a', 'k'))) === 0);
    expect(await commands.publishSequenced(call)).toMatchObject({ offset: 2, duplicate: false });
  });

  it('also answers if it is too late to publish', async () => {
    const commands = await startCommands();
    const call = publication({ idempotencyKey: 'k' });
    const first = await commands.publishSequenced(call);
    expect(await commands.publishSequenced({ ...call, notAfterMs: 1 })).toEqual({
      ...first,
      duplicate: true,
    });
  });
});

describe('notAfterMs', () => {
  it('keeps a frozen Redis from executing a stale publication, which is executed without it', async () => {
    const received = await startReceiver('a');
    const commands = await startCommands();
    await commands.publishSequenced(publication({ payload: 'before' }));
    await redis.current.freeze();
    const outcomes = Promise.allSettled([
      commands.publishSequenced(publication({ payload: 'late', notAfterMs: Date.now() + 500 })),
      commands.publishSequenced(publication({ payload: 'control', notAfterMs: 0 })),
    ]);
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ reason: { outcome: 'unknown' } });
    await redis.current.thaw();
    await eventually(() => received.length >= 2);
    await eventually(() => commands.available);
    await commands.publishSequenced(publication({ payload: 'after' }));
    await eventually(() => received.length >= 3);
    expect(received.map(payloadOf)).toEqual(['before', 'control', 'after']);
  });

  it('is reported as TWLATE if Redis paused past it', async () => {
    const commands = await startCommands();
    await commands.publishSequenced(publication());
    await admin.client('PAUSE', 300, 'WRITE');
    await expect(
      commands.publishSequenced(publication({ notAfterMs: Date.now() + 100 })),
    ).rejects.toMatchObject({ name: 'RedisRefusedError', code: 'TWLATE' });
    expect(await commands.publishSequenced(publication())).toMatchObject({ offset: 2 });
  });
});

describe('numbers with leading zeros', () => {
  it('are read as the same numbers everywhere', async () => {
    const received = await startReceiver('a');
    const args = ['a', 'x', '0100', '0600000', 'k', '0600000', '04102444800000'];
    if (IS_CLUSTER) args.push('sharded');
    const call = () => admin.eval(PUBLISH_SCRIPT.text, 2, ...publishKeys('a'), ...args);
    const [epoch] = (await call()) as [string];
    expect(await call()).toEqual([epoch, 1, 1]);
    for (const key of [logKey('a'), onceKey('a', 'k')]) {
      expect(await admin.pttl(key)).toBeGreaterThan(590_000);
      expect(await admin.pttl(key)).toBeLessThanOrEqual(600_000);
    }
    expect(await admin.xlen(logKey('a'))).toBe(1);
    await eventually(() => received.length === 1);
  });
});

describe('a refused publication changes nothing', () => {
  it.each([
    // Without a name there is no hash tag, so a Cluster refuses the keys before the script is run.
    [IS_CLUSTER ? 'CROSSSLOT' : 'TWARG', { channel: '' }],
    ['TWARG', { channel: 'a{b' }],
    ['TWARG', { channel: 'tw:probe' }],
    ['TWARG', { channel: 'tw:heartbeat:x' }],
    ['TWARG', { channel: 'a'.repeat(129) }],
    ['TWARG', { historySize: -1 }],
    ['TWARG', { historySize: 1.5 }],
    ['TWARG', { historySize: 100_001 }],
    ['TWARG', { historyTtlMs: -1 }],
    ['TWARG', { historyTtlMs: 2 ** 53 }],
    ['TWARG', { historyTtlMs: 1e21 }],
    ['TWARG', { idempotencyKey: 'k'.repeat(129) }],
    ['TWARG', { idempotencyKey: 'k', idempotencyWindowMs: 0 }],
    ['TWARG', { idempotencyWindowMs: Number.NaN }],
    ['TWARG', { notAfterMs: -1 }],
    ['TWLATE', { notAfterMs: 1 }],
  ] as const)('%s for %j', async (code, changes) => {
    const commands = await startCommands();
    await expect(commands.publishSequenced(publication(changes))).rejects.toMatchObject({ code });
    expect(await dump()).toEqual({});
  });

  it.each([
    ['TWTYPE', 'meta', (key: string) => admin.lpush(key, 'x')],
    ['TWTYPE', 'log', (key: string) => admin.set(key, 'x')],
    ['TWTYPE', 'once:k', (key: string) => admin.lpush(key, 'x')],
    ['TWMETA', 'meta', (key: string) => admin.set(key, 'x')],
    ['TWMETA', 'meta', (key: string) => admin.set(key, 'a:9007199254740992')],
    ['TWMETA', 'meta', (key: string) => admin.set(key, `${'a'.repeat(17)}:1`)],
    ['TWMETA', 'once:k', (key: string) => admin.set(key, 'x')],
  ] as const)('%s for a broken %s', async (code, name, breakIt) => {
    const received = await startReceiver('a');
    const commands = await startCommands();
    await breakIt(`{a}:${name}`);
    const before = await dump();
    await expect(
      commands.publishSequenced(publication({ idempotencyKey: 'k' })),
    ).rejects.toMatchObject({ code });
    expect(await dump()).toEqual(before);
    expect(received).toEqual([]);
  });

  it('TWARG for keys of another channel, and for too few arguments', async () => {
    const args = argumentsOf();
    const calls = [
      [publishKeys('b'), args],
      [publishKeys('a').toReversed(), args],
      [publishKeys('a'), args.slice(1)],
      [['{a}:meta'], args],
    ] as const;
    for (const [keys, values] of calls)
      await expect(
        admin.eval(PUBLISH_SCRIPT.text, keys.length, ...keys, ...values),
      ).rejects.toThrow(/^TWARG /);
    expect(await dump()).toEqual({});
  });

  it.each([{ renewed: false }, { renewed: true }])(
    'OOM if Redis is full, a new epoch $renewed',
    async ({ renewed }) => {
      const received = await startReceiver('a');
      const commands = await startCommands();
      await commands.publishSequenced(publication());
      if (renewed) await admin.del(metaKey('a'));
      const before = await dump();
      await admin.config('SET', 'maxmemory', '1');
      for (const historySize of [100, 0])
        await expect(
          commands.publishSequenced(publication({ historySize, idempotencyKey: 'k' })),
        ).rejects.toMatchObject({ code: 'OOM' });
      if (renewed)
        await expect(commands.startEpoch('a', undefined)).rejects.toMatchObject({ code: 'OOM' });
      await admin.config('SET', 'maxmemory', '0');
      expect(await dump()).toEqual(before);
      expect(received).toHaveLength(1);
    },
  );

  it.each([
    ['NOREPLICAS', () => admin.config('SET', 'min-replicas-to-write', 9)],
    [
      'MASTERDOWN',
      async () => {
        await admin.config('SET', 'replica-serve-stale-data', 'no');
        await admin.call('REPLICAOF', '127.0.0.1', '1');
      },
    ],
    [
      'BUSY',
      async (its: Redis) => {
        await admin.config('SET', 'busy-reply-threshold', 1);
        const endless = its.duplicate();
        onTestFinished(() => endless.disconnect());
        endless.eval('while true do end', 0).catch(() => {});
        await eventually(async () => {
          await expect(its.get(metaKey('a'))).rejects.toThrow(/^BUSY/);
        });
      },
    ],
  ] as const)('%s, as docs/publishing.md explains', async (word, happen) => {
    if (IS_CLUSTER && word === 'MASTERDOWN') {
      console.log('SKIPPED MASTERDOWN: REPLICAOF is not allowed on a node of a cluster');
      return;
    }
    const received = await startReceiver('a');
    const its = await server();
    await happen(its);
    // Not over a link of the bus, which would be down.
    await expect(
      admin.eval(PUBLISH_SCRIPT.text, 2, ...publishKeys('a'), ...argumentsOf()),
    ).rejects.toThrow(new RegExp(`^${word} `));
    if (word === 'BUSY') await its.script('KILL');
    // The script continues for a moment after it was killed.
    if (!IS_CLUSTER) await eventually(() => admin.call('REPLICAOF', 'NO', 'ONE'));
    await eventually(() => its.get(metaKey('a')));
    expect(await dump()).toEqual({});
    expect(received).toEqual([]);
    expect(DOCUMENT).toContain(`| \`${word}\``);
  });

  it('READONLY on a replica, a heartbeat too', async ({ skip }) => {
    skip(IS_CLUSTER, 'REPLICAOF is not allowed on a node of a cluster');
    const commands = await startRedisCommands();
    await commands.publishSequenced(publication());
    await commands.heartbeat('edge-1', 'token');
    const before = await dump();
    await admin.call('REPLICAOF', '127.0.0.1', '1');
    const readonly = { name: 'RedisRefusedError', code: 'READONLY' };
    // The first refusal ends the link, which then looks for the master again.
    const isRefused = (call: () => Promise<unknown>): Promise<void> =>
      eventually(async () => {
        await expect(call()).rejects.toMatchObject(readonly);
      });
    for (const historySize of [100, 0])
      await isRefused(() => commands.publishSequenced(publication({ historySize })));
    await isRefused(() => commands.heartbeat('edge-1', 'other'));
    const readPosition = async () => (await commands.readHistory('a', 0, 1)).position;
    let position: Awaited<ReturnType<typeof readPosition>>;
    await eventually(async () => {
      position = await readPosition();
    });
    await isRefused(() => commands.startEpoch('a', position?.epoch));
    expect(Object.keys(await dump())).toEqual(Object.keys(before));
    expect(await admin.get(metaKey('a'))).toBe(`${position?.epoch}:1`);
    expect(await admin.get('tw:heartbeat:edge-1')).toBe('token');
  });

  it.each([
    ['the channel', ['allkeys', 'resetchannels', '&b']],
    ['XADD', ['allkeys', 'allchannels', '-xadd']],
    ['the idempotency key', ['~{*}:meta', '~{*}:log', 'allchannels']],
  ])('NOPERM for a user without %s', async (_right, rules) => {
    const received = await startReceiver('a');
    await admin.call('ACL', 'SETUSER', 'publisher', 'on', '>secret', '+@all', ...rules);
    const commands = await startCommands('publisher:secret@');
    await expect(
      commands.publishSequenced(publication({ idempotencyKey: 'k' })),
    ).rejects.toMatchObject({ code: 'NOPERM' });
    expect(await dump()).toEqual({});
    expect(received).toEqual([]);
  });
});

describe('SCRIPT FLUSH', () => {
  /** Publishes numbers through `commands` while the scripts are flushed repeatedly. */
  async function publishUnderFlushes(commands: Commands, name: string, total: number) {
    const outcomes: Promise<PublishedPosition | undefined>[] = [];
    for (let number = 0; number < total; number += 1) {
      const sent = commands.publishSequenced(publication({ payload: `${name}:${number}` }));
      outcomes.push(
        sent.catch((error) => {
          expect(error).toMatchObject({ outcome: 'not-sent' });
          return undefined;
        }),
      );
      if (number % 50 === 49) await new Promise(setImmediate);
      if (number % 400 === 399) void admin.script('FLUSH');
    }
    return await Promise.all(outcomes);
  }

  function numbersOf(received: readonly string[], name: string): number[] {
    const payloads = received.map(payloadOf).filter((payload) => payload.startsWith(`${name}:`));
    return payloads.map((payload) => Number(payload.slice(name.length + 1)));
  }

  async function flushesNoticed(): Promise<number> {
    return (await errorReplies(redis.current)).get('NOSCRIPT') ?? 0;
  }

  it('loses nothing, repeats nothing and keeps the order', async () => {
    const received = await startReceiver('a');
    const commands = await startCommands();
    const total = 10_000;
    const positions = await publishUnderFlushes(commands, 'one', total);
    expect(positions.map((position) => position?.offset)).toEqual(
      Array.from({ length: total }, (_, index) => index + 1),
    );
    await eventually(() => received.length === total);
    expect(numbersOf(received, 'one')).toEqual(Array.from({ length: total }, (_, i) => i));
    expect(await flushesNoticed()).toBeGreaterThan(0);
  });

  it('keeps the order of each of two publishers, and executes nothing that it rejected', async () => {
    const received = await startReceiver('a');
    const publishers = [await startCommands(), await startCommands()];
    const total = 5_000;
    const outcomes = await Promise.all(
      publishers.map((commands, index) => publishUnderFlushes(commands, `p${index}`, total)),
    );
    const accepted = outcomes.map((positions) =>
      positions.flatMap((position, number) => (position === undefined ? [] : [number])),
    );
    await eventually(() => received.length === accepted.flat().length);
    for (const [index, numbers] of accepted.entries())
      expect(numbersOf(received, `p${index}`)).toEqual(numbers);
    expect(await flushesNoticed()).toBeGreaterThan(0);
  });
});

describe('the function library', () => {
  it('does the same by FCALL', async ({ skip }) => {
    const version = /redis_version:(\d+)/.exec(await admin.info('server'))?.[1];
    if (Number(version) < 7) skip('functions came with Redis 7');
    const received = await startReceiver('a');
    const commands = await startCommands();
    await admin.function('LOAD', FUNCTION_LIBRARY);
    const call = (...changes: Parameters<typeof publication>) =>
      admin.fcall('tradewind_publish_1', 2, ...publishKeys('a'), ...argumentsOf(...changes));
    const first = await commands.publishSequenced(publication({ payload: '1' }));
    expect(await call({ payload: '2', idempotencyKey: 'k' })).toEqual([first.epoch, 2, 0]);
    expect(await call({ payload: '2', idempotencyKey: 'k' })).toEqual([first.epoch, 2, 1]);
    await expect(call({ historySize: -1 })).rejects.toThrow(/^TWARG/);
    await expect(call({ notAfterMs: 1 })).rejects.toThrow(/^TWLATE/);
    expect(await admin.fcall('tradewind_epoch_1', 2, ...publishKeys('a'), 'other')).toEqual([
      ...[0, first.epoch, 2],
    ]);
    expect(await commands.publishSequenced(publication({ payload: '3' }))).toMatchObject({
      offset: 3,
    });
    await eventually(() => received.length === 3);
    expect(received.map(payloadOf)).toEqual(['1', '2', '3']);
  });
});

describe('the epoch script', () => {
  it('starts one new epoch for all who expect the same, with offset and history kept', async () => {
    const nodes = await Promise.all(Array.from({ length: 5 }, () => startCommands()));
    const commands = nodes[0] as Commands;
    const { epoch } = await commands.publishSequenced(publication());
    await commands.publishSequenced(publication());
    const starts = await Promise.all(nodes.map((node) => node.startEpoch('a', epoch)));
    expect(starts.filter(({ changed }) => changed)).toHaveLength(1);
    const renewed = starts[0]?.epoch;
    expect(renewed).not.toBe(epoch);
    for (const start of starts) expect(start).toMatchObject({ epoch: renewed, offset: 2 });
    const next = await commands.publishSequenced(publication());
    expect(next).toMatchObject({ epoch: renewed, offset: 3 });
    const { publications } = await commands.readHistory('a', 0, 10);
    expect(publications.map(({ offset }) => offset)).toEqual([1, 2, 3]);
  });

  it('gives a channel without meta its first epoch, only for a caller that expects none', async () => {
    const commands = await startCommands();
    expect(await commands.startEpoch('a', 'old')).toEqual({ changed: false, epoch: '', offset: 0 });
    await admin.xadd(logKey('a'), '7-0', 't', '1', 'p', 'stale');
    const start = await commands.startEpoch('a', undefined);
    expect(start).toMatchObject({ changed: true, offset: 0 });
    expect(await commands.readHistory('a', 0, 10)).toMatchObject({
      position: { epoch: start.epoch, offset: 0 },
      publications: [],
    });
    expect(await commands.startEpoch('a', undefined)).toEqual({ ...start, changed: false });
    expect(await commands.publishSequenced(publication())).toMatchObject({ epoch: start.epoch });
  });

  it('refuses invalid input', async () => {
    const commands = await startCommands();
    await expect(commands.startEpoch('a{', '')).rejects.toMatchObject({ code: 'TWARG' });
    await admin.set(metaKey('a'), 'broken');
    await expect(commands.startEpoch('a', '')).rejects.toMatchObject({ code: 'TWMETA' });
    await admin.lpush(metaKey('b'), 'x');
    await expect(commands.startEpoch('b', '')).rejects.toMatchObject({ code: 'TWTYPE' });
  });
});

describe('reading', () => {
  it('returns a part of the history, and refuses invalid parts', async () => {
    const commands = await startCommands();
    expect(await commands.readHistory('a', 0, 10)).toMatchObject({
      position: undefined,
      publications: [],
    });
    for (let index = 0; index < 10; index += 1) await commands.publishSequenced(publication());
    const offsets = async (from: number, limit: number) =>
      (await commands.readHistory('a', from, limit)).publications.map(({ offset }) => offset);
    expect(await offsets(4, 3)).toEqual([4, 5, 6]);
    expect(await offsets(10, 3)).toEqual([10]);
    expect(await offsets(11, 3)).toEqual([]);
    await admin.set(logKey('b'), 'x');
    await expect(commands.readHistory('b', 0, 1)).rejects.toMatchObject({ code: 'WRONGTYPE' });
  });

  it('distinguishes servers, and returns nothing if INFO is forbidden', async ({ skip }) => {
    skip(IS_CLUSTER, 'it is asked of each master, whose commands are those to one Redis');
    const commands = await startRedisCommands();
    const identity = await commands.serverIdentity();
    expect(identity).toMatch(/^[0-9a-f]{40}:[0-9a-f]{40}$/);
    expect(await commands.serverIdentity()).toBe(identity);
    await admin.call('ACL', 'SETUSER', 'edge', 'on', '>secret', '+@all', '~*', '&*', '-info');
    const edge = await startRedisCommands('edge:secret@');
    expect(await edge.serverIdentity()).toBeUndefined();
    await redis.current.restart();
    await eventually(async () => expect(await commands.serverIdentity()).not.toBe(identity));
  });

  it('writes a heartbeat that expires and is published', async ({ skip }) => {
    skip(IS_CLUSTER, 'it is sent to each master, whose commands are those to one Redis');
    const received = await startReceiver('tw:probe:edge-1');
    const commands = await startRedisCommands();
    await commands.heartbeat('edge-1', 'token-1');
    await eventually(() => received.length === 1);
    expect(received).toEqual(['token-1']);
    expect(await admin.get('tw:heartbeat:edge-1')).toBe('token-1');
    expect(await admin.pttl('tw:heartbeat:edge-1')).toBeGreaterThan(20_000);
  });
});
