import { availableParallelism, hostname } from 'node:os';
import { checkRedisUrl } from '@tradewind/bus';
import {
  CHANNEL_PATTERN_GRAMMAR,
  DEFAULT_MAX_HISTORY,
  DEFAULT_MAX_MESSAGE_BYTES,
  DEFAULT_MAX_PUBLICATION_BYTES,
  MAX_CHANNELS_PER_REQUEST,
} from '@tradewind/protocol';
import {
  type Environment,
  type EnvironmentReader,
  readConfig,
  readServiceSettings,
} from '@tradewind/runtime';
import { isNetwork } from '../owners/trusted-proxies.ts';
import { rejectContradictions } from './contradictions.ts';
import { DRAIN_RESERVE_SECONDS, type EdgeConfig, REUSE_PORT_PLATFORMS } from './edge-config.ts';

/** The most worker threads: more than a machine of the intended kind has cores. */
const MAX_WORKERS = 64;

/** The burst of handshakes of one address, in seconds of its rate: an office that loses its node comes back at once. */
const ADDRESS_BURST_SECONDS = 5;

/** The burst of requests of one subject, in seconds of its rate: the ratio of the defaults of `EDGE_REQUEST_BURST` and `EDGE_REQUEST_RATE`. */
const SUBJECT_BURST_SECONDS = 4;

const KIB = 1024;
const MIB = 1024 * KIB;

/** 16 TiB, which is more than a machine of the intended kind has. */
const MAX_MEMORY_BYTES = 16 * 1024 * 1024 * MIB;

/**
 * Saves a sixth of the CPU at a million deliveries a second to 1,000 clients, for about 10 ms at p99;
 * docs/performance.md has the figures and the command.
 */
const DEFAULT_FLUSH_MS = 20;

/**
 * Reads the configuration of an edge.
 *
 * @throws ConfigError with all mistakes.
 */
export function readEdgeConfig(env: Environment): EdgeConfig {
  return readConfig(env, read);
}

