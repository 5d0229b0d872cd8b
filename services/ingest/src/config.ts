import { checkRedisUrl, MAX_HISTORY_SIZE } from '@tradewind/bus';
import { DEFAULT_MAX_PUBLICATION_BYTES } from '@tradewind/protocol';
import {
  type EnvironmentReader,
  isLoopback,
  readServiceSettings,
  type ServiceSettings,
  type UnknownVariable,
} from '@tradewind/runtime';
import { readTokenEntries, type TokenEntry } from './access/token-entries.ts';
import { type PublishQueueSettings, SHARD_SHARE } from './publishing/publish-queue.ts';
import type { HistorySettings } from './publishing/redis-publisher.ts';

/** Limits of one request, and of all requests together. */
export interface IngestLimits {
  /** `INGEST_MAX_BODY_BYTES`: bytes of a request's body. */
  readonly maxBodyBytes: number;
  /** `INGEST_MAX_ITEMS`: publications in one request. */
  readonly maxItems: number;
  /** `INGEST_MAX_PUBLICATION_BYTES`: bytes of one payload. An edge drops a payload above its own limit. */
  readonly maxPublicationBytes: number;
  /** `INGEST_MAX_IN_FLIGHT`: requests whose bodies are read or held. */
  readonly maxInFlight: number;
  /** `INGEST_MAX_IN_FLIGHT_PER_TOKEN`: of these, requests of one token, or of one address if there are no tokens. */
  readonly maxInFlightPerToken: number;
  /**
   * `INGEST_PUBLICATIONS_PER_SECOND`: publications of all requests. A burst may be as large as one second's worth or one
   * request's, whichever is more.
   */
  readonly publicationsPerSecond: number;
}

export interface IngestConfig {
  /** Variables that look like settings of ingest and are none. */
  readonly unknownVariables: readonly UnknownVariable[];
  readonly service: ServiceSettings;
  /** `INGEST_TOKENS`: tokens with all rights. */
  readonly tokens: readonly string[];
  /**
   * `INGEST_TOKENS_FILE`: tokens with their rights, as the file had them at the start. Without it and without `tokens`,
   * everybody may do everything, which is accepted only on loopback.
   */
  readonly tokenFile:
    | { readonly path: string; readonly entries: readonly TokenEntry[] }
    | undefined;
  readonly limits: IngestLimits;
  readonly publishing: PublishingSettings;
  readonly queue: Pick<PublishQueueSettings, 'maxItems' | 'maxBytes'>;
  /** `DRAIN_SECONDS`, in ms: from the signal until requests in flight are aborted. */
  readonly drainMs: number;
  /** `DRAIN_ACCEPT_SECONDS`, in ms: the first part of the drain, in which requests are still accepted while the balancer notices. */
  readonly drainAcceptMs: number;
}

/** The terms of every publication, by the service and by the replay command. */
export interface PublishingSettings extends HistorySettings {
  /** `INGEST_IDEMPOTENCY_SECONDS`, in ms: how long a key is remembered; 0: keys are not used. */
  readonly idempotencyWindowMs: number;
  /** `INGEST_MAX_AGE_MS`: the highest age of a publication when Redis executes it; 0: any age. */
  readonly maxAgeMs: number;
}

const KIBIBYTE = 1_024;

/** With bodies of 64 MiB each, these need 8 GiB. */
const MAX_BODIES_IN_FLIGHT = 128;

/** A week: longer than a publisher is likely to repeat a key, or a client to ask for a history. */
const MAX_SECONDS = 604_800;
const MEBIBYTE = KIBIBYTE * KIBIBYTE;

/** The syntax of a bearer token that a header can carry (RFC 6750). */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** Reads the settings of the ingest service; mistakes are collected by `environment`. */
export function readIngestConfig(environment: EnvironmentReader): IngestConfig {
  const service = readServiceSettings(environment, {
    defaultPort: 8_081,
    defaultAdminPort: 9_081,
    redisUrlFault: checkRedisUrl,
  });
  const limits = readLimits(environment);
  if (limits.maxPublicationBytes > limits.maxBodyBytes) {
    environment.reject(
      'INGEST_MAX_PUBLICATION_BYTES',
      `must not be larger than INGEST_MAX_BODY_BYTES (${limits.maxBodyBytes})`,
    );
  }
  const drainSeconds = environment.integer('DRAIN_SECONDS', { default: 15, min: 0, max: 3_600 });
  const drainAcceptSeconds = environment.integer('DRAIN_ACCEPT_SECONDS', {
    default: 5,
    min: 0,
    max: 300,
  });
  if (drainAcceptSeconds > drainSeconds) {
    environment.reject(
      'DRAIN_ACCEPT_SECONDS',
      `${drainAcceptSeconds} must not be more than DRAIN_SECONDS (${drainSeconds})`,
    );
  }
  return {
    service,
    ...readTokens(environment, service.host),
    limits,
    publishing: readPublishing(environment),
    queue: readQueue(environment, limits, service.redis.mode === 'cluster'),
    drainMs: drainSeconds * 1_000,
    drainAcceptMs: drainAcceptSeconds * 1_000,
    unknownVariables: environment.unknown(['INGEST_', 'REDIS_']),
  };
}

