import { checkRedisUrl, MAX_HISTORY_SIZE } from '@tradewind/bus';
import { DEFAULT_MAX_PUBLICATION_BYTES } from '@tradewind/protocol';
import {
  type EnvironmentReader,
  isLoopback,
  readServiceSettings,
  type ServiceSettings,
  type UnknownVariable,
} from '@tradewind/runtime';
import type { PublishQueueSettings } from './publishing/publish-queue.ts';
import type { HistorySettings } from './publishing/redis-publisher.ts';

/** What one request, or all of them together, may take. */
export interface IngestLimits {
  /** `INGEST_MAX_BODY_BYTES`: a request's body. */
  readonly maxBodyBytes: number;
  /** `INGEST_MAX_ITEMS`: publications in one request. */
  readonly maxItems: number;
  /** `INGEST_MAX_PUBLICATION_BYTES`: one payload. The edges drop what is larger than their own limit. */
  readonly maxPublicationBytes: number;
  /** `INGEST_MAX_IN_FLIGHT`: requests whose bodies are being read and held. */
  readonly maxInFlight: number;
  /** `INGEST_MAX_IN_FLIGHT_PER_TOKEN`: of these, those of one token, or of one address where there are none. */
  readonly maxInFlightPerToken: number;
  /**
   * `INGEST_PUBLICATIONS_PER_SECOND`: what all requests may publish. A burst may hold one second's
   * worth, or one request's, whichever is more.
   */
  readonly publicationsPerSecond: number;
}

export interface IngestConfig {
  /** What looks like a setting of an ingest and is none. */
  readonly unknownVariables: readonly UnknownVariable[];
  readonly service: ServiceSettings;
  /** `INGEST_TOKENS`: any of them lets a request in; none means open to everybody on loopback. */
  readonly tokens: readonly string[];
  readonly limits: IngestLimits;
  readonly publishing: PublishingSettings;
  readonly queue: Pick<PublishQueueSettings, 'maxItems' | 'maxBytes'>;
  /** `DRAIN_SECONDS`, in ms: from the signal until requests in flight are cut off. */
  readonly drainMs: number;
  /** `DRAIN_ACCEPT_SECONDS`, in ms: at the start of that, still accepting while the balancer notices. */
  readonly drainAcceptMs: number;
}

/** How everything is published, by the service and by the replay command. */
export interface PublishingSettings extends HistorySettings {
  /** `INGEST_IDEMPOTENCY_SECONDS`, in ms: how long a key is remembered; 0: keys are not used. */
  readonly idempotencyWindowMs: number;
  /** `INGEST_MAX_AGE_MS`: how old a publication may be when Redis executes it; 0: of any age. */
  readonly maxAgeMs: number;
}

const KIBIBYTE = 1_024;

/** A body of 64 MiB each is what a machine may be expected to hold. */
const MAX_BODIES_IN_FLIGHT = 128;

/** A week. Longer, and Redis holds what nobody will ask for. */
const MAX_SECONDS = 604_800;
const MEBIBYTE = KIBIBYTE * KIBIBYTE;

/** What a bearer token may consist of (RFC 6750), so that a header can carry it. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** Reads what the ingest service needs; mistakes are noted on `environment`. */
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
    tokens: readTokens(environment, service.host),
    limits,
    publishing: readPublishing(environment),
    queue: readQueue(environment, limits),
    drainMs: drainSeconds * 1_000,
    drainAcceptMs: drainAcceptSeconds * 1_000,
    unknownVariables: environment.unknown(['INGEST_', 'REDIS_']),
  };
}

/** Reads how everything is published; mistakes are noted on `environment`. */
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

/** Whatever a request may hold must fit, or it could never be published. */
function readQueue(environment: EnvironmentReader, limits: IngestLimits): IngestConfig['queue'] {
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
  if (maxItems < limits.maxItems) {
    environment.reject(
      'INGEST_QUEUE_ITEMS',
      `${maxItems} must not be less than INGEST_MAX_ITEMS (${limits.maxItems})`,
    );
  }
  if (maxBytes < limits.maxBodyBytes) {
    environment.reject(
      'INGEST_QUEUE_BYTES',
      `${maxBytes} must not be less than INGEST_MAX_BODY_BYTES (${limits.maxBodyBytes})`,
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
    // A half: one token leaves the other half to the others.
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

function readTokens(environment: EnvironmentReader, host: string): readonly string[] {
  const tokens = environment.secretList('INGEST_TOKENS');
  if (tokens.length === 0 && !isLoopback(host)) {
    environment.reject(
      'INGEST_TOKENS',
      `must hold a token when HOST (${JSON.stringify(host)}) is not loopback`,
    );
  }
  tokens.forEach((token, index) => {
    if (!TOKEN.test(token)) {
      environment.reject('INGEST_TOKENS', `token ${index + 1} has characters no header can carry`);
    }
  });
  return tokens;
}
