/**
 * The image of Redis in containers, also in `infra/compose.yaml`: the first version of the oldest line that mends CVE-2025-49844
 * upstream. As a process the tests run what the machine has; Debian 12 has 7.0.15, in which it mends such faults itself.
 */
export const REDIS_IMAGE = 'redis:7.2.11-bookworm';

/** The port on which Redis listens inside a container. */
export const REDIS_CONTAINER_PORT = 6379;
