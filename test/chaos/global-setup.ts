import { bringRedisServer } from '@tradewind/dev';

/** Runs once before the chaos suite. Rejects if no redis-server can be installed or found. */
export async function setup(): Promise<void> {
  const program = await bringRedisServer((line) => console.log(line));
  console.log(`Redis for the chaos tests: spawned processes of ${program}`);
}
