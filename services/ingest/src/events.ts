import type { Revocation, UnmendedFault } from '@tradewind/bus';
import {
  createSecurityLog,
  type DescriptorShares,
  type Logger,
  LogLimiter,
  type Metrics,
  RELEASE,
  type UnknownVariable,
} from '@tradewind/runtime';
import type { CallerLimit } from './access/caller.ts';
import type { Right } from './access/token-entries.ts';
import { LIMITED_TOTAL } from './limits.ts';
import type { ItemResult } from './publishing/publish.ts';
import type { PublishQueueEvents } from './publishing/publish-queue.ts';

/** The routes by which tokens of clients are revoked. */
export type RevocationRoute = 'disconnect' | 'revoke';

/** The routes for publishers and for logins. They are values of a label, so the set is closed. */
export type RouteName = 'channel' | 'publish' | 'trades' | RevocationRoute;

/** The routes by which publications arrive. */
const ROUTE_NAMES: readonly RouteName[] = ['channel', 'publish', 'trades'];
const REVOCATION_ROUTES: readonly RevocationRoute[] = ['disconnect', 'revoke'];

/** The events of this service. Each has its counter and its log line. */
export interface IngestEvents extends PublishQueueEvents {
  /** A variable looks like a setting and is none. */
  unknownVariable(variable: UnknownVariable): void;
  listening(port: number, adminPort: number): void;
  /** A request has been answered, or its peer has gone. */
  requestDone(route: RouteName, status: number | 'aborted', seconds: number): void;
  /** @param address of the connection, which may be a balancer's. */
  unauthorized(route: RouteName, address: string | undefined): void;
  /** A token does not give the right that the route needs. */
  rightMissing(route: RouteName, caller: string, right: Right, address: string | undefined): void;
  rateLimited(
    route: RouteName,
    limit: 'in_flight' | 'in_flight_per_token' | 'publications' | CallerLimit,
    caller: string,
  ): void;
  /** `INGEST_TOKENS` is set, and each of its tokens may do everything. */
  tokensWithAllRights(count: number): void;
  /** The file of tokens has changed, and counts. */
  tokensRead(path: string, count: number): void;
  /** The file of tokens has changed, and is not usable. The previous tokens stay in use. */
  tokensUnreadable(path: string, cause: string): void;
  /** Tokens of clients were revoked, by whom. */
  revoked(route: RevocationRoute, caller: string, revocation: Revocation): void;
  /** Redis did not keep a revocation, and the caller was told. */
  revocationFailed(route: RevocationRoute, cause: string | undefined): void;
  /** A payload is not JSON; clients get it as a JSON string. */
  textPayload(): void;
  /** The items of a request have their results. */
  itemsDone(route: RouteName, results: readonly ItemResult[]): void;
  /** A connection to the public port was closed because there were too many. */
  httpConnectionClosed(): void;
  /** A connection to the admin port was closed because there were too many. */
  adminConnectionClosed(): void;
  /** The process or the system has no descriptor left: connections are accepted and closed at once. */
  descriptorsExhausted(error: Error): void;
  /** The limit of descriptors is too low for the configured connections. */
  descriptorsShort(limit: number, asked: DescriptorShares, given: DescriptorShares): void;
  redisAvailable(): void;
  redisUnavailable(cause: string): void;
  /** Redis is still unavailable, for a cause that was not reported before. */
  redisStillUnavailable(cause: string): void;
  /** Redis has a fault by its version. */
  redisUnmended(fault: UnmendedFault): void;
  /** The VM's token for Redis could not be renewed; the one before is good for so long, in ms. */
  redisTokenNotRenewed(cause: string, leftMs: number): void;
  drainTookTooLong(requestsInFlight: number): void;
}

