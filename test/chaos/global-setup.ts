import { bringRedisServer } from '@tradewind/dev';

/** Runs once before the chaos suite. Rejects when there is no way to a redis-server. */
export async function setup(): Promise<void> {
  const program = await bringRedisServer((line) => console.log(line));
  console.log(`Redis for the chaos tests: spawned processes of ${program}`);
}
