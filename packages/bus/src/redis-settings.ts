import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { RedisOptions } from 'ioredis';
import { CONNECT_TIMEOUT_MS, DISCONNECT_TIMEOUT_MS, KEEP_ALIVE_MS } from './redis-limits.ts';
import { checkIdentityByAddress } from './tls-identity.ts';

/**
 * `single`: one address, which may be a name. `sentinel`: Sentinels say where the master is. `cluster`: a Redis Cluster, whose
 * nodes say who has which channels.
 */
export type RedisMode = 'single' | 'sentinel' | 'cluster';

/** Where Redis is and how to authenticate. Secrets are given as contents, never as file names. */
export interface RedisSettings {
  /** Default: `single`. */
  readonly mode?: RedisMode | undefined;
  /**
   * `redis://` or, for TLS, `rediss://`: `[user[:password]@]host[:port][/database]`. In the mode
   * `sentinel` the Sentinels and the name of the master:
   * `[user[:password]@]host[:port][,host[:port]…]/name[/database]`; user and password are those of Redis.
   * Name every Sentinel: a majority of the named ones decides, and no other Sentinel is asked. In the mode `cluster` some nodes
   * of the cluster: `[user[:password]@]host[:port][,host[:port]…]`. They name all others; name several, so that one may be away.
   */
  readonly url: string;
  /** Whether `url` is one node of a cluster, by {@link nodeSettings}. A link refuses a node of a cluster that was not meant as one. */
  readonly isClusterNode?: boolean | undefined;
  /**
   * How a cluster's channels are published and subscribed to. `sharded`, the default: on the shard of each channel. `classic`: by PUBLISH and SUBSCRIBE,
   * which a cluster sends to all of its nodes, for backends that know nothing else. Only in the mode `cluster`.
   */
  readonly pubsub?: 'sharded' | 'classic' | undefined;
  /** The password of the Sentinels; undefined if they need none. Only in the mode `sentinel`. */
  readonly sentinelPassword?: string | undefined;
  /** Takes precedence over the password in `url`. */
  readonly password: string | undefined;
  /**
   * Reads `password` again. Called before each attempt that follows an authentication error, because the password may
   * have been rotated. Returns undefined if it cannot be read now; must not throw. Absent: the password never changes.
   */
  readonly rereadPassword?: (() => string | undefined) | undefined;
  /**
   * Calls its argument with each new password, before the old one ends, and returns what ends that. A connection for commands then says again who
   * it is; one for subscriptions cannot, and uses it when it connects next. Absent: a new password is noticed when Redis refuses the old one.
   */
  readonly onPasswordChange?: ((listener: (password: string) => void) => () => void) | undefined;
  /** The same for `sentinelPassword`. */
  readonly rereadSentinelPassword?: (() => string | undefined) | undefined;
  /**
   * PEM certificates of the authorities to trust instead of the system's. Only with `rediss://`. If the host is an IP
   * address, a certificate signed by them whose common name is that address is accepted too.
   */
  readonly certificateAuthority: string | undefined;
  /**
   * The name that CLIENT LIST shows, such as `tradewind-edge-7`; each connection appends its role. Redis allows no
   * space in it.
   */
  readonly connectionName: string;
}

/** What a connection is for. The role ends its name: `tradewind-edge-7-subscriber`. */
export type RedisRole = 'subscriber' | 'commands' | 'topology';

/** Names `replyMapping` because ioredis derives the types of its replies from it. */
type LegacyReplyOptions = RedisOptions & { readonly replyMapping: 'legacy' };

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** The Sentinels that know where the master is, and how to ask them. */
export interface SentinelSettings {
  readonly addresses: readonly [HostAndPort, ...HostAndPort[]];
  /** The name by which the Sentinels know the master. */
  readonly master: string;
  /** Undefined if the Sentinels need none. */
  readonly password: string | undefined;
  /** See {@link RedisSettings.rereadSentinelPassword}. */
  readonly rereadPassword?: (() => string | undefined) | undefined;
  /** For the Sentinels and for the master; undefined: not encrypted. */
  readonly tls: ConnectionOptions | undefined;
}

/** The nodes of a cluster that are asked first. */
export interface ClusterSeeds {
  readonly addresses: readonly [HostAndPort, ...HostAndPort[]];
  readonly tls: boolean;
}

