import { setTimeout as sleep } from 'node:timers/promises';
import { NodeHeartbeat, REVOCATION_CHANNEL, type RedisSettings } from '@tradewind/bus';
import {
  addressToReach,
  createAdmin,
  createLogger,
  createMetrics,
  DescriptorWatch,
  isLoopback,
  type Lifecycle,
  openRedisCredentials,
  printMetrics,
  RELEASE,
  type RunningService,
  redisAddress,
} from '@tradewind/runtime';
import { maxReplayBytes } from './clients/replay/replay-source.ts';
import { DRAIN_RESERVE_SECONDS, type EdgeConfig } from './config/edge-config.ts';
import { BODY_BLOCK_BYTES } from './hub/encode-publication.ts';
import { Hub } from './hub/hub.ts';
import { openCertificate } from './node/certificate.ts';
import { shareDescriptors } from './node/descriptor-shares.ts';
import { createHealth } from './node/health.ts';
import { openIdentity } from './node/identity.ts';
import { IdentitySources } from './node/identity-sources.ts';
import { createLocalPool, type FanOutPool } from './node/local-pool.ts';
import { connectRedis } from './node/redis-connections.ts';
import { createSessionsRoute } from './node/sessions-route.ts';
import { createShedRoute } from './node/shed.ts';
import { offeredRights } from './node/worker-settings.ts';
import { availableMode } from './outbound/socket-send.ts';
import { ChannelRates } from './telemetry/channel-rates.ts';
import { addDescriptions } from './telemetry/debug-index.ts';
import { registerLoopGauges, registerNodeGauges } from './telemetry/gauges.ts';
import { createKeyEvents } from './telemetry/identity-events.ts';
import { memoryLimitBytes } from './telemetry/memory-limit.ts';
import { createNodeEvents } from './telemetry/node-events.ts';
import { NodeStateReader } from './telemetry/node-state.ts';
import { createNodeTally, RecentEvents, withTally } from './telemetry/node-tally.ts';
import { PageAnswers } from './telemetry/page-answers.ts';
import { WorkerPool } from './threads/worker-pool.ts';

/** The program of a fan-out thread. Its URL is resolved here because a release keeps entry points side by side. */
const WORKER_ENTRY = new URL('./worker-main.ts', import.meta.url);

/** The longest time until `/readyz` of the public port shows a change, in ms. */
const READINESS_INTERVAL_MS = 250;

/**
 * Starts an edge, which takes publications from Redis to WebSockets. The caller owns the result.
 *
 * @throws Error with a message that names the setting to change.
 */
