import { Redis } from 'ioredis';
import type { CommonSettings } from './settings.ts';

/** How long Redis may take to accept a connection, in ms. */
const CONNECT_DEADLINE_MS = 3_000;

/**
 * Connects to Redis once. Rejects with a sentence that names the server if that fails. The caller ends the connection by
 * `disconnect`.
 */
export async function connectRedis(
  settings: Pick<CommonSettings, 'redisUrl' | 'redisPassword'>,
): Promise<Redis> {
  const url = new URL(settings.redisUrl);
  const { host } = url;
  if (settings.redisPassword !== undefined)
    url.password = encodeURIComponent(settings.redisPassword);
  const redis = new Redis(url.href, {
    ...{ lazyConnect: true, retryStrategy: (times: number) => 50 * times },
    ...{
      connectTimeout: CONNECT_DEADLINE_MS,
      enableReadyCheck: false,
      connectionName: 'tradewind-cli',
    },
  });
  let cause: Error | undefined;
  redis.on('error', (error: Error) => {
    cause = error;
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(cause ?? new Error('no answer')), CONNECT_DEADLINE_MS);
  });
  try {
    // The first command shows a wrong password and a Redis that is loading; a connection alone does not.
    await Promise.race([redis.connect().then(() => redis.ping()), late]);
    return redis;
  } catch (error) {
    redis.disconnect();
    const { message, name } = (cause ?? error) as Error;
    throw new Error(`Redis at ${host}: ${message || name}`);
  } finally {
    clearTimeout(timer);
  }
}