function read(env: EnvironmentReader): EdgeConfig {
  const service = readServiceSettings(env, {
    defaultPort: 8080,
    defaultAdminPort: 9080,
    redisUrlFault: checkRedisUrl,
  });
  const int = (name: string, fallback: number, min: number, max: number) =>
    env.integer(name, { default: fallback, min, max });
  const maxPublicationBytes = int(
    'EDGE_MAX_PUBLICATION_BYTES',
    DEFAULT_MAX_PUBLICATION_BYTES,
    1,
    MIB,
  );
  const maxChannelsPerClient = int('EDGE_MAX_CHANNELS_PER_CLIENT', 512, 1, 65_536);
  const nodeSubscribeRate = int('EDGE_NODE_SUBSCRIBE_RATE', 5_000, 1, 1_000_000);
  const historyReadBytes = int(
    'EDGE_HISTORY_READ_BYTES_PER_SECOND',
    32 * MIB,
    64 * KIB,
    1024 * MIB,
  );
  const addressHandshakes = int('EDGE_ADDRESS_HANDSHAKE_RATE', 50, 1, 100_000);
  const subjectRequests = int('EDGE_SUBJECT_REQUEST_RATE', 500, 1, 1_000_000);
  const config: Omit<EdgeConfig, 'unknownVariables'> = {
    ...service,
    nodeId: env.string('EDGE_NODE_ID', { default: defaultNodeId(), allowed: NODE_ID }),
    maxConnections: int('WS_MAX_CONNECTIONS', 40_000, 1, 1_000_000),
    maxHistory: int('EDGE_MAX_HISTORY', DEFAULT_MAX_HISTORY, 0, 100_000),
    tailCheckSeconds: int('EDGE_TAIL_CHECK_SECONDS', 30, 0, 3_600),
    probes: env.boolean('EDGE_PROBE', { default: true }),
    channelPatterns: env.list('EDGE_CHANNELS', { default: ['*'], allowed: CHANNEL_PATTERN }),
    tlsCertFile: env.optionalString('EDGE_TLS_CERT_FILE'),
    tlsKeyFile: env.optionalString('EDGE_TLS_KEY_FILE'),
    isPlainBehindTls: env.boolean('EDGE_PLAIN_BEHIND_TLS', { default: false }),
    auth: env.choice('EDGE_AUTH', AUTH),
    jwtSecretFile: env.optionalString('EDGE_JWT_HS256_KEY_FILE'),
    jwtKeysFile: env.optionalString('EDGE_JWT_KEYS_FILE'),
    jwksUrl: env.secret('EDGE_JWKS_URL'),
    jwtIssuer: env.optionalString('EDGE_JWT_ISSUER'),
    jwtAudience: env.optionalString('EDGE_JWT_AUDIENCE'),
    demoUrl: env.optionalString('EDGE_DEMO_URL', { allowed: PAGE_URL }),
    origins: env.list('EDGE_ORIGINS', { default: [], allowed: ORIGIN }),
    trustedProxies: readTrustedProxies(env),
    proxyProtocol: env.choice('EDGE_PROXY_PROTOCOL', PROXY_PROTOCOL),
    addressMaxConnections: int('EDGE_ADDRESS_MAX_CONNECTIONS', 2_000, 1, 1_000_000),
    addressHandshakeRate: {
      perSecond: addressHandshakes,
      burst: ADDRESS_BURST_SECONDS * addressHandshakes,
    },
    subjectMaxConnections: int('EDGE_SUBJECT_MAX_CONNECTIONS', 500, 1, 1_000_000),
    subjectRequestRate: {
      perSecond: subjectRequests,
      burst: SUBJECT_BURST_SECONDS * subjectRequests,
    },
    queueSlots: int('EDGE_QUEUE_SLOTS', 512, 8, 65_536),
    queueBytes: int('EDGE_QUEUE_BYTES', MIB, 64 * KIB, 64 * MIB),
    logBytes: int('EDGE_RING_BYTES', 4 * MIB, 0, 1024 * MIB),
    slowGraceMs: int('EDGE_SLOW_GRACE_MS', 2_000, 0, 600_000),
    slowMaxLagMs: int('EDGE_SLOW_MAX_LAG_MS', 30_000, 1_000, 600_000),
    memoryLimitBytes: int('EDGE_MEMORY_LIMIT_BYTES', 0, 0, MAX_MEMORY_BYTES),
    workers: int('EDGE_WORKERS', defaultWorkers(), 1, MAX_WORKERS),
    flushMs: int('EDGE_FLUSH_MS', DEFAULT_FLUSH_MS, 0, 1_000),
    writes: env.choice('EDGE_WRITES', WRITES),
    maxMessageBytes: int('EDGE_MAX_MESSAGE_BYTES', DEFAULT_MAX_MESSAGE_BYTES, 256, MIB),
    maxPublicationBytes,
    maxChannelsPerClient,
    maxChannels: int('EDGE_MAX_CHANNELS', 65_536, 1, 1_000_000),
    requestRate: {
      perSecond: int('EDGE_REQUEST_RATE', 50, 1, 100_000),
      burst: int('EDGE_REQUEST_BURST', 200, 1, 100_000),
    },
    maxErrors: int('EDGE_MAX_ERRORS', 20, 1, 1_000),
    subscribeRate: {
      perSecond: int('EDGE_SUBSCRIBE_RATE', MAX_CHANNELS_PER_REQUEST, 1, 100_000),
      burst: maxChannelsPerClient,
    },
    replayRate: {
      perSecond: int('EDGE_REPLAY_RATE_BYTES', 64 * KIB, KIB, 1024 * MIB),
      burst: int('EDGE_REPLAY_BURST_BYTES', 32 * MIB, 64 * KIB, 1024 * MIB),
    },
    nodeSubscribeRate: { perSecond: nodeSubscribeRate, burst: 2 * nodeSubscribeRate },
    historyReadRate: { perSecond: historyReadBytes, burst: 2 * historyReadBytes },
    enforcesRates: env.choice('EDGE_LIMITS', LIMITS) === 'enforce',
    lingerMs: int('EDGE_LINGER_MS', 3_000, 0, 600_000),
    pingSeconds: int('EDGE_PING_SECONDS', 25, 1, 3_600),
    pongSeconds: int('EDGE_PONG_SECONDS', 10, 2, 3_600),
    silentSeconds: int('EDGE_SILENT_SECONDS', 15, 1, 3_600),
    drainSeconds: int('DRAIN_SECONDS', 30, DRAIN_RESERVE_SECONDS + 1, 600),
    drainAcceptSeconds: int('DRAIN_ACCEPT_SECONDS', 5, 0, 300),
  };
  rejectContradictions(env, config);
  return { ...config, unknownVariables: env.unknown(['EDGE_', 'WS_', 'REDIS_']) };
}

