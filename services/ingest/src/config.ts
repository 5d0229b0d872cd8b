import { checkRedisUrl } from '@tradewind/bus';
import { DEFAULT_MAX_PUBLICATION_BYTES } from '@tradewind/protocol';
import {
  type EnvironmentReader,
  isLoopback,
  readServiceSettings,
  type ServiceSettings,
} from '@tradewind/runtime';
import { MAX_REQUESTS_IN_FLIGHT } from './publish.ts';

/** What one request, or all of them together, may take. */
export interface IngestLimits {
  /** `INGEST_MAX_BODY_BYTES`: a request's body. */
  readonly maxBodyBytes: number;
  /** `INGEST_MAX_ITEMS`: publications in one request. */
  readonly maxItems: number;
  /** `INGEST_MAX_PUBLICATION_BYTES`: one payload. The edges drop what is larger than their own limit. */
  readonly maxPublicationBytes: number;
  /** `INGEST_MAX_IN_FLIGHT`: requests that are being read, published or answered. */
  readonly maxInFlight: number;
  /**
   * `INGEST_PUBLICATIONS_PER_SECOND`: what all requests may publish. A burst may hold one second's
   * worth, or one request's, whichever is more.
   */
  readonly publicationsPerSecond: number;
}

export interface IngestConfig {
  readonly service: ServiceSettings;
  /** `INGEST_TOKENS`: any of them lets a request in; none means open to everybody on loopback. */
  readonly tokens: readonly string[];
  readonly limits: IngestLimits;
  /** `DRAIN_SECONDS`, in ms: how long requests in flight may take to finish. */
  readonly drainMs: number;
}

const KIBIBYTE = 1_024;
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
  return {
    service,
    tokens: readTokens(environment, service.host),
    limits,
    drainMs: environment.integer('DRAIN_SECONDS', { default: 10, min: 0, max: 3_600 }) * 1_000,
  };
}

function readLimits(environment: EnvironmentReader): IngestLimits {
  return {
    maxBodyBytes: environment.integer('INGEST_MAX_BODY_BYTES', {
      default: MEBIBYTE,
      min: KIBIBYTE,
      max: 64 * MEBIBYTE,
    }),
    maxItems: environment.integer('INGEST_MAX_ITEMS', { default: 1_000, min: 1, max: 100_000 }),
    // The largest is what 128 requests in flight can hold within the bus's 32 MiB.
    maxPublicationBytes: environment.integer('INGEST_MAX_PUBLICATION_BYTES', {
      default: DEFAULT_MAX_PUBLICATION_BYTES,
      min: 1,
      max: 256 * KIBIBYTE,
    }),
    maxInFlight: environment.integer('INGEST_MAX_IN_FLIGHT', {
      default: 64,
      min: 1,
      max: MAX_REQUESTS_IN_FLIGHT,
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
