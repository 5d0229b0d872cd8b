import { availableParallelism, hostname } from 'node:os';
import { checkRedisUrl } from '@tradewind/bus';
import { MOST_QUEUE_ENTRIES } from '@tradewind/fanout';
import {
  CHANNEL_PATTERN_GRAMMAR,
  DEFAULT_MAX_HISTORY,
  DEFAULT_MAX_MESSAGE_BYTES,
  DEFAULT_MAX_PUBLICATION_BYTES,
  MAX_CHANNELS_PER_REQUEST,
} from '@tradewind/protocol';
import type { Rate } from '@tradewind/runtime';
import {
  credentialsFault,
  type Environment,
  type EnvironmentReader,
  isLoopback,
  readConfig,
  readServiceSettings,
  type ServiceSettings,
  type UnknownVariable,
} from '@tradewind/runtime';
import { readJwkSet, secretOf } from './auth/key-set.ts';
import type { WriteMode } from './outbound/socket-send.ts';
import { isNetwork } from './owners/trusted-proxies.ts';

/** All settings of an edge. A test holds the table of docs/configuration.md to it. */
export interface EdgeConfig extends ServiceSettings {
  /** Variables that look like settings of an edge and are none. */
  readonly unknownVariables: readonly UnknownVariable[];
  /** `EDGE_NODE_ID`: the node's name in `welcome`, logs and Redis. */
  readonly nodeId: string;
  /** `WS_MAX_CONNECTIONS`: clients of this node; further ones get 503. */
  readonly maxConnections: number;
  /** `EDGE_MAX_HISTORY`: publications of one channel that are read from Redis at once, or replayed to a client. */
  readonly maxHistory: number;
  /** `EDGE_TAIL_CHECK_SECONDS`: the longest time between two looks at a quiet channel's end. */
  readonly tailCheckSeconds: number;
  /** `EDGE_PROBE`: whether a probe proves once a second that data flows from Redis. */
  readonly probes: boolean;
  /** `EDGE_CHANNELS`: what clients may subscribe to; `*` stands for anything. */
  readonly channelPatterns: readonly string[];
  /** `EDGE_TLS_CERT_FILE` and `EDGE_TLS_KEY_FILE`: the certificate of the public port; both or none. */
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  /** `EDGE_PLAIN_BEHIND_TLS`: whether the public port is plain on purpose, because something in front of it does TLS. */
  readonly isPlainBehindTls: boolean;
  /** `EDGE_AUTH`: whether clients must say who they are, by a JWT. */
  readonly auth: 'jwt' | 'none';
  /** `EDGE_JWT_HS256_KEY_FILE`: the file of the key that tokens are verified with by HS256. */
  readonly jwtSecretFile: string | undefined;
  /** `EDGE_JWT_KEYS_FILE`: the file of the public keys, a JWK set. */
  readonly jwtKeysFile: string | undefined;
  /** `EDGE_JWKS_URL`: where the public keys are fetched from. */
  readonly jwksUrl: string | undefined;
  /** `EDGE_JWT_ISSUER`: what `iss` must be. */
  readonly jwtIssuer: string | undefined;
  /** `EDGE_JWT_AUDIENCE`: what `aud` must be or hold. */
  readonly jwtAudience: string | undefined;
  /** `EDGE_DEMO_URL`: a page that `GET /` points people to, as `npm start` sets it. */
  readonly demoUrl: string | undefined;
  /** `EDGE_ORIGINS`: the web pages that may connect; none for all. */
  readonly origins: readonly string[];
  /**
   * `EDGE_TRUSTED_PROXIES`: addresses and networks of the proxies in front; none for `direct`. Undefined when nobody said
   * whether there are any: then the address of a connection may be that of a balancer, and nothing is limited by it.
   */
  readonly trustedProxies: readonly string[] | undefined;
  /** `EDGE_PROXY_PROTOCOL`: the version of the PROXY protocol that trusted proxies speak, if they do. */
  readonly proxyProtocol: 'none' | 'v1';
  /** `EDGE_ADDRESS_MAX_CONNECTIONS`: clients of one address. */
  readonly addressMaxConnections: number;
  /** `EDGE_ADDRESS_HANDSHAKE_RATE`: connections and handshakes per address and second; the burst is five times that. */
  readonly addressHandshakeRate: Rate;
  /** `EDGE_SUBJECT_MAX_CONNECTIONS`: clients of one subject. */
  readonly subjectMaxConnections: number;
  /** `EDGE_SUBJECT_REQUEST_RATE`: requests per subject and second; the burst is four times that. */
  readonly subjectRequestRate: Rate;
  /** `EDGE_QUEUE_SLOTS`: publications that may wait for one client. */
  readonly queueSlots: number;
  /** `EDGE_QUEUE_BYTES`: bytes that may wait for one client. */
  readonly queueBytes: number;
  /** `EDGE_RING_BYTES`: bytes of recent publications that a worker keeps for clients whose queue refused them. */
  readonly logBytes: number;
  /** `EDGE_SLOW_GRACE_MS`: the least time over which three refusals make a client slow. */
  readonly slowGraceMs: number;
  /** `EDGE_SLOW_MAX_LAG_MS`: the longest that a client may be behind without catching up once. */
  readonly slowMaxLagMs: number;
  /** `EDGE_MEMORY_LIMIT_BYTES`: the most resident memory that the node should use; see `memoryLimitBytes`. */
  readonly memoryLimitBytes: number;
  /** `EDGE_WORKERS`: fan-out worker threads; 1 is the hub's own thread. */
  readonly workers: number;
  /**
   * `EDGE_FLUSH_MS`: the longest time between the starts of two rounds of flushes under load, in ms; 0 for no pause.
   */
  readonly flushMs: number;
  /** `EDGE_WRITES`: how frames go to the kernel. */
  readonly writes: WriteMode;
  /** `EDGE_MAX_MESSAGE_BYTES`: the largest frame of a client. */
  readonly maxMessageBytes: number;
  /** `EDGE_MAX_PUBLICATION_BYTES`: the largest payload from Redis; larger ones are dropped and counted. */
  readonly maxPublicationBytes: number;
  /** `EDGE_MAX_CHANNELS_PER_CLIENT`: channels that one connection may hold. */
  readonly maxChannelsPerClient: number;
  /** `EDGE_MAX_CHANNELS`: distinct channels that this node may hold in Redis. */
  readonly maxChannels: number;
  /** `EDGE_REQUEST_RATE` and `EDGE_REQUEST_BURST`: requests per client and second. */
  readonly requestRate: Rate;
  /** `EDGE_MAX_ERRORS`: errors in 5 s with which a client is closed. */
  readonly maxErrors: number;
  /** `EDGE_SUBSCRIBE_RATE`: channels per client and second; the burst is what it may hold. */
  readonly subscribeRate: Rate;
  /** `EDGE_REPLAY_RATE_BYTES` and `EDGE_REPLAY_BURST_BYTES`: bytes of replayed publications per client and second. */
  readonly replayRate: Rate;
  /** `EDGE_NODE_SUBSCRIBE_RATE`: new channels per node and second; the burst is twice that. */
  readonly nodeSubscribeRate: Rate;
  /** `EDGE_HISTORY_READ_BYTES_PER_SECOND`: history that Redis sends the node for clients; the burst is twice that. */
  readonly historyReadRate: Rate;
  /** `EDGE_LIMITS`: whether what exceeds a rate or a budget is refused, or only counted and logged. */
  readonly enforcesRates: boolean;
  /** `EDGE_LINGER_MS`: how long a channel is kept after its last subscriber left. */
  readonly lingerMs: number;
  /** `EDGE_PING_SECONDS`: the longest silence of a client before it is pinged; see `Liveness`. */
  readonly pingSeconds: number;
  /** `EDGE_PONG_SECONDS`: time for a client to answer that ping; see `LivenessLimits`. */
  readonly pongSeconds: number;
  /** `EDGE_SILENT_SECONDS`: the age at which a client that has asked for nothing is closed. */
  readonly silentSeconds: number;
  /** `DRAIN_SECONDS`: the longest time from SIGTERM to the exit. */
  readonly drainSeconds: number;
  /** `DRAIN_ACCEPT_SECONDS`: the first part of that, in which the node still accepts while the balancer notices. */
  readonly drainAcceptSeconds: number;
}