interface RedisAddress {
  readonly tls: boolean;
  /** Redis itself, the Sentinels, or some nodes of a cluster. */
  readonly hosts: readonly [HostAndPort, ...HostAndPort[]];
  /** The name by which the Sentinels know the master; undefined in the other modes. */
  readonly master: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

const DEFAULT_PORT = 6379;
const DEFAULT_SENTINEL_PORT = 26379;

const DATABASE = /^\d{1,5}$/;

/** The names that Sentinel's own configuration allows. */
const MASTER_NAME = /^[A-Za-z0-9._-]+$/;

/** A host with a colon and no port. `URL` reads it as the default port; most likely a variable that holds the port is empty. */
const EMPTY_PORT = /^[^/?#]*\/\/[^/?#]*:(?:[/?#]|$)/;

/** The hosts of a URL; what stands before the last `@` is user and password. */
const HOSTS = /^rediss?:\/\/(?:[^/?#]*@)?([^/?#]*)/i;

/** Up to the path; a password may hold an `@`. */
const URL_PARTS = /^(rediss?):\/\/(?:([^/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?([?#].*)?$/is;

/**
 * Returns what is wrong with a Redis URL, as a phrase that follows the setting's name, or undefined. The phrase never
 * repeats the URL, which may hold a password.
 */
export function checkRedisUrl(url: string, mode: RedisMode = 'single'): string | undefined {
  const parsed = parseUrl(url, mode);
  return typeof parsed === 'string' ? parsed : undefined;
}

/**
 * Returns the ioredis options of a connection to Redis. In the mode `sentinel` they hold no address: the caller must
 * add a connector that asks the Sentinels of {@link sentinelSettings}.
 *
 * @throws {TypeError} if {@link checkRedisUrl} refuses the URL, if a certificate authority is given for a connection
 *   that is not encrypted, or if a password of Sentinels is given without Sentinels.
 */
export function redisOptions(settings: RedisSettings, role: RedisRole): LegacyReplyOptions {
  const address = checkedAddress(settings);
  const password = settings.password ?? address.password;
  return {
    ...addressOptions(address, settings.certificateAuthority),
    db: address.database,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(password === undefined ? {} : { password }),
    replyMapping: 'legacy',
    connectionName: `${settings.connectionName}-${role}`,
    // Managed services (Memorystore) refuse CLIENT SETINFO.
    disableClientInfo: true,
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    keepAlive: KEEP_ALIVE_MS,
    // A command that waits for Redis to return is stale when it is executed: a trade of an hour ago would be published
    // as new.
    enableOfflineQueue: false,
    // A command whose reply was lost may have been executed; sending it again would publish twice.
    autoResendUnfulfilledCommands: false,
    // ioredis resubscribes to all channels by one command, and no caller can handle its failure.
    autoResubscribe: false,
    // ioredis counts attempts only for the two queues above, which are always empty.
    maxRetriesPerRequest: null,
    // The link's first PING shows more than INFO does, and needs no permission of its own.
    enableReadyCheck: false,
    // socketTimeout and commandTimeout stay unset. Their timers run before the socket is read, so
    // after a stall of our own event loop both blame a Redis whose answer is already in the kernel's buffer.
    // RedisLink keeps the deadlines instead.
  };
}

/**
 * Returns the Sentinels to ask for the master; undefined in the other modes.
 *
 * @throws {TypeError} as {@link redisOptions} does.
 */
export function sentinelSettings(settings: RedisSettings): SentinelSettings | undefined {
  const { hosts, master, tls } = checkedAddress(settings);
  if (master === undefined) return undefined;
  return {
    addresses: hosts,
    master,
    password: settings.sentinelPassword,
    rereadPassword: settings.rereadSentinelPassword,
    tls: tls ? trusting(settings.certificateAuthority) : undefined,
  };
}

/**
 * Returns the nodes of a cluster to ask first.
 *
 * @throws {TypeError} as {@link redisOptions} does.
 */
export function clusterSeeds(settings: RedisSettings): ClusterSeeds {
  const { hosts, tls } = checkedAddress(settings);
  return { addresses: hosts, tls };
}

/** Returns the settings of a connection to one node of a cluster: user, passwords and authority are those of the cluster. */
export function nodeSettings(settings: RedisSettings, { host, port }: HostAndPort): RedisSettings {
  const { tls, username, password } = checkedAddress(settings);
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const user = `${encodeURIComponent(username ?? '')}${secret}`;
  const place = host.includes(':') ? `[${host}]` : host;
  const url = `${tls ? 'rediss' : 'redis'}://${user === '' ? '' : `${user}@`}${place}:${port}`;
  return { ...settings, mode: 'single', isClusterNode: true, url };
}

function checkedAddress(settings: RedisSettings): RedisAddress {
  const mode = settings.mode ?? 'single';
  const address = parseUrl(settings.url, mode);
  if (typeof address === 'string') throw new TypeError(`the Redis URL ${address}`);
  if (settings.certificateAuthority !== undefined && !address.tls)
    throw new TypeError('a certificate authority needs a rediss:// URL');
  if (settings.sentinelPassword !== undefined && mode !== 'sentinel')
    throw new TypeError('a password of Sentinels needs the mode sentinel');
  return address;
}

function addressOptions(
  { hosts, master, tls }: RedisAddress,
  ca: string | undefined,
): RedisOptions {
  if (master !== undefined) return tls ? { tls: trusting(ca) } : {};
  const [{ host, port }] = hosts;
  if (!tls) return { host, port };
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return { host, port, tls: { ...trusting(ca), ...servername } };
}

/** Trusts the system's authorities by Node's rules, or only `ca` by {@link checkIdentityByAddress}. */
function trusting(ca: string | undefined): ConnectionOptions {
  return ca === undefined ? {} : { ca, checkServerIdentity: checkIdentityByAddress };
}

function parseUrl(url: string, mode: RedisMode): RedisAddress | string {
  if (mode === 'single') return parseRedisUrl(url);
  return mode === 'sentinel' ? parseSentinelUrl(url) : parseClusterUrl(url);
}

function parseRedisUrl(url: string): RedisAddress | string {
  if (HOSTS.exec(url)?.[1]?.includes(','))
    return "names several hosts: set REDIS_MODE=cluster, or, if they are Sentinels, REDIS_MODE=sentinel with the master's name behind a slash";
  if (!URL.canParse(url)) return 'must be a URL such as redis://127.0.0.1:6379';
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(url);
  if (protocol !== 'redis:' && protocol !== 'rediss:') return 'must begin with redis: or rediss:';
  if (hostname === '') return 'must name a host';
  if (EMPTY_PORT.test(url.trim())) return 'has a colon and no port behind it';
  if (search !== '' || hash !== '') return 'may not carry options';
  const database = pathname === '' || pathname === '/' ? '0' : pathname.slice(1);
  if (!DATABASE.test(database)) return 'may have nothing but the number of a database for a path';
  const credentials = decodeCredentials(username, password);
  if (credentials === undefined) return 'has a user or password whose percent-encoding is broken';
  return {
    tls: protocol === 'rediss:',
    hosts: [hostAndPort(hostname, port, DEFAULT_PORT)],
    master: undefined,
    ...credentials,
    database: Number(database),
  };
}

/** Parsed by hand, because `URL` allows only one host. */
function parseSentinelUrl(url: string): RedisAddress | string {
  const parts = URL_PARTS.exec(url);
  if (parts === null) return 'must be a URL such as redis://sentinel-1:26379,sentinel-2:26379/name';
  const [, scheme = '', userInfo = '', hostList = '', path = '', options] = parts;
  if (options !== undefined) return 'may not carry options';
  const [first, ...others] = hostList
    .split(',')
    .map((host) => parseHost(host, DEFAULT_SENTINEL_PORT));
  if (first === undefined || others.includes(undefined))
    return 'must name Sentinels as host:port, with commas between them';
  const [master = '', database = '0', ...rest] = path.split('/');
  if (master === '')
    return "must have the master's name for a path, …:26379/name; for a Redis without Sentinels set REDIS_MODE=single";
  if (!MASTER_NAME.test(master)) return "must have the master's name for a path: …:26379/name";
  if (!DATABASE.test(database) || rest.length > 0)
    return "may have nothing but the number of a database behind the master's name";
  const [username = '', ...password] = userInfo.split(':');
  const credentials = decodeCredentials(username, password.join(':'));
  if (credentials === undefined) return 'has a user or password whose percent-encoding is broken';
  return {
    tls: scheme.toLowerCase() === 'rediss',
    hosts: [first, ...others.filter((sentinel) => sentinel !== undefined)],
    master,
    ...credentials,
    database: Number(database),
  };
}

/** Parsed by hand, as that of Sentinels. */
function parseClusterUrl(url: string): RedisAddress | string {
  const parts = URL_PARTS.exec(url);
  if (parts === null) return 'must be a URL such as redis://redis-1:6379,redis-2:6379';
  const [, scheme = '', userInfo = '', hostList = '', path = '', options] = parts;
  if (options !== undefined) return 'may not carry options';
  const [first, ...others] = hostList.split(',').map((host) => parseHost(host, DEFAULT_PORT));
  if (first === undefined || others.includes(undefined))
    return 'must name nodes of the cluster as host:port, with commas between them';
  if (DATABASE.test(path) && path !== '0')
    return 'may not have a path: a cluster has one database, 0';
  if (path !== '' && path !== '0')
    return 'may not have a path; if it is the name of a master, set REDIS_MODE=sentinel';
  const [username = '', ...password] = userInfo.split(':');
  const credentials = decodeCredentials(username, password.join(':'));
  if (credentials === undefined) return 'has a user or password whose percent-encoding is broken';
  return {
    tls: scheme.toLowerCase() === 'rediss',
    hosts: [first, ...others.filter((node) => node !== undefined)],
    master: undefined,
    ...credentials,
    database: 0,
  };
}

function parseHost(text: string, defaultPort: number): HostAndPort | undefined {
  if (text === '' || text.endsWith(':') || !URL.canParse(`redis://${text}`)) return undefined;
  const { hostname, port } = new URL(`redis://${text}`);
  return hostname === '' ? undefined : hostAndPort(hostname, port, defaultPort);
}

function hostAndPort(hostname: string, port: string, defaultPort: number): HostAndPort {
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? defaultPort : Number(port),
  };
}

function decodeCredentials(
  username: string,
  password: string,
): Pick<RedisAddress, 'username' | 'password'> | undefined {
  const [user, secret] = [decode(username), decode(password)];
  if (user === undefined || secret === undefined) return undefined;
  return { username: user || undefined, password: secret || undefined };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
