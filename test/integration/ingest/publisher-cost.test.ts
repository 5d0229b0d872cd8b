import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bringServer,
  connectRaw,
  type RedisWithUsers,
  type Role,
  startRedisWithUsers,
} from '../../support/redis/redis-with-users.ts';
import { IS_LONG } from '../../support/suite/length.ts';

/** Includes the time in which pip fetches Valkey. */
const START_DEADLINE_MS = 240_000;

/** How long a publisher may keep Redis from answering others. */
const STALL_LIMIT_MS = 50;

/** The best of some tries counts: cold caches, and whatever shares them, can only make one longer. */
const TRIES = 3;

/** As `proto-max-bulk-len` of infra/redis/redis.conf. */
const LARGEST_ARGUMENT = 1_048_576;

const META = '{BTC.a}:meta';
const LOG = '{BTC.a}:log';

const call = (payload: string, historySize: number) => [
  ...['FCALL', 'tradewind_publish_1', '2', META, LOG],
  ...['BTC.a', payload, String(historySize), '0', '', '0', '0'],
];
const many = (count: number): string[] => Array.from({ length: count }, () => 'x');

interface Attack {
  readonly name: string;
  /** Takes seconds to prepare: `npm test` has it on one of the two servers. */
  readonly isLong?: boolean;
  /** What is there already. It is not measured. */
  readonly prepare?: (admin: Redis) => Promise<unknown>;
  readonly words: readonly string[];
}

/** Fills the channel's history. */
async function fill(admin: Redis, count: number, bytes: number): Promise<void> {
  const [command = '', ...args] = call('x'.repeat(bytes), count);
  for (let sent = 0; sent < count; sent += 1_000) {
    const pipeline = admin.pipeline();
    for (let i = 0; i < 1_000; i += 1) pipeline.call(command, ...args);
    await pipeline.exec();
  }
}

const ATTACKS: readonly Attack[] = [
  { name: 'the largest payload', words: call('x'.repeat(LARGEST_ARGUMENT), 10) },
  { name: 'the largest plain one', words: ['PUBLISH', 'BTC.a', 'x'.repeat(LARGEST_ARGUMENT)] },
  {
    name: 'a meta as large, which the function reads',
    prepare: (admin) => admin.set(META, 'x'.repeat(LARGEST_ARGUMENT)),
    words: call('1', 10),
  },
  {
    name: 'the longest history, trimmed to one',
    isLong: true,
    prepare: (admin) => fill(admin, 100_000, 100),
    words: call('1', 1),
  },
  {
    name: 'a history, deleted by the function',
    prepare: (admin) => fill(admin, 20_000, 1_000),
    words: call('1', 0),
  },
  {
    name: 'a history, deleted by DEL',
    prepare: (admin) => fill(admin, 20_000, 1_000),
    words: ['DEL', LOG],
  },
  { name: 'a call with 100,000 arguments', words: call('1', 10).concat(many(100_000)) },
  { name: 'an entry with 50,000 fields', words: ['XADD', LOG, '*'].concat(many(100_000)) },
];

async function mainThreadMs(admin: Redis): Promise<number> {
  const info = await admin.info('cpu');
  const seconds = [...info.matchAll(/^used_cpu_(?:sys|user)_main_thread:([\d.]+)/gm)];
  expect(seconds).toHaveLength(2);
  return seconds.reduce((sum, [, each]) => sum + Number(each), 0) * 1_000;
}

describe.each(['redis', 'valkey'] as const)('a publisher on %s', (kind) => {
  let redis: RedisWithUsers | undefined;

  beforeAll(async () => {
    const program = await bringServer(kind);
    redis = program === undefined ? undefined : await startRedisWithUsers(program);
  }, START_DEADLINE_MS);

  afterAll(async () => {
    await redis?.[Symbol.asyncDispose]();
  });

  /**
   * What an attack costs the thread that answers everybody, in ms of its CPU time, in the best of some tries: no one is kept
   * waiting for longer by it alone. A clock would count what else runs on the machine.
   */
  async function stallOf(role: Role, { prepare, words }: Attack): Promise<number> {
    const { admin, servers } = redis!;
    await using by = await connectRaw(servers[0]!.port, role);
    const stalls: number[] = [];
    for (let i = 0; i < TRIES; i += 1) {
      await admin.del(META, LOG);
      await prepare?.(admin);
      const before = await mainThreadMs(admin);
      expect(await by.ask(words)).not.toMatch(/^-NOPERM/);
      stalls.push((await mainThreadMs(admin)) - before);
    }
    return Math.min(...stalls);
  }

  it.for(ATTACKS.filter(({ isLong }) => IS_LONG || kind === 'redis' || isLong !== true))(
    'cannot stop it for 50 ms: $name',
    { timeout: 120_000 },
    async (attack, { skip }) => {
      if (redis === undefined) skip(`there is no ${kind} here, and pip cannot fetch one`);
      expect(await stallOf('publisher', attack)).toBeLessThan(STALL_LIMIT_MS);
    },
  );

  it('control: who may send a script stops it for as long as the script says', async ({ skip }) => {
    if (redis === undefined) skip(`there is no ${kind} here, and pip cannot fetch one`);
    const words = ['EVAL', 'for i = 1, 3e7 do end return 1', '0'];
    expect(await stallOf('admin', { name: 'a loop', words })).toBeGreaterThan(STALL_LIMIT_MS);
  });
});