/** Reads the terms of publishing; mistakes are collected by `environment`. */
export function readPublishing(environment: EnvironmentReader): PublishingSettings {
  const seconds = (name: string): number =>
    environment.integer(name, { default: 600, min: 0, max: MAX_SECONDS });
  const settings = {
    historySize: environment.integer('INGEST_HISTORY_SIZE', {
      default: 1_000,
      min: 0,
      max: MAX_HISTORY_SIZE,
    }),
    historyTtlMs: seconds('INGEST_HISTORY_SECONDS') * 1_000,
    idempotencyWindowMs: seconds('INGEST_IDEMPOTENCY_SECONDS') * 1_000,
    maxAgeMs: environment.integer('INGEST_MAX_AGE_MS', { default: 5_000, min: 0, max: 600_000 }),
  };
  const { idempotencyWindowMs, maxAgeMs } = settings;
  if (idempotencyWindowMs > 0 && idempotencyWindowMs < maxAgeMs) {
    environment.reject(
      'INGEST_IDEMPOTENCY_SECONDS',
      `${idempotencyWindowMs / 1_000} must be 0 or at least INGEST_MAX_AGE_MS (${maxAgeMs} ms)`,
    );
  }
  return settings;
}

/**
 * The queue must have room for the largest request, which could otherwise never be published. In a Cluster that is the room of
 * one shard.
 */
function readQueue(
  environment: EnvironmentReader,
  limits: IngestLimits,
  isCluster: boolean,
): IngestConfig['queue'] {
  const share = isCluster ? SHARD_SHARE : 1;
  const ofShard = isCluster ? `, divided by the share of one shard (${SHARD_SHARE})` : '';
  const maxItems = environment.integer('INGEST_QUEUE_ITEMS', {
    default: 10_000,
    min: 1,
    max: 1_000_000,
  });
  const maxBytes = environment.integer('INGEST_QUEUE_BYTES', {
    default: 16 * MEBIBYTE,
    min: KIBIBYTE,
    max: 1_024 * MEBIBYTE,
  });
  if (maxItems * share < limits.maxItems) {
    environment.reject(
      'INGEST_QUEUE_ITEMS',
      `${maxItems} must not be less than INGEST_MAX_ITEMS (${limits.maxItems})${ofShard}`,
    );
  }
  if (maxBytes * share < limits.maxBodyBytes) {
    environment.reject(
      'INGEST_QUEUE_BYTES',
      `${maxBytes} must not be less than INGEST_MAX_BODY_BYTES (${limits.maxBodyBytes})${ofShard}`,
    );
  }
  return { maxItems, maxBytes };
}

function readLimits(environment: EnvironmentReader): IngestLimits {
  const maxInFlight = environment.integer('INGEST_MAX_IN_FLIGHT', {
    default: 64,
    min: 1,
    max: MAX_BODIES_IN_FLIGHT,
  });
  return {
    maxBodyBytes: environment.integer('INGEST_MAX_BODY_BYTES', {
      default: MEBIBYTE,
      min: KIBIBYTE,
      max: 64 * MEBIBYTE,
    }),
    maxItems: environment.integer('INGEST_MAX_ITEMS', { default: 1_000, min: 1, max: 100_000 }),
    // Far below the 2 MiB that may be on their way to Redis at once.
    maxPublicationBytes: environment.integer('INGEST_MAX_PUBLICATION_BYTES', {
      default: DEFAULT_MAX_PUBLICATION_BYTES,
      min: 1,
      max: 256 * KIBIBYTE,
    }),
    maxInFlight,
    // Half of the total, so that one token leaves the other half to the others.
    maxInFlightPerToken: environment.integer('INGEST_MAX_IN_FLIGHT_PER_TOKEN', {
      default: Math.ceil(maxInFlight / 2),
      min: 1,
      max: MAX_BODIES_IN_FLIGHT,
    }),
    publicationsPerSecond: environment.integer('INGEST_PUBLICATIONS_PER_SECOND', {
      default: 10_000,
      min: 1,
      max: 1_000_000,
    }),
  };
}

function readTokens(
  environment: EnvironmentReader,
  host: string,
): Pick<IngestConfig, 'tokens' | 'tokenFile'> {
  const tokens = environment.secretList('INGEST_TOKENS');
  const path = environment.optionalString('INGEST_TOKENS_FILE');
  if (tokens.length === 0 && path === undefined && !isLoopback(host)) {
    environment.reject(
      'INGEST_TOKENS_FILE',
      `must be set when HOST (${JSON.stringify(host)}) is not loopback`,
    );
  }
  tokens.forEach((token, index) => {
    if (!TOKEN.test(token)) {
      environment.reject('INGEST_TOKENS', `token ${index + 1} has characters no header can carry`);
    }
  });
  const entries = readTokenFile(environment);
  const tokenFile = path === undefined || entries === undefined ? undefined : { path, entries };
  return { tokens, tokenFile };
}

function readTokenFile(environment: EnvironmentReader): readonly TokenEntry[] | undefined {
  const text = environment.fileContents('INGEST_TOKENS_FILE');
  if (text === undefined) return undefined;
  try {
    return readTokenEntries(Buffer.from(text));
  } catch (error) {
    environment.reject('INGEST_TOKENS_FILE', (error as Error).message);
    return undefined;
  }
}