const AUTH = { default: 'none', choices: ['jwt', 'none'] } as const;
const PROXY_PROTOCOL = { default: 'none', choices: ['none', 'v1'] } as const;
const WRITES = { default: 'send', choices: ['send', 'stream'] } as const;
const LIMITS = { default: 'enforce', choices: ['enforce', 'report'] } as const;

const NODE_ID = {
  pattern: /^[A-Za-z0-9_.-]{1,64}$/,
  description: '1 to 64 letters, digits, dots, hyphens or underscores',
};

/** An origin as browsers send it (RFC 6454, 6.2), without the default port. */
const ORIGIN = {
  pattern:
    /^(?!http:.*:80$|https:.*:443$)https?:\/\/(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[1-9][0-9]{0,4})?$/,
  description: 'http:// or https://, a host in lower case and a port unless it is the default',
};

/** A page that `GET /` links to. */
const PAGE_URL = {
  pattern: /^https?:\/\/[^\s<>"]+$/,
  description: 'a URL that begins with http:// or https://',
};

const CHANNEL_PATTERN = {
  pattern: CHANNEL_PATTERN_GRAMMAR,
  description: 'a channel name in which * stands for anything',
};

/** The value of `EDGE_TRUSTED_PROXIES` where clients connect without a proxy. */
const DIRECT = 'direct';

/** The most entries of `EDGE_TRUSTED_PROXIES`: each is compared with the address of every handshake. */
const MOST_TRUSTED_PROXIES = 256;

function readTrustedProxies(env: EnvironmentReader): readonly string[] | undefined {
  const entries = env.list('EDGE_TRUSTED_PROXIES', { default: [] });
  if (entries.length === 0) return undefined;
  if (entries.length === 1 && entries[0] === DIRECT) return [];
  for (const entry of entries.filter((each) => !isNetwork(each))) {
    env.reject(
      'EDGE_TRUSTED_PROXIES',
      `${JSON.stringify(entry)} must be ${DIRECT} alone, or an IP address or a network such as 10.0.0.0/8`,
    );
  }
  if (entries.length > MOST_TRUSTED_PROXIES) {
    env.reject('EDGE_TRUSTED_PROXIES', `must have ${MOST_TRUSTED_PROXIES} entries at most`);
  }
  return entries;
}

/** One thread for each core, less one for the hub. One thread in all where ports cannot be shared. */
function defaultWorkers(): number {
  if (!REUSE_PORT_PLATFORMS.includes(process.platform)) return 1;
  return Math.min(MAX_WORKERS, Math.max(1, availableParallelism() - 1));
}

function defaultNodeId(): string {
  const name = hostname()
    .replace(/[^A-Za-z0-9_.-]/g, '-')
    .slice(0, 48);
  return `edge-${name}-${process.pid}`;
}