/**
 * The share of `WS_MAX_CONNECTIONS` that may be connected without having said who they are: what a stranger can occupy.
 * Each worker counts its own.
 */
export const UNIDENTIFIED_SHARE = 0.05;

/** Those of one worker. */
export function unidentifiedOfWorker({
  maxConnections,
  workers,
}: Pick<EdgeConfig, 'maxConnections' | 'workers'>): number {
  return Math.ceil((maxConnections * UNIDENTIFIED_SHARE) / workers);
}

/**
 * The share of `HTTP_MAX_CONNECTIONS` that one address may have open, and of the places for those who have not said who they are:
 * with it, four addresses are needed to push out those of others. By default it is as many as one address may open at once.
 */
export const ADDRESS_PLAIN_SHARE = 0.25;

/**
 * The number of addresses, or subjects, that it takes at least to use up what a node may ask of Redis
 * (`EDGE_NODE_SUBSCRIBE_RATE`, `EDGE_HISTORY_READ_BYTES_PER_SECOND`): whatever one does, four fifths are left to others.
 */
export const LEAST_OWNERS = 5;

/** The part of a drain that is reserved for the last close handshakes and for stopping, in seconds. */
export const DRAIN_RESERVE_SECONDS = 2;

/**
 * Control frames that may wait for one client, besides a gap for each of its channels: answers to a burst of
 * requests, and notices.
 */
