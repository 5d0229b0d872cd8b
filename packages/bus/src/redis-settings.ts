import { isIP } from 'node:net';
import type { RedisOptions } from 'ioredis';
import {
  CONNECT_TIMEOUT_MS,
  DISCONNECT_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
} from './redis-limits.ts';

/** Where Redis is and how to get in. Secrets come as contents, never as file names. */
export interface RedisSettings {
  /** `redis://` or, for TLS, `rediss://`: `[user[:password]@]host[:port][/database]`. */
  readonly url: string;
  /** Wins over the password in `url`. */
  readonly password: string | undefined;
  /** PEM certificates to trust instead of the system's. Only with `rediss://`. */
  readonly certificateAuthority: string | undefined;
  /**
   * What CLIENT LIST shows, such as `tradewind-edge-7`; each connection adds its role to it. Redis
   * allows no spaces in it.
   */
  readonly connectionName: string;
}

/** What a connection is for. Becomes the end of its name: `tradewind-edge-7-subscriber`. */
export type RedisRole = 'subscriber' | 'commands';

/** Spelled out because ioredis types its replies after it. */
type LegacyReplyOptions = RedisOptions & { readonly replyMapping: 'legacy' };

interface RedisAddress {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

const DEFAULT_PORT = 6379;

/**
 * What is wrong with a Redis URL, as a phrase to put behind the setting or its value, or undefined.
 * Never repeats the URL, which may hold a password.
 */
export function checkRedisUrl(url: string): string | undefined {
  const parsed = parseRedisUrl(url);
  return typeof parsed === 'string' ? parsed : undefined;
}

/**
 * The ioredis options of every connection to Redis.
 *
 * @throws {TypeError} when the URL is not one that {@link checkRedisUrl} accepts, or when a
 *   certificate authority is given for a connection that would not be encrypted.
 */
export function redisOptions(settings: RedisSettings, role: RedisRole): LegacyReplyOptions {
  const address = parseRedisUrl(settings.url);
  if (typeof address === 'string') throw new TypeError(`the Redis URL ${address}`);
  const ca = settings.certificateAuthority;
  if (ca !== undefined && !address.tls)
    throw new TypeError('a certificate authority needs a rediss:// URL');

  const password = settings.password ?? address.password;
  return {
    host: address.host,
    port: address.port,
    db: address.database,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(password === undefined ? {} : { password }),
    ...(address.tls ? { tls: tlsOptions(address.host, ca) } : {}),
    replyMapping: 'legacy',
    connectionName: `${settings.connectionName}-${role}`,
    // Managed services (Memorystore) refuse CLIENT SETINFO.
    disableClientInfo: true,
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    keepAlive: KEEP_ALIVE_MS,
    retryStrategy: reconnectDelay,
    // A command that waits for Redis to return would be executed when it is stale: a trade of an
    // hour ago, published as new.
    enableOfflineQueue: false,
    // A command whose reply was lost may have been executed; sending it again publishes it twice.
    autoResendUnfulfilledCommands: false,
    // ioredis' own resubscription is one command for all channels whose failure nobody can handle.
    autoResubscribe: false,
    // Counts attempts on behalf of the two queues above, which are always empty.
    maxRetriesPerRequest: null,
    // The link's first PING tells more than INFO does, and needs no permission of its own.
    enableReadyCheck: false,
    // socketTimeout and commandTimeout stay unset. Their timers run before the socket is read, so
    // after a stall of our own event loop both blame a Redis whose answer already lies in the
    // kernel. RedisLink keeps the deadlines instead.
  };
}

/**
 * How long to wait before the attempt after `attempts` failed ones (from 1), in ms: doubled each
 * time up to the cap, and spread over its upper half so that a fleet does not knock in step.
 */
export function reconnectDelay(attempts: number): number {
  const ceiling = Math.min(RECONNECT_MIN_MS * 2 ** (attempts - 1), RECONNECT_MAX_MS);
  return Math.round(ceiling * (0.5 + Math.random() / 2));
}

function tlsOptions(host: string, ca: string | undefined): NonNullable<RedisOptions['tls']> {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
  };
}

function parseRedisUrl(url: string): RedisAddress | string {
  if (!URL.canParse(url)) return 'must be a URL such as redis://127.0.0.1:6379';
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(url);
  if (protocol !== 'redis:' && protocol !== 'rediss:') return 'must begin with redis: or rediss:';
  if (hostname === '') return 'must name a host';
  if (search !== '' || hash !== '') return 'may not carry options';
  const database = pathname === '' || pathname === '/' ? '0' : pathname.slice(1);
  if (!/^\d{1,5}$/.test(database))
    return 'may have nothing but the number of a database for a path';
  const credentials = [decode(username), decode(password)];
  if (credentials.includes(undefined))
    return 'has a user or password whose percent-encoding is broken';
  return {
    tls: protocol === 'rediss:',
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? DEFAULT_PORT : Number(port),
    username: credentials[0] || undefined,
    password: credentials[1] || undefined,
    database: Number(database),
  };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
