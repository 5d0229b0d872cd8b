/**
 * The image of Redis in containers. It is the version of Debian 12, the oldest that Tradewind is tested with, so that a
 * container and a process are the same Redis.
 */
export const REDIS_IMAGE = 'redis:7.0.15-bookworm';

/** The port on which Redis listens inside a container. */
export const REDIS_CONTAINER_PORT = 6379;
