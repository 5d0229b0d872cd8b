import { Redis } from 'ioredis';
import { startRedis, type TestRedis } from './redis.ts';

/** A Redis for all tests of a file. */
export interface SharedRedis extends TestRedis {
  /**
   * Makes it as it was after its start: writable, empty, with its first settings and users, its counters at 0, and without
   * anybody's connections. Call it before each test. A test that kills it must start it again.
   */
  reset(): Promise<void>;
}

/**
 * Starts a Redis for tests that need no server of their own. With a container for each of many short tests, containers
 * would take most of the time of their file. The caller ends it.
 */
export async function startSharedRedis(): Promise<SharedRedis> {
  const redis = await startRedis();
  const withAdmin = async <T>(use: (admin: Redis) => Promise<T>): Promise<T> => {
    const admin = new Redis(redis.url);
    admin.on('error', () => {});
    try {
      return await use(admin);
    } finally {
      admin.disconnect();
    }
  };
  try {
    let settings = await withAdmin(settingsOf);
    return {
      ...redis,
      async restart() {
        await redis.restart();
        // It has another folder, which cannot be set.
        settings = await withAdmin(settingsOf);
      },
      async reset() {
        await redis.thaw();
        await withAdmin((admin) => reset(admin, settings));
      },
    };
  } catch (error) {
    await redis.stop();
    throw error;
  }
}

async function settingsOf(admin: Redis): Promise<ReadonlyMap<string, string>> {
  const flat = (await admin.config('GET', '*')) as readonly string[];
  const settings = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) settings.set(flat[i]!, flat[i + 1]!);
  return settings;
}

async function reset(admin: Redis, settings: ReadonlyMap<string, string>): Promise<void> {
  await admin.call('REPLICAOF', 'NO', 'ONE');
  for (const type of ['normal', 'pubsub']) await admin.call('CLIENT', 'KILL', 'TYPE', type);
  for (const [name, value] of await settingsOf(admin)) {
    const first = settings.get(name) ?? value;
    if (first !== value) await admin.config('SET', name, first);
  }
  const users = (await admin.call('ACL', 'USERS')) as readonly string[];
  for (const user of users) if (user !== 'default') await admin.call('ACL', 'DELUSER', user);
  await admin.script('FLUSH');
  // Redis 6 has no functions.
  await admin.function('FLUSH').catch(() => {});
  await admin.flushall();
  await admin.config('RESETSTAT');
}
