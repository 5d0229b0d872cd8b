import type { RedisRefusedError, UnmendedFault } from '@tradewind/bus';
import type { GapReason, UndeliverableReason } from '@tradewind/protocol';
import {
  certificateEndsAt,
  type DescriptorShares,
  type Logger,
  LogLimiter,
  type Metrics,
  type TlsCredentials,
  type UnknownVariable,
} from '@tradewind/runtime';
import type { HeaderRejection } from '../hub/channel.ts';
import type { HubEvents } from '../hub/hub.ts';
import type { HistoryCause } from '../hub/recovery.ts';
import { readCounter } from './gauges.ts';
import { createIdentityEvents, type IdentityEvents } from './identity-events.ts';
import { limitedEvent } from './limit-table.ts';

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
/** Why publications are missing, for subscribers of the node and for each client. */
export const GAP_REASONS: readonly GapReason[] = [
  'slow',
  'trimmed',
  'unreadable',
  'too_large',
  'link',
];
const HISTORY_CAUSES: readonly HistoryCause[] = ['repair', 'resume'];

/** The events of a node's main thread. */
export interface NodeEvents extends HubEvents, IdentityEvents {
  /** The certificate of the public port is in force from now on. Called at the start too. */
  certificateRead(path: string, credentials: TlsCredentials): void;
  /** The files of the certificate have changed and are unusable. The previous certificate stays in force. */
  certificateUnusable(path: string, cause: string): void;
  /** The node listens on an address that others reach, and asks for no tokens. */
  identityOff(host: string): void;
  /** The node listens on an address that others reach, and `EDGE_TRUSTED_PROXIES` is not set. */
  addressLimitsOff(host: string): void;
  /** The node listens on an address that others reach, without TLS. */
  plainBehindTls(host: string): void;
  /** A probe found that no data flows on the subscription. The second failure in a row replaces the link. */
  probeFailed(cause: string): void;
  /** The process or the system has no file descriptor left: connections are accepted and closed at once. */
  descriptorsExhausted(error: Error): void;
  /** A variable looks like a setting, but is not. */
  unknownVariable(variable: UnknownVariable): void;
  /** The limit of file descriptors does not allow the connections that were configured. */
  descriptorsShort(limit: number, asked: DescriptorShares, given: DescriptorShares): void;
  /** A connection to the admin port was closed because there were too many. */
  adminConnectionClosed(): void;
  /** `send` does not load: frames go through the streams instead. */
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
  /** Redis has a known fault of its version. */
  redisUnmended(fault: UnmendedFault): void;
  /** The VM's token for Redis could not be renewed. The previous one is valid for `leftMs` more ms. */
  redisTokenNotRenewed(cause: string, leftMs: number): void;
  workerStarted(slot: number): void;
  /** A worker ended although nobody stopped it. */
  workerLost(slot: number, cause: string): void;
  drainStarted(connections: number): void;
  drainEnded(leftOver: number): void;
  /** The node sends `count` of its clients to other nodes. */
  shedStarted(count: number, overSeconds: number): void;
}

/** How many messages, and bytes of payload, came from Redis since the start. `withTally` counts them. */
export interface ReceivedTally {
  received: number;
  receivedBytes: number;
}

/**
 * Creates the events of the main thread: each function counts its event and logs it. Messages from Redis come too often for
 * that, so they are only counted, in the tally.
 *
 * @param redis the address of Redis for the log: `host:port`.
 */
export function createNodeEvents(
  logger: Logger,
  metrics: Metrics,
  redis: string,
  tally: ReceivedTally = { received: 0, receivedBytes: 0 },
): Omit<NodeEvents, 'received'> {
  const limited = new LogLimiter(logger);
  // A node has two links, which usually end together by one cause. The line about the link for commands is then no second warning.
  // The line about the subscription link always is a warning, because the runbook finds an outage by its name.
  let warnedCause: string | undefined;
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
      warnedCause = cause;
      logger.warn({ cause }, 'degraded');
    },
    neverLinked(cause) {
      warnedCause = cause;
      logger.warn({ cause, redis }, 'not_linked_yet');
    },
    linked(afterMs) {
      warnedCause = undefined;
      logger.info({ afterMs, redis }, 'linked');
    },
    restored(afterMs, shard) {
      warnedCause = undefined;
      logger.info({ afterMs, redis, shard }, 'restored');
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
      warnedCause = undefined;
      logger.info('redis_commands_available');
    },
    commandsUnavailable(cause) {
      const isKnown = cause === warnedCause;
      warnedCause = cause;
      if (isKnown) logger.info({ cause }, 'redis_commands_unavailable');
      else logger.warn({ cause }, 'redis_commands_unavailable');
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
