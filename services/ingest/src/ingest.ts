import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Commands, createCommands, NodeHeartbeat } from '@tradewind/bus';
import {
  addressToReach,
  countOpenDescriptors,
  createAdmin,
  createHttpServer,
  createLogger,
  createMetrics,
  DEFAULT_HTTP_LIMITS,
  type DescriptorShares,
  DescriptorWatch,
  divideDescriptors,
  type HealthSource,
  healthRoutes,
  type Lifecycle,
  MAX_ADMIN_CONNECTIONS,
  openRedisCredentials,
  pageFault,
  type RunningService,
  readDescriptorLimit,
  redisAddress,
  WatchedFiles,
} from '@tradewind/runtime';
import { Callers } from './access/callers.ts';
import { readTokenEntries } from './access/token-entries.ts';
import type { IngestConfig } from './config.ts';
import { createEvents, type IngestEvents } from './events.ts';
import { registerGauges } from './gauges.ts';
import { createRevocationRoutes } from './http/revocation-routes.ts';
import { type Admission, createRoutes } from './http/routes.ts';
import { createStateReader } from './node-state.ts';
import { PublishQueue } from './publishing/publish-queue.ts';
import { createRedisPublisher } from './publishing/redis-publisher.ts';

/** Descriptors reserved for listeners, the link to Redis while it is replaced, Sentinels, and name resolution. */
const KEPT_BACK_DESCRIPTORS = 16;

/**
 * Starts the service. It listens whether or not Redis is available. Without Redis, publications wait up to their highest age
 * and are then answered with `unavailable`; health checks say `degraded`.
 */
export async function startIngest(
  config: IngestConfig,
  lifecycle: Lifecycle,
): Promise<RunningService> {
  const { service, limits, publishing, drainMs, drainAcceptMs } = config;
  const logger = createLogger({ name: 'ingest', level: service.logLevel });
  const metrics = createMetrics();
  const admission: Admission = { requestsInFlight: 0, draining: false };
  let unavailableSince: number | undefined;
  const counts = { accepted: 0, refused: 0 };
  const events = countItems(createEvents(logger, metrics, redisAddress(service.redis)), counts);
  for (const variable of config.unknownVariables) events.unknownVariable(variable);

  const credentials = openRedisCredentials(service.redis, {
    tokenNotRenewed: events.redisTokenNotRenewed,
  });
  const redisSettings = { ...credentials.settings, connectionName: 'tradewind-ingest' };
  const redis: Commands = createCommands(redisSettings, {
    available() {
      unavailableSince = undefined;
      events.redisAvailable();
      queue.resume();
    },
    unavailable(cause) {
      unavailableSince ??= Date.now();
      events.redisUnavailable(cause);
    },
    stillUnavailable: (cause) => events.redisStillUnavailable(cause),
    unmended: (fault) => events.redisUnmended(fault),
    ownersChanged: () => queue.resume(),
  });
  const connections = shareDescriptors(service.httpMaxConnections, events);
  const publisher = createRedisPublisher(redis, publishing);
  const queue = new PublishQueue(publisher, { ...config.queue, ...publishing }, events);
  registerGauges(metrics, {
    requestsInFlight: () => admission.requestsInFlight,
    queue: () => queue.state,
  });
  const callers = createCallers(config, events);
  const tokenFile = await watchTokens(config, callers, events);
  const isOpen = config.tokens.length === 0 && config.tokenFile === undefined;
  let leaving = false;
  const descriptors = new DescriptorWatch(events.descriptorsExhausted);
  const health = createHealth(() => ({
    leaving,
    full: server.isFull,
    descriptorsExhausted: descriptors.exhausted,
    degraded: !redis.available,
  }));
  const server = createHttpServer({
    logger,
    limits: {
      ...DEFAULT_HTTP_LIMITS,
      keepAliveTimeoutMs: service.httpKeepAliveMs,
      maxPlainConnections: connections.plain,
    },
    connectionClosed: events.httpConnectionClosed,
    refusal: isOpen ? pageFault : undefined,
    routes: [
      ...healthRoutes(health),
      ...createRoutes({ publisher, queue, events, limits, callers, admission }),
      ...createRevocationRoutes({ redis, events, callers, admission }),
    ],
  });
  const admin = createAdmin({
    logger,
    metrics,
    health,
    token: service.adminToken,
    maxConnections: connections.admin,
    connectionClosed: events.adminConnectionClosed,
    onDrain: () => lifecycle.requestDrain(),
  });

  redis.start();
  const port = await server.listen(service.host, service.port);
  const adminPort = await admin.listen(service.adminHost, service.adminPort);
  events.listening(port, adminPort);
  const heartbeat = new NodeHeartbeat(redis, {
    readState: createStateReader({
      // The port tells apart two that run on one machine.
      node: `ingest-${hostname()}-${port}`,
      startedAt: Date.now(),
      admin: addressToReach(service.adminHost, adminPort),
      readiness: () => health.readiness(),
      isLeaving: () => leaving,
      degradedSince: () => unavailableSince,
      counts,
      queued: () => queue.state.publications,
    }),
    takeEvents: () => undefined,
    eventsNotWritten() {},
  });

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
      await heartbeat.stop();
      await server.close(0);
      descriptors.stop();
      tokenFile?.stop();
      queue.stop();
      await redis.stop();
      credentials.stop();
      await admin.close(0);
    },
  };
}

