import { setTimeout as sleep } from 'node:timers/promises';
import { RedisCommands } from '@tradewind/bus';
import {
  createAdmin,
  createHttpServer,
  createLogger,
  createMetrics,
  DEFAULT_HTTP_LIMITS,
  type HealthSource,
  healthRoutes,
  type Lifecycle,
  type RunningService,
} from '@tradewind/runtime';
import type { IngestConfig } from './config.ts';
import { createEvents } from './events.ts';
import { registerGauges } from './gauges.ts';
import { PublishQueue } from './publish-queue.ts';
import { createRedisPublisher } from './redis-publisher.ts';
import { type Admission, createRoutes } from './routes.ts';

/**
 * Starts the service. It listens whether or not Redis is there: without it publications wait for as
 * long as they may and are then answered with `unavailable`, and health checks with `degraded`.
 */
export async function startIngest(
  config: IngestConfig,
  lifecycle: Lifecycle,
): Promise<RunningService> {
  const { service, limits, tokens, publishing, drainMs, drainAcceptMs } = config;
  const logger = createLogger({ name: 'ingest', level: service.logLevel });
  const metrics = createMetrics();
  const admission: Admission = { requestsInFlight: 0, bodiesInFlight: 0, draining: false };
  const events = createEvents(logger, metrics);

  const redis: RedisCommands = new RedisCommands(
    { ...service.redis, connectionName: 'tradewind-ingest' },
    {
      available() {
        events.redisAvailable();
        queue.resume();
      },
      unavailable: (cause) => events.redisUnavailable(cause),
    },
  );
  const publisher = createRedisPublisher(redis, publishing);
  const queue = new PublishQueue(publisher, { ...config.queue, ...publishing }, events);
  registerGauges(metrics, {
    requestsInFlight: () => admission.requestsInFlight,
    queue: () => queue.state,
  });
  let leaving = false;
  const health = createHealth(() => ({ leaving, degraded: !redis.available }));
  const server = createHttpServer({
    logger,
    limits: { ...DEFAULT_HTTP_LIMITS, keepAliveTimeoutMs: service.httpKeepAliveMs },
    routes: [
      ...healthRoutes(health),
      ...createRoutes({ publisher, queue, events, limits, tokens, admission }),
    ],
  });
  const admin = createAdmin({
    logger,
    metrics,
    health,
    token: service.adminToken,
    onDrain: () => lifecycle.requestDrain(),
  });

  redis.start();
  const port = await server.listen(service.host, service.port);
  const adminPort = await admin.listen(service.adminHost, service.adminPort);
  events.listening(port, adminPort);

  return {
    async drain(hurry) {
      leaving = true;
      await pause(drainAcceptMs, hurry);
      admission.draining = true;
      if (hurry.aborted) return;
      hurry.addEventListener('abort', () => void server.close(0), { once: true });
      const forRequestsMs = drainMs - drainAcceptMs;
      const deadline = setTimeout(
        () => events.drainTookTooLong(admission.requestsInFlight),
        forRequestsMs,
      );
      await server.close(forRequestsMs);
      clearTimeout(deadline);
    },
    async stop() {
      await server.close(0);
      queue.stop();
      await redis.stop();
      await admin.close(0);
    },
  };
}

function createHealth(
  condition: () => { readonly leaving: boolean; readonly degraded: boolean },
): HealthSource {
  return {
    readiness() {
      const { leaving, degraded } = condition();
      const reasons = [
        ...(leaving ? ['draining'] : []),
        ...(degraded ? ['redis_unavailable'] : []),
      ];
      return { ready: !leaving, degraded, reasons };
    },
  };
}

/** Waits, or returns early when `hurry` aborts. */
async function pause(ms: number, hurry: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal: hurry }).catch(() => undefined);
}
