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
import { type Admission, createRoutes } from './routes.ts';

/**
 * Starts the service. It listens whether or not Redis is there: without it every publication is
 * answered with `unavailable`, and health checks with `degraded`.
 */
export async function startIngest(
  config: IngestConfig,
  lifecycle: Lifecycle,
): Promise<RunningService> {
  const { service, limits, tokens, drainMs } = config;
  const logger = createLogger({ name: 'ingest', level: service.logLevel });
  const metrics = createMetrics();
  const admission: Admission = { requestsInFlight: 0, draining: false };
  const events = createEvents(logger, metrics, () => admission.requestsInFlight);

  const redis = new RedisCommands(
    { ...service.redis, connectionName: 'tradewind-ingest' },
    {
      available: () => events.redisAvailable(),
      unavailable: (cause) => events.redisUnavailable(cause),
    },
  );
  const health = createHealth(redis, admission);
  const server = createHttpServer({
    logger,
    limits: DEFAULT_HTTP_LIMITS,
    routes: [
      ...healthRoutes(health),
      ...createRoutes({ publisher: redis, events, limits, tokens, admission }),
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
      admission.draining = true;
      hurry.addEventListener('abort', () => void server.close(0), { once: true });
      const deadline = setTimeout(
        () => events.drainTookTooLong(admission.requestsInFlight),
        drainMs,
      );
      await server.close(drainMs);
      clearTimeout(deadline);
    },
    async stop() {
      await server.close(0);
      await redis.stop();
      await admin.close(0);
    },
  };
}

function createHealth(redis: { readonly available: boolean }, admission: Admission): HealthSource {
  return {
    readiness() {
      const degraded = !redis.available;
      const reasons = [
        ...(admission.draining ? ['draining'] : []),
        ...(degraded ? ['redis_unavailable'] : []),
      ];
      return { ready: !admission.draining, degraded, reasons };
    },
  };
}