function createCallers({ tokens, tokenFile, limits }: IngestConfig, events: IngestEvents): Callers {
  if (tokens.length > 0) events.tokensWithAllRights(tokens.length);
  const largest = { items: limits.maxItems, bytes: limits.maxBodyBytes };
  return new Callers(tokens, tokenFile?.entries, largest);
}

/** Reads the file of tokens again when it changes, until the caller stops the result; undefined if there is no file. */
async function watchTokens(
  { tokenFile }: IngestConfig,
  callers: Callers,
  events: IngestEvents,
): Promise<{ stop(): void } | undefined> {
  if (tokenFile === undefined) return undefined;
  const { path } = tokenFile;
  const files = await WatchedFiles.open({
    paths: [path],
    parse: ([bytes]) => readTokenEntries(bytes ?? new Uint8Array()),
    changed(entries) {
      callers.replace(entries);
      events.tokensRead(path, entries.length);
    },
    unusable: (cause) => events.tokensUnreadable(path, cause),
  });
  callers.replace(files.value);
  return files;
}

/**
 * Divides the descriptors that the process may open, and reports if they are too few for the configured connections. Must be
 * called before anything is opened.
 */
function shareDescriptors(maxConnections: number, events: IngestEvents): DescriptorShares {
  const asked = { clients: 0, plain: maxConnections, admin: MAX_ADMIN_CONNECTIONS };
  const limit = readDescriptorLimit();
  if (limit === undefined) return asked;
  const given = divideDescriptors(limit - countOpenDescriptors() - KEPT_BACK_DESCRIPTORS, asked);
  if (given !== asked) events.descriptorsShort(limit, asked, given);
  return given;
}

function createHealth(
  condition: () => {
    readonly leaving: boolean;
    readonly full: boolean;
    readonly descriptorsExhausted: boolean;
    readonly degraded: boolean;
  },
): HealthSource {
  return {
    readiness() {
      const { leaving, full, descriptorsExhausted, degraded } = condition();
      const reasons = [
        ...(leaving ? ['draining'] : []),
        ...(full ? ['full'] : []),
        ...(descriptorsExhausted ? ['descriptors_exhausted'] : []),
      ];
      const ready = reasons.length === 0;
      return { ready, degraded, reasons: degraded ? [...reasons, 'redis_unavailable'] : reasons };
    },
  };
}

/** Waits, or returns early when `hurry` aborts. */
async function pause(ms: number, hurry: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal: hurry }).catch(() => undefined);
}

/** The events, which also count what the console shows. */
function countItems(
  events: IngestEvents,
  counts: { accepted: number; refused: number },
): IngestEvents {
  return {
    ...events,
    itemsDone(route, results) {
      const accepted = results.filter(({ ok }) => ok).length;
      counts.accepted += accepted;
      counts.refused += results.length - accepted;
      events.itemsDone(route, results);
    },
  };
}
