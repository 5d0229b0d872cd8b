import { expect, it } from 'vitest';
import { callsOf, parseRedisReading, redisUsageBetween } from './redis-usage.ts';

/** The answer of Redis 7 to `INFO cpu commandstats`. */
function info(user: number, system: number, calls: Readonly<Record<string, number>>): string {
  const stats = Object.entries(calls).map(
    ([name, count]) => `cmdstat_${name}:calls=${count},usec=9,usec_per_call=1.00,rejected_calls=3`,
  );
  const cpu = [
    `used_cpu_sys:${system}`,
    `used_cpu_user:${user}`,
    'used_cpu_sys_children:7.0',
    'used_cpu_user_children:7.0',
    'used_cpu_sys_main_thread:0.5',
    'used_cpu_user_main_thread:0.5',
  ];
  return ['# CPU', ...cpu, '', '# Commandstats', ...stats, ''].join('\r\n');
}

it('returns what a Redis did between two readings, without the readings', () => {
  const before = info(1.25, 0.5, { mget: 10, 'pubsub|numsub': 3, info: 4, ping: 2 });
  const after = info(2, 0.75, { mget: 25, 'pubsub|numsub': 5, info: 5, ping: 2, set: 1 });
  const usage = redisUsageBetween(parseRedisReading(before, 500), parseRedisReading(after, 2_500));
  expect(usage).toEqual({
    seconds: 2,
    cpuSeconds: 1,
    calls: { mget: 15, 'pubsub|numsub': 2, set: 1 },
  });
  expect(callsOf(usage)).toBe(18);
});