export async function startEdge(
  configured: EdgeConfig,
  lifecycle: Lifecycle,
): Promise<RunningService> {
  const logger = createLogger({ name: 'edge', level: configured.logLevel }).child({
    node: configured.nodeId,
  });
  Buffer.poolSize = BODY_BLOCK_BYTES;
  const metrics = createMetrics();
  const tally = createNodeTally();
  const recent = new RecentEvents();
  const rates = new ChannelRates();
  const events = withTally(
    createNodeEvents(logger, metrics, redisAddress(configured.redis), tally),
    tally,
    recent,
    rates,
  );
  for (const variable of configured.unknownVariables) events.unknownVariable(variable);
  // Bytes that bypass a TLS socket would not be encrypted.
  const asked = configured.tlsCertFile === undefined ? configured.writes : 'stream';
  const writes = availableMode(asked, events.sendUnavailable);
  const descriptors = shareDescriptors(configured, events);
  const config: EdgeConfig = {
    ...configured,
    writes,
    maxConnections: descriptors.clients,
    httpMaxConnections: descriptors.plain,
  };
  if (!isLoopback(config.host)) {
    if (config.auth === 'none') events.identityOff(config.host);
    if (config.tlsCertFile === undefined) events.plainBehindTls(config.host);
    if (config.trustedProxies === undefined) events.addressLimitsOff(config.host);
  }
  const certificate = await openCertificate(config, events, (renewed) => pool.setTls(renewed));
  const identity = await openIdentity(config, offeredRights(config), {
    ...createKeyEvents(logger),
    unknownKey: () => sources.requestKeys(),
  });
  // Each worker thread opens and watches the keys for itself. Here they are only tried, to fail early.
  if (config.workers > 1) identity?.stop();
  const credentials = openRedisCredentials(config.redis, {
    tokenNotRenewed: events.redisTokenNotRenewed,
  });
  const settings: RedisSettings = {
    ...credentials.settings,
    connectionName: `tradewind-${config.nodeId}`,
  };
  const redis = connectRedis(
    settings,
    {
      message(channel, payload) {
        const isTaken = sources.revocations !== undefined && sources.takeMessage(channel, payload);
        if (!isTaken) hub.message(channel, payload);
      },
      subscribed(channels, link) {
        sources.confirmSubscriptions(channels);
        hub.subscribed(channels, link);
      },
      refused(channel, error) {
        if (!sources.takeRefusal(channel, error)) hub.refused(channel, error);
      },
      linkLost(cause, link) {
        linkLostAt = performance.now();
        if (redis.source.linkOf === undefined || redis.source.linkOf(REVOCATION_CHANNEL) === link)
          sources.revocations?.markCutOff();
        hub.linkLost(cause, link);
        tellReadiness();
      },
      linkStillLost: events.stillDegraded,
      linkRestored(link) {
        hub.linkRestored(link);
        tellReadiness();
      },
      linkAdded: (link) => hub.linkAdded(link),
      linkRemoved(link) {
        hub.linkRemoved(link);
        tellReadiness();
      },
      moved(channels) {
        if (channels.includes(REVOCATION_CHANNEL)) sources.revocations?.markCutOff();
        hub.moved(channels);
      },
    },
    {
      available() {
        commandsAvailableAt = performance.now();
        sources.revocations?.retryRead();
        events.commandsAvailable();
      },
      unavailable: events.commandsUnavailable,
      stillUnavailable: events.commandsUnavailable,
      unmended: events.redisUnmended,
    },
    config.probes
      ? {
          name: config.nodeId,
          probeFailed: events.probeFailed,
          probeRefused: events.probeRefused,
          writesRefused: events.writesRefused,
          writesAccepted: events.writesAccepted,
        }
      : undefined,
  );
  const { commands } = redis;
  const hub = new Hub(redis.source, redis.store, hubLimits(config), events);
  const tls = certificate?.credentials;
  const sources = new IdentitySources(config, commands, events, (update) => {
    pool.updateIdentity(update);
  });
  const pool: FanOutPool =
    config.workers === 1
      ? createLocalPool(config, logger, hub, identity, tls)
      : new WorkerPool(WORKER_ENTRY, config, hub, events, sources, tls);
  registerNodeGauges(metrics, {
    ...{ hub, pool, config, source: redis, identity: sources },
    isReady: () => health.readiness().ready,
  });
  const endLoopGauges = registerLoopGauges(metrics);

  let draining = false;
  let linkLostAt = performance.now();
  let commandsAvailableAt = performance.now();
  const health = createHealth(() => ({
    draining,
    full: pool.connections >= config.maxConnections,
    descriptorsExhausted: descriptorWatch.exhausted,
    everLinked: hub.everLinked,
    degraded: hub.degradedSince !== undefined,
    isolatedSince:
      hub.degradedSince !== undefined && redis.isCutOffAlone
        ? Math.max(linkLostAt, commandsAvailableAt)
        : undefined,
    provenOnce: redis.provenOnce,
    hadKeys: sources.jwks?.wasFetched ?? true,
    probeRefused: redis.probeRefusal?.state.lasts === 'lasting',
  }));
  const tellReadiness = (): void => pool.setReadiness(health.readiness());
  const readinessTimer = setInterval(tellReadiness, READINESS_INTERVAL_MS);
  const descriptorWatch = new DescriptorWatch(events.descriptorsExhausted);
  const admin = createAdmin({
    logger,
    metrics: {
      contentType: metrics.contentType,
      text: async () => printMetrics([await metrics.objects(), ...(await pool.metrics())]),
    },
    token: config.adminToken,
    maxConnections: descriptors.admin,
    connectionClosed: events.adminConnectionClosed,
    health,
    onDrain: lifecycle.requestDrain,
    routes: [
      createShedRoute({
        isDraining: () => draining,
        connections: () => pool.connections,
        shed(count, overSeconds) {
          events.shedStarted(count, overSeconds);
          pool.shed(count, overSeconds * 1_000);
        },
      }),
      createSessionsRoute((subject) => pool.sessionsOf(subject)),
    ],
    debugIndex: async () => ({
      ...addDescriptions(await pool.describe()),
      channels: hub.watchedChannels,
      redisChannels: hub.channels,
      degradedSince: hub.degradedSince ?? null,
    }),
  });

  let heartbeat: NodeHeartbeat | undefined;

  async function stop(): Promise<void> {
    clearInterval(readinessTimer);
    descriptorWatch.stop();
    endLoopGauges();
    identity?.stop();
    sources.stop();
    certificate?.stop();
    await pool.stop();
    // The last state that it writes must show no clients, and needs the link to Redis.
    await heartbeat?.stop();
    hub.stop();
    await Promise.all([redis.stop(), admin.close(0)]);
    credentials.stop();
  }

  try {
    // The links start first, because a worker thread accepts clients while others still start, and clients subscribe at once.
    redis.start();
    sources.start(redis.source);
    const port = await pool.listen();
    const adminPort = await admin.listen(config.adminHost, config.adminPort);
    const state = new NodeStateReader({
      node: config.nodeId,
      admin: addressToReach(config.adminHost, adminPort),
      readiness: () => ({ ...health.readiness(), draining }),
      degradedSince: () => hub.degradedSince,
      shards: () => hub.shards,
      rawPublications: () => hub.deflating.raw,
      clients: () => pool.read(),
      channels: () => hub.channels,
      probeAgeMs: () => redis.probeAgeMs,
      connectionsLimit: config.maxConnections,
      memoryLimitBytes: memoryLimitBytes(config.memoryLimitBytes),
      ...{ tally, recent },
    });
    const answers = new PageAnswers({
      ...{ node: config.nodeId, rates },
      channels: () => hub.held(),
      channel: (name) => hub.heldChannel(name),
      askClients: (enquiry) => pool.askClients(enquiry),
    });
    heartbeat = new NodeHeartbeat(commands, {
      answer: (watch) => answers.answer(watch),
      readState: () => state.read(),
      takeEvents: () => recent.takeIfChanged(),
      eventsNotWritten: () => recent.notWritten(),
    });
    const { workers, queueSlots, queueBytes } = config;
    logger.info(
      { version: RELEASE, port, adminPort, workers, writes, queueSlots, queueBytes },
      'listening',
    );
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    async drain(hurry) {
      draining = true;
      tellReadiness();
      events.drainStarted(pool.connections);
      await pause(config.drainAcceptSeconds * 1_000, hurry);
      const forClients = config.drainSeconds - config.drainAcceptSeconds - DRAIN_RESERVE_SECONDS;
      await pool.drain(forClients * 1_000, hurry);
      events.drainEnded(pool.connections);
    },
    stop,
  };
}

function hubLimits(config: EdgeConfig) {
  return {
    maxChannels: config.maxChannels,
    subscribeRate: config.nodeSubscribeRate,
    enforcesRates: config.enforcesRates,
    lingerMs: config.lingerMs,
    maxPublicationBytes: config.maxPublicationBytes,
    maxHistory: config.maxHistory,
    maxReplayBytes: maxReplayBytes(config.logBytes),
    historyReadRate: config.historyReadRate,
    idleCheckMs: config.tailCheckSeconds * 1_000,
  };
}

/** Waits `ms`. Returns early when `hurry` aborts. */
async function pause(ms: number, hurry: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal: hurry }).catch(() => undefined);
}
