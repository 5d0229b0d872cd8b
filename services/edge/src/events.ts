import type { CloseReason, ErrorCode } from '@tradewind/protocol';
import { type Logger, LogLimiter, type Metrics } from '@tradewind/runtime';
import type { FanOutEvents } from './fan-out.ts';
import type { HubEvents } from './hub.ts';

/** From a publication's timestamp to the sockets, in seconds: 1 ms to 5 s. */
const LAG_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** What happens in a node's main thread. */
export interface NodeEvents extends HubEvents {
  commandsAvailable(): void;
  commandsUnavailable(cause: string): void;
  workerStarted(slot: number): void;
  /** A worker ended although nobody asked it to. */
  workerLost(slot: number, cause: string): void;
  drainStarted(connections: number): void;
  drainEnded(leftOver: number): void;
}

/** What happens on a fan-out worker and the port that it serves. */
export interface FanOutHostEvents extends FanOutEvents {
  handshakeRejected(code: ErrorCode): void;
}

/** One function per event of the main thread: its counter and its log line together. */
export function createNodeEvents(logger: Logger, metrics: Metrics): NodeEvents {
  const limited = new LogLimiter(logger);
  const received = metrics.counter({
    name: 'tradewind_edge_publications_received_total',
    help: 'Messages received from Redis',
  });
  const receivedBytes = metrics.counter({
    name: 'tradewind_edge_bytes_in_total',
    help: 'Bytes of payload received from Redis',
  });
  const dropped = metrics.counter({
    name: 'tradewind_edge_publications_dropped_total',
    help: 'Messages from Redis that were not passed on, by reason',
    labelNames: ['reason'],
  });
  const refusedChannels = metrics.counter({
    name: 'tradewind_edge_channels_refused_total',
    help: 'Subscriptions that Redis refused',
  });
  const linkLosses = metrics.counter({
    name: 'tradewind_edge_redis_link_losses_total',
    help: 'Times that the subscription link to Redis was lost',
  });
  const lostWorkers = metrics.counter({
    name: 'tradewind_edge_workers_lost_total',
    help: 'Fan-out workers that ended unasked and were replaced',
  });

  return {
    received(_channel, bytes) {
      received.inc();
      receivedBytes.inc(bytes);
    },
    dropped(channel, reason) {
      dropped.inc({ reason });
      limited.warn(`publication_dropped_${reason}`, { channel, reason });
    },
    refused(channel, error) {
      refusedChannels.inc();
      limited.warn('channel_refused', { channel, error: error.message });
    },
    degraded(cause) {
      linkLosses.inc();
      logger.warn({ cause }, 'degraded');
    },
    notLinkedYet(cause) {
      logger.warn({ cause }, 'not_linked_yet');
    },
    restored(afterMs) {
      logger.info({ afterMs }, 'restored');
    },
    commandsAvailable() {
      logger.info('redis_commands_available');
    },
    commandsUnavailable(cause) {
      logger.warn({ cause }, 'redis_commands_unavailable');
    },
    workerStarted(slot) {
      logger.info({ slot }, 'worker_started');
    },
    workerLost(slot, cause) {
      lostWorkers.inc();
      logger.error({ slot, cause }, 'worker_lost');
    },
    drainStarted(connections) {
      logger.info({ connections }, 'drain_started');
    },
    drainEnded(leftOver) {
      logger.info({ leftOver }, 'drain_ended');
    },
  };
}

/** One function per event of a fan-out worker: its counter and its log line together. */
export function createFanOutEvents(logger: Logger, metrics: Metrics): FanOutHostEvents {
  const limited = new LogLimiter(logger);
  const handshakes = metrics.counter({
    name: 'tradewind_edge_handshakes_total',
    help: 'WebSocket handshakes, by outcome: accepted, or the code they were rejected with',
    labelNames: ['outcome'],
  });
  const disconnects = metrics.counter({
    name: 'tradewind_edge_disconnects_total',
    help: 'Connections that ended, by reason (the names of the close codes)',
    labelNames: ['reason'],
  });
  const rejections = metrics.counter({
    name: 'tradewind_edge_requests_rejected_total',
    help: 'Client requests answered with an error, by code',
    labelNames: ['code'],
  });
  const lag = metrics.histogram({
    name: 'tradewind_edge_publish_to_socket_seconds',
    help: 'From a publication’s `ts` until it was handed to the sockets (sampled); for a plain PUBLISH, `ts` is when the node received it',
    buckets: LAG_BUCKETS_SECONDS,
  });

  return {
    clientOpened() {
      handshakes.inc({ outcome: 'accepted' });
    },
    handshakeRejected(code) {
      handshakes.inc({ outcome: code });
      limited.info(`handshake_rejected_${code}`, { code });
    },
    clientClosed(reason: CloseReason, session) {
      disconnects.inc({ reason });
      if (reason === 'slow') limited.warn('client_slow', { session });
      else logger.debug({ session, reason }, 'client_closed');
    },
    requestRejected(code) {
      rejections.inc({ code });
    },
    published(lagMs) {
      lag.observe(Math.max(0, lagMs) / 1_000);
    },
  };
}
