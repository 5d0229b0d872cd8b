import type { Redis } from 'ioredis';

/** Counters of a Redis since it started. */
export interface RedisReading {
  /** ms on the clock of `performance.now`. */
  readonly atMs: number;
  /** CPU time, user and system, of all its threads. */
  readonly cpuSeconds: number;
  /** Executed commands by name, including those that a script calls. */
  readonly calls: ReadonlyMap<string, number>;
}

/** Its work between two readings. */
export interface RedisUsage {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly calls: Readonly<Record<string, number>>;
}

/** The command of a reading. It counts itself, so it is left out. */
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

/** The number of commands that were executed. */
export function callsOf(usage: RedisUsage): number {
  return Object.values(usage.calls).reduce((sum, count) => sum + count, 0);
}
