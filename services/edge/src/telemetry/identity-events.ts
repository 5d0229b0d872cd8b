import type { Logger, LogLimiter, Metrics } from '@tradewind/runtime';
import type { JwksEvents } from '../auth/jwks-source.ts';
import type { KeyFileEvents } from '../auth/key-file.ts';
import type { RevocationEvents } from '../auth/revocation-source.ts';

/** The events of keys from a URL and of revocations from Redis, which a node has once for all workers. */
export interface IdentityEvents extends JwksEvents, RevocationEvents {}

/**
 * Creates the events: each function counts its event and logs it.
 *
 * @param limited logs events that each message or attempt may cause.
 */
export function createIdentityEvents(
  logger: Logger,
  limited: LogLimiter,
  metrics: Metrics,
): IdentityEvents {
  const keyFetches = metrics.labelledCounter(
    'tradewind_edge_jwks_fetches_total',
    'Fetches of the keys for tokens (EDGE_JWKS_URL), by outcome',
    'outcome',
    ['fetched', 'failed'],
  );
  const ignoredRevocations = metrics.counter({
    name: 'tradewind_edge_revocations_ignored_total',
    help: 'Revocations in Redis that are none, or that the node has no room for',
  });

  return {
    keysFetched(isNew) {
      keyFetches.inc({ outcome: 'fetched' });
      if (isNew) logger.info('keys_fetched');
    },
    keysFetchFailed(cause) {
      keyFetches.inc({ outcome: 'failed' });
      logger.warn({ cause }, 'keys_fetch_failed');
    },
    keysEnded() {
      logger.error('keys_ended');
    },
    revocationsRead(count, leftOut) {
      logger.info({ count, leftOut }, 'revocations_read');
      if (leftOut > 0) ignoredRevocations.inc(leftOut);
    },
    revocationsUnreadable(cause) {
      limited.warn('revocations_unreadable', { cause });
    },
    revocationsRefused(cause) {
      limited.warn('revocations_refused', { cause });
    },
    revocationMalformed() {
      ignoredRevocations.inc();
      limited.warn('revocation_malformed');
    },
    revocationsFull() {
      ignoredRevocations.inc();
      limited.error('revocations_full');
    },
  };
}

/** Creates the events of the file of keys that tokens are verified with. */
export function createKeyEvents(logger: Logger): KeyFileEvents {
  return {
    keysRead(path) {
      logger.info({ path }, 'keys_read');
    },
    keysUnreadable(path, cause) {
      logger.warn({ path, cause }, 'keys_unreadable');
    },
  };
}
