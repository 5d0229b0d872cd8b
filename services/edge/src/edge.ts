import { setTimeout as sleep } from 'node:timers/promises';
import { RedisCommands, type RedisSettings, RedisSubscriber } from '@tradewind/bus';
import {
  DEFAULT_CLIENT_PING_MS,
  DEFAULT_CLIENT_TIMEOUT_MS,
  DEFAULT_MAX_HISTORY,
  JSON_SUBPROTOCOL,
  MAX_CHANNELS_PER_REQUEST,
} from '@tradewind/protocol';
import {
  createAdmin,
  createHttpServer,
  createLogger,
  createMetrics,
  DEFAULT_HTTP_LIMITS,
  healthRoutes,
  type Lifecycle,
  type RunningService,
} from '@tradewind/runtime';
import { compileChannelPatterns } from './channel-patterns.ts';
import { DRAIN_RESERVE_SECONDS, type EdgeConfig } from './config.ts';
import { describeIndex } from './debug-index.ts';
import { sendAway, waitUntilGone } from './drain.ts';
import { createEdgeEvents } from './events.ts';
import { FanOut, type FanOutSettings } from './fan-out.ts';
import { registerGauges } from './gauges.ts';
import { createHealth } from './health.ts';
import { Hub } from './hub.ts';
import { maxTailBytes } from './intake.ts';
import { acceptUpgrades } from './upgrade.ts';

/** Sockets beyond the clients: health checks, and handshakes that are answered with 503. */
const SPARE_CONNECTIONS = 1_024;

/**
 * Control frames that may wait for one client beside a gap for each of its channels: answers to a
 * burst of requests, and notices.
 */
const SPARE_CONTROLS = 512;

/** What a control frame takes at most on average, in bytes: a gap with the longest names is smaller. */
const CONTROL_BYTES = 512;

/** Starts an edge: Redis in, WebSockets out. */
export async function startEdge(config: EdgeConfig, lifecycle: Lifecycle): Promise<RunningService> {
  const logger = createLogger({ name: 'edge', level: config.logLevel }).child({
    node: config.nodeId,
  });
  const metrics = createMetrics();
  const events = createEdgeEvents(logger, metrics);
  const redis: RedisSettings = { ...config.redis, connectionName: `tradewind-${config.nodeId}` };
  const subscriber: RedisSubscriber = new RedisSubscriber(redis, {
    message: (channel, payload) => hub.message(channel, payload),
    subscribed: (channels) => hub.subscribed(channels),
    refused: (channel, error) => hub.refused(channel, error),
    linkLost: (cause) => hub.linkLost(cause),
    linkRestored: () => hub.linkRestored(),
  });
  const commands = new RedisCommands(redis, {
    available: events.commandsAvailable,
    unavailable: events.commandsUnavailable,
  });
  const hub = new Hub(subscriber, hubLimits(config), events);
  const fanOut = new FanOut(fanOutSettings(config), events, (listener) => hub.connect(listener));
  registerGauges(metrics, hub, fanOut);

  let draining = false;
  let refusing = false;
  const health = createHealth(() => ({
    draining,
    full: fanOut.connections.size >= config.maxConnections,
    everLinked: hub.everLinked,
    degradedSince: hub.degradedSince,
    commandsAvailable: commands.available,
  }));
  const front = createHttpServer({
    logger,
    routes: healthRoutes(health),
    limits: { ...DEFAULT_HTTP_LIMITS, maxConnections: config.maxConnections + SPARE_CONNECTIONS },
  });
  acceptUpgrades(front.server, config, {
    refusal() {
      if (refusing) return 'draining';
      return fanOut.connections.size >= config.maxConnections ? 'node_full' : undefined;
    },
    admitted: (webSocket, socket) => fanOut.open(webSocket, socket),
    rejected: events.handshakeRejected,
  });
  const admin = createAdmin({
    logger,
    metrics,
    token: config.adminToken,
    health,
    onDrain: lifecycle.requestDrain,
    debugIndex: () => describeIndex(hub, fanOut),
  });

  async function stop(): Promise<void> {
    fanOut.stop();
    hub.stop();
    await Promise.all([subscriber.stop(), commands.stop(), front.close(0), admin.close(0)]);
  }

  try {
    const port = await front.listen(config.host, config.port);
    const adminPort = await admin.listen(config.adminHost, config.adminPort);
    subscriber.start();
    commands.start();
    logger.info({ port, adminPort }, 'listening');
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    async drain(hurry) {
      draining = true;
      events.drainStarted(fanOut.connections.size);
      await pause(config.drainAcceptSeconds * 1_000, hurry);
      refusing = true;
      const forClients = config.drainSeconds - config.drainAcceptSeconds - DRAIN_RESERVE_SECONDS;
      await sendAway(fanOut.connections, forClients * 1_000, hurry);
      await waitUntilGone(fanOut.connections, DRAIN_RESERVE_SECONDS * 500, hurry);
      events.drainEnded(fanOut.connections.size);
    },
    stop,
  };
}

function hubLimits(config: EdgeConfig) {
  return {
    maxChannels: config.maxChannels,
    subscribeRate: config.nodeSubscribeRate,
    lingerMs: config.lingerMs,
    maxPublicationBytes: config.maxPublicationBytes,
  };
}

function fanOutSettings(config: EdgeConfig): FanOutSettings {
  const controls = config.maxChannelsPerClient + SPARE_CONTROLS;
  return {
    outbox: {
      slots: config.queueSlots,
      bytes: config.queueBytes,
      publicationBytes: maxTailBytes(config.maxPublicationBytes),
      controls,
      controlBytes: controls * CONTROL_BYTES,
    },
    slow: { graceMs: config.slowGraceMs, maxLagMs: config.slowMaxLagMs },
    subscriptions: {
      maxChannelsPerClient: config.maxChannelsPerClient,
      isOffered: compileChannelPatterns(config.channelPatterns),
    },
    liveness: { pingAfterTicks: config.pingSeconds, deadAfterTicks: config.pongSeconds },
    requestRate: config.requestRate,
    subscribeRate: config.subscribeRate,
    silentSeconds: config.silentSeconds,
    welcome: {
      node: config.nodeId,
      protocol: JSON_SUBPROTOCOL,
      auth: 'none',
      heartbeat: { clientPingMs: DEFAULT_CLIENT_PING_MS, timeoutMs: DEFAULT_CLIENT_TIMEOUT_MS },
      limits: {
        maxMessageBytes: config.maxMessageBytes,
        maxChannels: config.maxChannelsPerClient,
        maxChannelsPerRequest: MAX_CHANNELS_PER_REQUEST,
        maxHistory: DEFAULT_MAX_HISTORY,
        maxPublicationBytes: config.maxPublicationBytes,
      },
    },
  };
}

/** Waits, or returns early when `hurry` aborts. */
async function pause(ms: number, hurry: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal: hurry }).catch(() => undefined);
}
