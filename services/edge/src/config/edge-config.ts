import type { Rate, ServiceSettings, UnknownVariable } from '@tradewind/runtime';
import type { WriteMode } from '../outbound/socket-send.ts';

/** All settings of an edge. A test holds the table of docs/configuration.md to it. */
export interface EdgeConfig extends ServiceSettings {
  /** Variables that look like settings of an edge, but are not. */
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
  /** `EDGE_DEMO_URL`: a page that `GET /` links to; `npm start` sets it. */
  readonly demoUrl: string | undefined;
  /** `EDGE_ORIGINS`: the web pages that may connect; none for all. */
  readonly origins: readonly string[];
  /**
   * `EDGE_TRUSTED_PROXIES`: addresses and networks of the proxies in front; empty for `direct`. Undefined if it is not set: then
   * the address of a connection may be that of a balancer, and nothing is limited by address.
   */
  readonly trustedProxies: readonly string[] | undefined;
  /** `EDGE_PROXY_PROTOCOL`: the version of the PROXY protocol that trusted proxies speak; `none` if they do not. */
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
  /** `EDGE_MAX_ERRORS`: the number of errors in 5 s that closes a client. */
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

/** The number of such connections that one worker may have. */
export function unidentifiedOfWorker({
  maxConnections,
  workers,
}: Pick<EdgeConfig, 'maxConnections' | 'workers'>): number {
  return Math.ceil((maxConnections * UNIDENTIFIED_SHARE) / workers);
}

/**
 * The share of `HTTP_MAX_CONNECTIONS` that one address may have open, and of the connections that may be unidentified. With it, four
 * addresses are needed to push out those of others. By default it is the number of connections that one address may open at once.
 */
export const ADDRESS_PLAIN_SHARE = 0.25;

/**
 * The least number of addresses, or subjects, that can use up what a node may ask of Redis (`EDGE_NODE_SUBSCRIBE_RATE`,
 * `EDGE_HISTORY_READ_BYTES_PER_SECOND`): whatever one of them does, four fifths are left for others.
 */
export const LEAST_OWNERS = 5;

/** The part of a drain that is reserved for the last close handshakes and for stopping, in seconds. */
export const DRAIN_RESERVE_SECONDS = 2;

/**
 * Control frames that may wait for one client, besides a gap for each of its channels: answers to a burst of
 * requests, and notices.
 */
export const SPARE_CONTROLS = 512;

/** Platforms on which several threads may accept on one port and share its connections evenly. */
export const REUSE_PORT_PLATFORMS: readonly NodeJS.Platform[] = ['linux'];
