import type { Redis } from 'ioredis';

/** What a Redis has done since it started. */
export interface RedisReading {
  /** ms on the clock of `performance.now`. */
  readonly atMs: number;
  /** CPU time, user and system, of all its threads. */
  readonly cpuSeconds: number;
  /** Executed commands by name; those that a script calls count as well. */
  readonly calls: ReadonlyMap<string, number>;
}

/** What it did between two moments. */
export interface RedisUsage {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly calls: Readonly<Record<string, number>>;
}

/** How a reading asks. It counts itself, so that it is left out. */
const READING_COMMAND = 'info';

export async function readRedis(redis: Redis): Promise<RedisReading> {
  return parseRedisReading(await redis.info('cpu', 'commandstats'), performance.now());
}

export function parseRedisReading(info: string, atMs: number): RedisReading {
  const seconds = (field: string): number =>
    Number(new RegExp(`^${field}:(\\S+)`, 'm').exec(info)?.[1] ?? Number.NaN);
  const stats = info.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm);
  return {
    atMs,
    cpuSeconds: seconds('used_cpu_user') + seconds('used_cpu_sys'),
    calls: new Map(Array.from(stats, ([, name, calls]) => [name as string, Number(calls)])),
  };
}

export function redisUsageBetween(before: RedisReading, after: RedisReading): RedisUsage {
  const calls: Record<string, number> = {};
  for (const [name, count] of after.calls) {
    const more = count - (before.calls.get(name) ?? 0);
    if (more > 0 && name !== READING_COMMAND) calls[name] = more;
  }
  return {
    seconds: (after.atMs - before.atMs) / 1_000,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    calls,
  };
}

/** How many commands that was. */
export function callsOf(usage: RedisUsage): number {
  return Object.values(usage.calls).reduce((sum, count) => sum + count, 0);
}