export const SPARE_CONTROLS = 512;

/** The most worker threads: more than a machine of the intended kind has cores. */
const MAX_WORKERS = 64;

/** Platforms on which several threads may accept on one port and share its connections evenly. */
const REUSE_PORT_PLATFORMS: readonly NodeJS.Platform[] = ['linux'];

/** An office that loses its node comes back at once: five seconds' worth of handshakes. */
const ADDRESS_BURST_SECONDS = 5;

/** As many as `EDGE_REQUEST_BURST` is of `EDGE_REQUEST_RATE` by default. */
const SUBJECT_BURST_SECONDS = 4;

const KIB = 1024;
const MIB = 1024 * KIB;

/** 16 TiB, which is more than a machine of that kind has. */
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

function rejectContradictions(
  env: EnvironmentReader,
  config: Omit<EdgeConfig, 'unknownVariables'>,
): void {
  if (config.channelPatterns.length === 0) {
    env.reject('EDGE_CHANNELS', 'must hold a pattern; * offers every channel');
  }
  rejectTlsContradictions(env, config);
  if (!isLoopback(config.host)) rejectUnsafePublicStart(env, config);
  rejectIdentityContradictions(env, config);
  if (config.proxyProtocol !== 'none' && (config.trustedProxies ?? []).length === 0) {
    env.reject(
      'EDGE_PROXY_PROTOCOL',
      `${config.proxyProtocol} needs EDGE_TRUSTED_PROXIES: from anybody else such a header is a claim`,
    );
  }
  const leastQueueBytes = 2 * (config.maxPublicationBytes + KIB);
  if (config.queueBytes < leastQueueBytes) {
    env.reject(
      'EDGE_QUEUE_BYTES',
      `${config.queueBytes} must hold two of the largest publications: at least ${leastQueueBytes}`,
    );
  }
  const entries = config.queueSlots + config.maxChannelsPerClient + SPARE_CONTROLS;
  if (entries > MOST_QUEUE_ENTRIES) {
    env.reject(
      'EDGE_QUEUE_SLOTS',
      `${config.queueSlots} and EDGE_MAX_CHANNELS_PER_CLIENT (${config.maxChannelsPerClient}) may together be ${MOST_QUEUE_ENTRIES - SPARE_CONTROLS} at most: one queue has room for no more`,
    );
  }
  if (config.drainAcceptSeconds > config.drainSeconds - DRAIN_RESERVE_SECONDS - 1) {
    env.reject(
      'DRAIN_ACCEPT_SECONDS',
      `${config.drainAcceptSeconds} leaves less than 1 s of DRAIN_SECONDS (${config.drainSeconds}) for the clients; ${DRAIN_RESERVE_SECONDS} s are kept for stopping`,
    );
  }
  if (config.workers > 1 && !REUSE_PORT_PLATFORMS.includes(process.platform)) {
    env.reject('EDGE_WORKERS', `only 1 is possible on ${process.platform}, which has no reusePort`);
  }
}

