export * from './redis-commands.ts';
export { RedisRefusedError, RedisUnavailableError } from './redis-errors.ts';
export { checkRedisUrl, type RedisSettings } from './redis-settings.ts';
export * from './redis-subscriber.ts';
