import { MAX_REVOCATIONS } from '@tradewind/bus';
import { type Limit, MAX_ADMIN_CONNECTIONS } from '@tradewind/runtime';
import type { IngestConfig } from './config.ts';
import { MIN_BODY_BYTES_PER_SECOND } from './http/request-body.ts';

/** Every limit of ingest: the rows of docs/limits.md. */
export const INGEST_LIMITS = {
  http_connections: {
    what: 'connections to the public port that are no WebSockets',
    per: 'node',
    amount: ({ service }) => `${service.httpMaxConnections}`,
    variables: ['HTTP_MAX_CONNECTIONS'],
    told: 'the one that has waited longest for its next request is closed',
    countedBy: 'tradewind_ingest_http_connections_closed_total',
    enforced: 'always',
  },
  admin_connections: {
    what: 'connections to the admin port',
    per: 'node',
    amount: () => `${MAX_ADMIN_CONNECTIONS}`,
    variables: [],
    told: 'the one that has waited longest for its next request is closed',
    countedBy: 'tradewind_ingest_admin_connections_closed_total',
    enforced: 'always',
  },
  body_bytes: {
    what: 'bytes of a body',
    per: 'request',
    amount: ({ limits }) => `${limits.maxBodyBytes}`,
    variables: ['INGEST_MAX_BODY_BYTES'],
    told: '413 `message_too_large`',
    countedBy: 'tradewind_ingest_requests_total{status="413"}',
    enforced: 'always',
  },
  items: {
    what: 'publications',
    per: 'request',
    amount: ({ limits }) => `${limits.maxItems}`,
    variables: ['INGEST_MAX_ITEMS'],
    told: '413 `message_too_large`',
    countedBy: 'tradewind_ingest_requests_total{status="413"}',
    enforced: 'always',
  },
  publication_bytes: {
    what: 'bytes of a payload',
    per: 'request',
    amount: ({ limits }) => `${limits.maxPublicationBytes}`,
    variables: ['INGEST_MAX_PUBLICATION_BYTES'],
    told: '413 `publication_too_large`',
    countedBy: 'tradewind_ingest_publications_failed_total{code="publication_too_large"}',
    enforced: 'always',
  },
  in_flight: {
    what: 'requests whose bodies are being read',
    per: 'node',
    amount: ({ limits }) => `${limits.maxInFlight}`,
    variables: ['INGEST_MAX_IN_FLIGHT'],
    told: '429 `rate_limited` with `Retry-After`',
    enforced: 'always',
  },
  in_flight_per_token: {
    what: 'of these, requests of one token, or of one address where there are no tokens',
    per: 'token',
    amount: ({ limits }) => `${limits.maxInFlightPerToken}`,
    variables: ['INGEST_MAX_IN_FLIGHT_PER_TOKEN'],
    told: '429 `rate_limited` with `Retry-After`',
    enforced: 'always',
  },
  token_publications: {
    what: 'publications, where its entry has `publicationsPerSecond`',
    per: 'token',
    amount: () => 'none; at once: a second of it, or one request',
    variables: ['INGEST_TOKENS_FILE', 'INGEST_MAX_ITEMS'],
    told: '429 `rate_limited` with `Retry-After`',
    enforced: 'always',
  },
  token_bytes: {
    what: 'bytes of payloads, where its entry has `bytesPerSecond`',
    per: 'token',
    amount: () => 'none; at once: a second of it, or one request',
    variables: ['INGEST_TOKENS_FILE', 'INGEST_MAX_BODY_BYTES'],
    told: '429 `rate_limited` with `Retry-After`',
    enforced: 'always',
  },
  revocations: {
    what: 'revocations of clients’ tokens that are in force',
    per: 'node',
    amount: () => `${MAX_REVOCATIONS}, of all nodes together`,
    variables: [],
    told: '503 `storage_full` with `Retry-After`',
    countedBy: 'tradewind_ingest_revocations_failed_total',
    enforced: 'always',
  },
  body_pace: {
    what: 'bytes of a body that has taken 2 s already',
    per: 'request',
    amount: () => `at least ${MIN_BODY_BYTES_PER_SECOND} a second on average`,
    variables: [],
    told: '408 `request_timeout` with `Retry-After`',
    countedBy: 'tradewind_ingest_requests_total{status="408"}',
    enforced: 'always',
  },
  publications: {
    what: 'publications',
    per: 'node',
    amount: ({ limits }) =>
      `${limits.publicationsPerSecond} a second, ${Math.max(limits.publicationsPerSecond, limits.maxItems)} at once`,
    variables: ['INGEST_PUBLICATIONS_PER_SECOND', 'INGEST_MAX_ITEMS'],
    told: '429 `rate_limited` with `Retry-After`',
    enforced: 'always',
  },
  queue: {
    what: 'publications that wait for Redis or are on their way',
    per: 'node',
    amount: ({ queue }) => `${queue.maxItems}, ${queue.maxBytes} bytes`,
    variables: ['INGEST_QUEUE_ITEMS', 'INGEST_QUEUE_BYTES'],
    told: '503 `unavailable`',
    countedBy: 'tradewind_ingest_queue_full_total',
    enforced: 'always',
  },
} as const satisfies Record<string, Limit<IngestConfig>>;

/** The counter of every limit that has no counter of its own. */
export const LIMITED_TOTAL = 'tradewind_ingest_rate_limited_total';