/** Bucket bounds in seconds. A Redis in the same region answers within 0.001; the longest waits are for an absent one. */
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Registers the service's counters. */
export function createEvents(logger: Logger, metrics: Metrics, redis: string): IngestEvents {
  const limited = new LogLimiter(logger);
  const securityLog = createSecurityLog(logger);
  const requests = metrics.counter({
    name: 'tradewind_ingest_requests_total',
    help: 'Requests done, by route and HTTP status; aborted: the peer left before the answer.',
    labelNames: ['route', 'status'],
  });
  const requestSeconds = metrics.histogram({
    name: 'tradewind_ingest_request_seconds',
    help: 'Time from the request line to the end of the answer.',
    labelNames: ['route'],
    buckets: REQUEST_SECONDS,
  });
  const published = metrics.labelledCounter(
    'tradewind_ingest_publications_total',
    'Publications that Redis accepted and published.',
    'route',
    ROUTE_NAMES,
  );
  const duplicates = metrics.labelledCounter(
    'tradewind_ingest_duplicates_total',
    'Publications that Redis knew by their idempotency keys and did not publish again.',
    'route',
    ROUTE_NAMES,
  );
  const expired = metrics.labelledCounter(
    'tradewind_ingest_expired_total',
    'Publications that became too old, where it was found: waiting in the queue, or by Redis.',
    'where',
    ['queue', 'redis'],
  );
  const retried = metrics.counter({
    name: 'tradewind_ingest_retried_total',
    help: 'Further attempts to publish something.',
  });
  const queueFull = metrics.counter({
    name: 'tradewind_ingest_queue_full_total',
    help: 'Publications turned away because the queue held as much as it may.',
  });
  const texts = metrics.counter({
    name: 'tradewind_ingest_text_payloads_total',
    help: 'Payloads that came as text, not as JSON: clients get them as strings.',
  });
  const publishedBytes = metrics.labelledCounter(
    'tradewind_ingest_publication_bytes_total',
    'Payload bytes that Redis accepted and published.',
    'route',
    ROUTE_NAMES,
  );
  const failed = metrics.counter({
    name: 'tradewind_ingest_publications_failed_total',
    help: 'Publications that were not acknowledged, by error code.',
    labelNames: ['route', 'code'],
  });
  // Prometheus cannot see a rise from nothing: what is alerted on begins at 0.
  for (const route of ROUTE_NAMES) failed.inc({ route, code: 'unavailable' }, 0);
  const unauthorized = metrics.labelledCounter(
    'tradewind_ingest_unauthorized_total',
    'Requests without a valid token.',
    'route',
    [...ROUTE_NAMES, ...REVOCATION_ROUTES],
  );
  const rightsMissing = metrics.labelledCounter(
    'tradewind_ingest_rights_missing_total',
    'Requests with a token that does not give the right to them.',
    'route',
    [...ROUTE_NAMES, ...REVOCATION_ROUTES],
  );
  const revocations = metrics.labelledCounter(
    'tradewind_ingest_revocations_total',
    'Revocations of clients’ tokens that Redis keeps.',
    'route',
    REVOCATION_ROUTES,
  );
  const failedRevocations = metrics.labelledCounter(
    'tradewind_ingest_revocations_failed_total',
    'Revocations that Redis did not keep, and whose callers were told.',
    'route',
    REVOCATION_ROUTES,
  );
  const tokensUnreadable = metrics.counter({
    name: 'tradewind_ingest_tokens_unreadable_total',
    help: 'Times that the file of tokens had changed and was of no use.',
  });
  const rateLimited = metrics.counter({
    name: LIMITED_TOTAL,
    help: 'Requests refused because of a limit on all of them together, or on a token.',
    labelNames: ['route', 'limit'],
  });
  const closedConnections = metrics.counter({
    name: 'tradewind_ingest_http_connections_closed_total',
    help: 'Connections to the public port that were closed because there were too many.',
  });
  const closedAdminConnections = metrics.counter({
    name: 'tradewind_ingest_admin_connections_closed_total',
    help: 'Connections to the admin port that were closed because there were too many.',
  });
  const exhausted = metrics.counter({
    name: 'tradewind_ingest_descriptors_exhausted_total',
    help: 'Times that the process or the system ran out of file descriptors.',
  });
  const outages = metrics.counter({
    name: 'tradewind_ingest_redis_outages_total',
    help: 'Times that the link to Redis was lost.',
  });
  const available = metrics.gauge({
    name: 'tradewind_ingest_redis_available',
    help: 'Whether Redis answers this process: 1 or 0. Aggregate with min.',
  });

  return {
    unknownVariable({ name, nearest }) {
      logger.warn({ variable: name, nearest }, 'unknown_setting');
    },
    listening(port, adminPort) {
      logger.info({ version: RELEASE, port, adminPort }, 'listening');
    },
    requestDone(route, status, seconds) {
      requests.inc({ route, status });
      requestSeconds.observe({ route }, seconds);
    },
    unauthorized(route, address) {
      unauthorized.inc({ route });
      securityLog.warn('unauthorized', { route, address });
    },
    rightMissing(route, caller, right, address) {
      rightsMissing.inc({ route });
      securityLog.warn('right_missing', { route, caller, right, address });
    },
    rateLimited(route, limit, caller) {
      rateLimited.inc({ route, limit });
      limited.warn('rate_limited', { route, limit, caller });
    },
    tokensWithAllRights(count) {
      logger.warn({ count }, 'tokens_with_all_rights');
    },
    tokensRead(path, count) {
      logger.info({ path, count }, 'tokens_read');
    },
    tokensUnreadable(path, cause) {
      tokensUnreadable.inc();
      logger.warn({ path, cause }, 'tokens_unreadable');
    },
    revoked(route, caller, revocation) {
      revocations.inc({ route });
      logger.info({ route, caller, ...revocation }, 'revoked');
    },
    revocationFailed(route, cause) {
      failedRevocations.inc({ route });
      limited.error('revocation_failed', { route, cause });
    },
    textPayload() {
      texts.inc();
    },
    itemsDone(route, results) {
      let bytes = 0;
      let failures = 0;
      let repeated = 0;
      for (const result of results) {
        if (result.ok) {
          if (result.duplicate) repeated += 1;
          else bytes += result.bytes;
          continue;
        }
        const { code, message } = result.error;
        failures += 1;
        failed.inc({ route, code });
        limited.warn('publication_failed', { route, code, message, cause: result.cause });
      }
      published.inc({ route }, results.length - failures - repeated);
      duplicates.inc({ route }, repeated);
      publishedBytes.inc({ route }, bytes);
    },
    expired(where) {
      expired.inc({ where });
      limited.warn('publication_expired', { where });
    },
    retried() {
      retried.inc();
    },
    delayed(cause) {
      limited.warn('publication_delayed', { cause });
    },
    queueFull(publications) {
      queueFull.inc(publications);
      limited.warn('queue_full');
    },
    httpConnectionClosed() {
      closedConnections.inc();
    },
    adminConnectionClosed() {
      closedAdminConnections.inc();
    },
    descriptorsExhausted(error) {
      exhausted.inc();
      limited.error('descriptors_exhausted', { error: error.message });
    },
    descriptorsShort(limit, asked, given) {
      logger.warn({ limit, asked, given }, 'descriptors_short');
    },
    redisAvailable() {
      available.set(1);
      logger.info({ redis }, 'redis_available');
    },
    redisUnavailable(cause) {
      available.set(0);
      outages.inc();
      limited.error('redis_unavailable', { cause, redis });
    },
    redisStillUnavailable(cause) {
      limited.error('redis_still_unavailable', { cause });
    },
    redisTokenNotRenewed(cause, leftMs) {
      logger.warn({ cause, leftMs }, 'redis_token_not_renewed');
    },
    redisUnmended(fault) {
      logger.warn({ ...fault }, 'redis_unmended');
    },
    drainTookTooLong(inFlight) {
      logger.warn({ requestsInFlight: inFlight }, 'drain_deadline');
    },
  };
}
