import { CLOSE_CODES, type CloseReason, type ErrorCode } from '@tradewind/protocol';
import { type Logger, LogLimiter, type Metrics } from '@tradewind/runtime';
import type { FanOutEvents } from '../clients/fan-out-events.ts';
import type { Session } from '../clients/session/session.ts';
import { limitedEvent } from './limit-table.ts';
import { GAP_REASONS } from './node-events.ts';
import { SecurityLog } from './security-log.ts';

/** Buckets for the time from the timestamp of a publication to the sockets, in seconds: 1 ms to 5 s. */
const LAG_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const PROXY_HEADER_FAULTS = ['malformed', 'late', 'closed'];
const CLOSE_REASONS = Object.keys(CLOSE_CODES) as CloseReason[];

/** The events of a fan-out worker and of the port that it serves. */
export interface ClientListenerEvents extends FanOutEvents {
  handshakeRejected(code: ErrorCode, from: Pick<Session, 'address' | 'origin'>): void;
  /** A connection that is no WebSocket was closed because there were too many. */
  httpConnectionClosed(): void;
  /** A connection of a trusted proxy was closed because its header of the PROXY protocol was malformed, or did not come. */
  proxyHeaderRefused(cause: string): void;
}

/** Creates the events of a fan-out worker: each function counts its event and logs it. */
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
