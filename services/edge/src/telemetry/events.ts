import type { RedisRefusedError, UnmendedFault } from '@tradewind/bus';
import {
  CLOSE_CODES,
  type CloseReason,
  type ErrorCode,
  type GapReason,
  type UndeliverableReason,
} from '@tradewind/protocol';
import {
  certificateEndsAt,
  type DescriptorShares,
  type Logger,
  LogLimiter,
  type Metrics,
  type TlsCredentials,
  type UnknownVariable,
} from '@tradewind/runtime';
import type { FanOutEvents } from '../clients/fan-out-events.ts';
import type { Session } from '../clients/session/session.ts';
import type { HeaderRejection } from '../hub/channel.ts';
import type { HubEvents } from '../hub/hub.ts';
import type { HistoryCause } from '../hub/recovery.ts';
import type { Limited } from '../limits.ts';
import { readCounter } from './gauges.ts';
import { createIdentityEvents, type IdentityEvents } from './identity-events.ts';
import { EDGE_LIMITS, LIMITED_TOTAL } from './limit-table.ts';
import { SecurityLog } from './security-log.ts';

/** Buckets for the time from the timestamp of a publication to the sockets, in seconds: 1 ms to 5 s. */
const LAG_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const DROP_REASONS = Object.keys({
  too_large: true,
  unreadable: true,
} satisfies Record<UndeliverableReason, true>);
const HEADER_REJECTIONS = Object.keys({
  old: true,
  foreign_epoch: true,
  no_meta: true,
  unconfirmed: true,
  unknown_header: true,
  bad_header: true,
} satisfies Record<HeaderRejection, true>);
const GAP_REASONS: readonly GapReason[] = ['slow', 'trimmed', 'unreadable', 'too_large', 'link'];
const HISTORY_CAUSES: readonly HistoryCause[] = ['repair', 'resume'];
const PROXY_HEADER_FAULTS = ['malformed', 'late', 'closed'];
const CLOSE_REASONS = Object.keys(CLOSE_CODES) as CloseReason[];

/** The events of a node's main thread. */
export interface NodeEvents extends HubEvents, IdentityEvents {
  /** The certificate of the public port counts from now on, at the start too. */
  certificateRead(path: string, credentials: TlsCredentials): void;
  /** The files of the certificate have changed, and are not usable. The certificate of before goes on. */
  certificateUnusable(path: string, cause: string): void;
  /** The node listens on an address that others reach, and asks nobody who they are. */
  identityOff(host: string): void;
  /** The node listens on an address that others reach, and nobody said whether there are proxies in front of it. */
  addressLimitsOff(host: string): void;
  /** The node listens on an address that others reach, without TLS. */
  plainBehindTls(host: string): void;
  /** A probe found that no data flows on the subscription. The second failure in a row replaces the link. */
  probeFailed(cause: string): void;
  /** The process or the system has no descriptor left: connections are accepted and closed at once. */
  descriptorsExhausted(error: Error): void;
  /** A variable looks like a setting and is none. */
  unknownVariable(variable: UnknownVariable): void;
  /** The limit of descriptors does not allow the connections that were configured. */
  descriptorsShort(limit: number, asked: DescriptorShares, given: DescriptorShares): void;
  /** A connection to the admin port was closed because there were too many. */
  adminConnectionClosed(): void;
  /** There is no `send`: frames go through the streams instead. */
  sendUnavailable(error: unknown): void;
  /** Redis refuses the probe of this node. */
  probeRefused(error: Error): void;
  /** Redis refuses writes, but still delivers what is published. */
  writesRefused(error: RedisRefusedError): void;
  /** Redis accepts writes again. */
  writesAccepted(): void;
  /** The node is still cut off, for another cause than the one logged before. */
  stillDegraded(cause: string): void;
  commandsAvailable(): void;
  commandsUnavailable(cause: string): void;
  /** Redis has a fault by its version. */
  redisUnmended(fault: UnmendedFault): void;
  /** The VM's token for Redis could not be renewed; the one before is good for so long, in ms. */
  redisTokenNotRenewed(cause: string, leftMs: number): void;
  workerStarted(slot: number): void;
  /** A worker ended although nobody stopped it. */
  workerLost(slot: number, cause: string): void;
  drainStarted(connections: number): void;
  drainEnded(leftOver: number): void;
  /** The node sends `count` of its clients to other nodes. */
  shedStarted(count: number, overSeconds: number): void;
}