function rejectTlsContradictions(
  env: EnvironmentReader,
  config: Pick<EdgeConfig, 'tlsCertFile' | 'tlsKeyFile' | 'isPlainBehindTls'>,
): void {
  const { tlsCertFile, tlsKeyFile, isPlainBehindTls } = config;
  if (tlsCertFile !== undefined && tlsKeyFile === undefined) {
    env.reject('EDGE_TLS_KEY_FILE', 'must be set together with EDGE_TLS_CERT_FILE');
  }
  if (tlsKeyFile !== undefined && tlsCertFile === undefined) {
    env.reject('EDGE_TLS_CERT_FILE', 'must be set together with EDGE_TLS_KEY_FILE');
  }
  const cert = env.fileContents('EDGE_TLS_CERT_FILE');
  const key = env.fileContents('EDGE_TLS_KEY_FILE');
  if (cert !== undefined && key !== undefined) {
    const fault = credentialsFault({ cert, key });
    if (fault !== undefined) {
      env.reject('EDGE_TLS_CERT_FILE', `${JSON.stringify(tlsCertFile)}: ${fault}`);
    }
  }
  if (isPlainBehindTls && tlsCertFile !== undefined) {
    env.reject('EDGE_PLAIN_BEHIND_TLS', '"true" must be false where EDGE_TLS_CERT_FILE is set');
  }
}

/**
 * On an address that others reach, an edge without TLS or without tokens is often a setting that was forgotten, and nothing else
 * would show it. So both must be asked for by name.
 */
function rejectUnsafePublicStart(
  env: EnvironmentReader,
  config: Pick<EdgeConfig, 'host' | 'tlsCertFile' | 'isPlainBehindTls'>,
): void {
  const { host, tlsCertFile, isPlainBehindTls } = config;
  const isReached = `when HOST (${JSON.stringify(host)}) is not loopback`;
  if (tlsCertFile === undefined && !isPlainBehindTls) {
    env.reject(
      'EDGE_PLAIN_BEHIND_TLS',
      `"false" must be true ${isReached} and EDGE_TLS_CERT_FILE is not set; true says that what clients connect to does TLS in front of this node`,
    );
  }
  if (!env.isSet('EDGE_AUTH')) {
    env.reject(
      'EDGE_AUTH',
      `"" must be one of jwt, none ${isReached}; jwt needs one of EDGE_JWT_HS256_KEY_FILE, EDGE_JWT_KEYS_FILE, EDGE_JWKS_URL, and none lets everybody read every channel that is offered`,
    );
  }
}

/** Keys without `EDGE_AUTH=jwt` are a mistake that would otherwise leave the node open. */
function rejectIdentityContradictions(
  env: EnvironmentReader,
  config: Pick<EdgeConfig, 'auth' | 'jwtSecretFile' | 'jwtKeysFile' | 'jwksUrl'>,
): void {
  const sources = Object.entries({
    EDGE_JWT_HS256_KEY_FILE: config.jwtSecretFile,
    EDGE_JWT_KEYS_FILE: config.jwtKeysFile,
    EDGE_JWKS_URL: config.jwksUrl,
  });
  const given = sources.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (config.auth === 'jwt' && given.length !== 1) {
    const names = sources.map(([name]) => name).join(', ');
    env.reject('EDGE_AUTH', `jwt needs exactly one of ${names}`);
  }
  if (config.auth === 'jwt' && given.length === 1) {
    const { jwtSecretFile, jwtKeysFile } = config;
    rejectUnusableKeys(env, 'EDGE_JWT_HS256_KEY_FILE', jwtSecretFile, secretOf);
    rejectUnusableKeys(env, 'EDGE_JWT_KEYS_FILE', jwtKeysFile, readJwkSet);
  }
  const { jwksUrl } = config;
  if (jwksUrl !== undefined && !(JWKS_URL.test(jwksUrl) && URL.canParse(jwksUrl))) {
    env.reject('EDGE_JWKS_URL', 'must be an https:// URL without a user name');
  }
  if (config.auth === 'none') {
    for (const name of given) env.reject(name, 'needs EDGE_AUTH=jwt');
  }
}

/** `--check` must find what would keep every worker from starting. Workers read the file again, and when it changes. */
function rejectUnusableKeys(
  env: EnvironmentReader,
  name: string,
  path: string | undefined,
  read: (content: Buffer) => unknown,
): void {
  const content = env.fileBytes(name);
  if (content === undefined) return;
  try {
    read(content);
  } catch (error) {
    // It says nothing of a key.
    env.reject(name, `${JSON.stringify(path)}: ${(error as Error).message}`);
  }
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

/** A user name and a password belong into no URL. */
const JWKS_URL = /^https:\/\/[^\s/?#@]+([/?][^\s#@]*)?$/;

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