/** The events of a fan-out worker and of the port that it serves. */
export interface ClientListenerEvents extends FanOutEvents {
  handshakeRejected(code: ErrorCode, from: Pick<Session, 'address' | 'origin'>): void;
  /** A connection that was no client was closed because there were too many. */
  httpConnectionClosed(): void;
  /** A connection of a trusted proxy was closed because its header of the PROXY protocol was bad, or did not come. */
  proxyHeaderRefused(cause: string): void;
}

/** What came from Redis since the start. */
export interface ReceivedTally {
  received: number;
  receivedBytes: number;
}

/**
 * One function for each event of the main thread, which holds its counter and its log line.
 *
 * @param redis where Redis is, for the log: `host:port`.
 */
export function createNodeEvents(
  logger: Logger,
  metrics: Metrics,
  redis: string,
  tally: ReceivedTally = { received: 0, receivedBytes: 0 },
): NodeEvents {
  const limited = new LogLimiter(logger);
  readCounter(
    metrics,
    'tradewind_edge_publications_received_total',
    'Messages received from Redis',
    () => tally.received,
  );
  readCounter(
    metrics,
    'tradewind_edge_bytes_in_total',
    'Bytes of payload received from Redis',
    () => tally.receivedBytes,
  );
  const dropped = metrics.labelledCounter(
    'tradewind_edge_publications_dropped_total',
    'Payloads from Redis that were not passed on, by reason',
    'reason',
    DROP_REASONS,
  );
  const rejectedHeaders = metrics.labelledCounter(
    'tradewind_edge_headers_rejected_total',
    'Messages from Redis that were dropped for their header, by reason; `old` is usual after a repair',
    'reason',
    HEADER_REJECTIONS,
  );
  const repairs = metrics.labelledCounter(
    'tradewind_edge_repairs_total',
    'Holes between Redis and the node: repaired from history, or told as a gap (by its reason)',
    'outcome',
    ['repaired', ...GAP_REASONS],
  );
  const repaired = metrics.counter({
    name: 'tradewind_edge_repaired_publications_total',
    help: 'Publications that the link lost and history brought',
  });
  const lost = metrics.labelledCounter(
    'tradewind_edge_lost_publications_total',
    'Publications that no subscriber of the node got, by reason; counted where their number is known',
    'reason',
    GAP_REASONS,
  );
  const epochs = metrics.labelledCounter(
    'tradewind_edge_epochs_total',
    'New epochs of channels: `entered`, and of these `started` by this node because Redis lost data',
    'what',
    ['entered', 'started'],
  );
  const historyReads = metrics.labelledCounter(
    'tradewind_edge_history_reads_total',
    'Reads of a channel’s history in Redis, by cause',
    'cause',
    HISTORY_CAUSES,
  );
  const historyReadBytes = metrics.counter({
    name: 'tradewind_edge_history_read_bytes_total',
    help: 'Bytes of history that Redis sent',
  });
  const unrecovered = metrics.labelledCounter(
    'tradewind_edge_recovery_failures_total',
    'Failed attempts to read the position or the history of a channel from Redis: `delayed` ones are repeated; after `refused` ones the channel continues without',
    'outcome',
    ['delayed', 'refused'],
  );
  const refusedChannels = metrics.counter({
    name: 'tradewind_edge_channels_refused_total',
    help: 'Subscriptions that Redis refused',
  });
  const linkLosses = metrics.counter({
    name: 'tradewind_edge_redis_link_losses_total',
    help: 'Times that the subscription link to Redis was lost',
  });
  const failedProbes = metrics.counter({
    name: 'tradewind_edge_probes_failed_total',
    help: 'Probes of the subscription that found that no data flows',
  });
  const exhausted = metrics.counter({
    name: 'tradewind_edge_descriptors_exhausted_total',
    help: 'Times that the process or the system ran out of file descriptors',
  });
  const closedConnections = metrics.counter({
    name: 'tradewind_edge_admin_connections_closed_total',
    help: 'Connections to the admin port that were closed because there were too many',
  });
  const refusedProbes = metrics.counter({
    name: 'tradewind_edge_probes_refused_total',
    help: 'Times that Redis began to refuse the probe that proves the subscription',
  });
  const writesRefused = metrics.gauge({
    name: 'tradewind_edge_redis_writes_refused',
    help: '1 while Redis refuses the node’s writes but still delivers what is published; one a node',
  });
  const lostWorkers = metrics.counter({
    name: 'tradewind_edge_workers_lost_total',
    help: 'Fan-out workers that ended unasked and were replaced',
  });

  return {
    ...createIdentityEvents(logger, limited, metrics),
    limited: limitedEvent(limited, metrics),
    received(_channel, bytes) {
      tally.received += 1;
      tally.receivedBytes += bytes;
    },
    dropped(channel, reason) {
      dropped.inc({ reason });
      limited.warn(`publication_dropped_${reason}`, { channel, reason });
    },
    headerRejected(channel, reason) {
      rejectedHeaders.inc({ reason });
      if (reason !== 'old') limited.warn(`header_rejected_${reason}`, { channel, reason });
    },
    repaired(channel, publications) {
      repairs.inc({ outcome: 'repaired' });
      repaired.inc(publications);
      limited.info('repaired', { channel, publications });
    },
    lost(channel, count, reason) {
      repairs.inc({ outcome: reason });
      if (count !== undefined) lost.inc({ reason }, count);
      limited.warn(`lost_${reason}`, { channel, count, reason });
    },
    resynced(channel, position) {
      epochs.inc({ what: 'entered' });
      limited.info('resynced', { channel, ...position });
    },
    epochStarted(channel) {
      epochs.inc({ what: 'started' });
      limited.warn('epoch_started', { channel });
    },
    historyRead(cause) {
      historyReads.inc({ cause });
    },
    historyBytesRead(bytes) {
      historyReadBytes.inc(bytes);
    },
    recoveryDelayed(channel, cause) {
      unrecovered.inc({ outcome: 'delayed' });
      limited.warn('recovery_delayed', { channel, cause });
    },
    recoveryRefused(channel, error) {
      unrecovered.inc({ outcome: 'refused' });
      limited.warn('recovery_refused', { channel, error: error.message });
    },
    refused(channel, error) {
      refusedChannels.inc();
      limited.warn('channel_refused', { channel, error: error.message });
    },
    degraded(cause) {
      linkLosses.inc();
      logger.warn({ cause }, 'degraded');
    },
    neverLinked(cause) {
      logger.warn({ cause, redis }, 'not_linked_yet');
    },
    linked(afterMs) {
      logger.info({ afterMs, redis }, 'linked');
    },
    restored(afterMs) {
      logger.info({ afterMs, redis }, 'restored');
    },
    probeFailed(cause) {
      failedProbes.inc();
      logger.warn({ cause }, 'probe_failed');
    },
    descriptorsExhausted(error) {
      exhausted.inc();
      limited.error('descriptors_exhausted', { error: error.message });
    },
    identityOff(host) {
      logger.warn({ host, setting: 'EDGE_AUTH' }, 'identity_off');
    },
    addressLimitsOff(host) {
      logger.warn({ host, setting: 'EDGE_TRUSTED_PROXIES' }, 'address_limits_off');
    },
    plainBehindTls(host) {
      logger.warn({ host, setting: 'EDGE_PLAIN_BEHIND_TLS' }, 'plain_behind_tls');
    },
    certificateRead(path, credentials) {
      const endsAt = new Date(certificateEndsAt(credentials)).toISOString();
      logger.info({ path, endsAt }, 'certificate_read');
    },
    certificateUnusable(path, cause) {
      logger.warn({ path, cause }, 'certificate_unusable');
    },
    unknownVariable({ name, nearest }) {
      logger.warn({ variable: name, nearest }, 'unknown_setting');
    },
    descriptorsShort(limit, asked, given) {
      logger.warn({ limit, asked, given }, 'descriptors_short');
    },
    adminConnectionClosed() {
      closedConnections.inc();
    },
    sendUnavailable(error) {
      logger.warn({ err: error }, 'send_unavailable');
    },
    probeRefused(error) {
      refusedProbes.inc();
      logger.warn({ error: error.message }, 'probe_refused');
    },
    writesRefused(error) {
      writesRefused.set(1);
      const { code, message, state } = error;
      logger.warn({ code, error: message, state: state.state }, 'redis_writes_refused');
    },
    writesAccepted() {
      writesRefused.set(0);
      logger.info('redis_writes_accepted');
    },
    stillDegraded(cause) {
      logger.warn({ cause }, 'still_degraded');
    },
    commandsAvailable() {
      logger.info('redis_commands_available');
    },
    commandsUnavailable(cause) {
      logger.warn({ cause }, 'redis_commands_unavailable');
    },
    redisTokenNotRenewed(cause, leftMs) {
      logger.warn({ cause, leftMs }, 'redis_token_not_renewed');
    },
    redisUnmended(fault) {
      logger.warn({ ...fault }, 'redis_unmended');
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
    shedStarted(count, overSeconds) {
      logger.info({ count, overSeconds }, 'shed_started');
    },
    drainEnded(leftOver) {
      logger.info({ leftOver }, 'drain_ended');
    },
  };
}

/** One function for each event of a fan-out worker, which holds its counter and its log line. */
export function createFanOutEvents(logger: Logger, metrics: Metrics): ClientListenerEvents {
  const limited = new LogLimiter(logger);
  const security = new SecurityLog(logger);
  const handshakes = metrics.labelledCounter(
    'tradewind_edge_handshakes_total',
    'WebSocket handshakes, by outcome: accepted, or the code they were rejected with',
    'outcome',
    ['accepted'],
  );
  const closedConnections = metrics.counter({
    name: 'tradewind_edge_http_connections_closed_total',
    help: 'Connections to the public port that were no WebSockets and were closed because there were too many',
  });
  const refusedProxyHeaders = metrics.labelledCounter(
    'tradewind_edge_proxy_headers_refused_total',
    'Connections of trusted proxies that were closed because they had a bad header of the PROXY protocol, by cause',
    'cause',
    PROXY_HEADER_FAULTS,
  );
  const disconnects = metrics.labelledCounter(
    'tradewind_edge_disconnects_total',
    'Connections that ended, by reason (the names of the close codes)',
    'reason',
    CLOSE_REASONS,
  );
  const authentications = metrics.labelledCounter(
    'tradewind_edge_authentications_total',
    'Tokens of clients, by outcome: accepted, or why they were refused',
    'outcome',
    ['accepted'],
  );
  const revoked = metrics.counter({
    name: 'tradewind_edge_sessions_revoked_total',
    help: 'Connections that were closed because their token was revoked',
  });
  const rejections = metrics.labelledCounter(
    'tradewind_edge_requests_rejected_total',
    'Client requests answered with an error, by code',
    'code',
    [],
  );
  const recoveries = metrics.labelledCounter(
    'tradewind_edge_recoveries_total',
    'Requests of clients to continue a channel, or for its history, by outcome: recovered, or why not',
    'outcome',
    ['recovered'],
  );
  const gaps = metrics.labelledCounter(
    'tradewind_edge_gaps_total',
    'Clients that were told a gap, by reason; once for each gap',
    'reason',
    GAP_REASONS,
  );
  const resyncs = metrics.counter({
    name: 'tradewind_edge_resyncs_total',
    help: 'Clients that were told that a channel begins a new epoch, the first one included',
  });
  const lag = metrics.histogram({
    name: 'tradewind_edge_publish_to_socket_seconds',
    help: 'From a publication’s `ts` until it was handed to the sockets (sampled); for a plain PUBLISH, `ts` is when the node received it',
    buckets: LAG_BUCKETS_SECONDS,
  });

  return {
    limited: limitedEvent(limited, metrics),
    clientOpened(session) {
      handshakes.inc({ outcome: 'accepted' });
      security.connected(session);
    },
    handshakeRejected(code, from) {
      handshakes.inc({ outcome: code });
      security.handshakeRejected(code, from);
    },
    httpConnectionClosed() {
      closedConnections.inc();
    },
    proxyHeaderRefused(cause) {
      refusedProxyHeaders.inc({ cause });
      limited.warn(`proxy_header_${cause}`, { cause });
    },
    clientClosed(reason, session) {
      disconnects.inc({ reason });
      if (reason === 'slow') limited.warn('client_slow', { session: session.id });
      security.closed(session, reason);
    },
    identified(session, isFirst) {
      authentications.inc({ outcome: 'accepted' });
      security.identified(session, isFirst);
    },
    tokenRefused(fault, session) {
      authentications.inc({ outcome: fault.cause });
      security.tokenRefused(fault, session);
    },
    sessionRevoked(session) {
      revoked.inc();
      security.revoked(session);
    },
    requestRejected(code) {
      rejections.inc({ code });
    },
    recovered(outcome) {
      recoveries.inc({ outcome });
    },
    gapTold(reason, clients) {
      gaps.inc({ reason }, clients);
    },
    resyncTold(clients) {
      resyncs.inc(clients);
    },
    delivered(lagMs) {
      lag.observe(Math.max(0, lagMs) / 1_000);
    },
  };
}

function limitedEvent(limited: LogLimiter, metrics: Metrics): Limited {
  const counter = metrics.counter({
    name: LIMITED_TOTAL,
    help: 'Times that a limit was exceeded, by limit (docs/limits.md), and whether something was refused for it (EDGE_LIMITS)',
    labelNames: ['limit', 'enforced'],
  });
  for (const [limit, { enforced, ...rest }] of Object.entries(EDGE_LIMITS)) {
    if ('countedBy' in rest) continue;
    counter.inc({ limit, enforced: 'true' }, 0);
    if (enforced === 'unless report') counter.inc({ limit, enforced: 'false' }, 0);
  }
  return (limit, isEnforced) => {
    counter.inc({ limit, enforced: String(isEnforced) });
    limited.warn(`limited_${limit}`, { limit, enforced: isEnforced });
  };
}
