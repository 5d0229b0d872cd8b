import { readFileSync } from 'node:fs';
import { LOG_LEVELS, type LogLevel } from '../log/logger.ts';
import type { EnvironmentReader } from './environment.ts';
import { METADATA_HOST } from './google-token.ts';

/** The settings that every service reads from the environment. */
export interface ServiceSettings {
  /** `HOST`: the address that the public port listens on. */
  readonly host: string;
  /** `PORT`: the public port; 0 for a free one. */
  readonly port: number;
  /** `ADMIN_HOST`: the address that the admin port listens on. */
  readonly adminHost: string;
  /** `ADMIN_PORT`: metrics, debugging and drain; 0 for a free one. */
  readonly adminPort: number;
  /** `ADMIN_TOKEN`, or the contents of `ADMIN_TOKEN_FILE`: the bearer token of the admin port; undefined leaves it open, on loopback only. */
  readonly adminToken: string | undefined;
  /** `HTTP_KEEP_ALIVE_SECONDS`, in ms: the longest idle time of an HTTP connection to the public port. */
  readonly httpKeepAliveMs: number;
  /** `HTTP_MAX_CONNECTIONS`: the most connections to the public port that are no WebSockets, or not yet. */
  readonly httpMaxConnections: number;
  /** `LOG_LEVEL`: the least serious lines that are written. */
  readonly logLevel: LogLevel;
  readonly redis: RedisEndpoint;
}

/** Where Redis is, and how to authenticate. */
export interface RedisEndpoint {
  /** `REDIS_MODE`: whether `url` names Redis itself, the Sentinels that know where it is, or nodes of a cluster. */
  readonly mode: RedisMode;
  /**
   * `REDIS_URL`: `redis:` or, with TLS, `rediss:`. It may carry a user name, a password and a database. In the mode
   * `sentinel` it names several hosts and the master, in the mode `cluster` several hosts.
   */
  readonly url: string;
  /** `REDIS_PUBSUB`: how a cluster's channels are published and subscribed to. */
  readonly pubsub: 'sharded' | 'classic';
  /** `REDIS_AUTH`: whether a password says who this is, or the token of the account of the VM that it runs on. */
  readonly auth: 'password' | 'google';
  /** `GCE_METADATA_HOST`: where the VM's token is asked for; host and, unless 80, port. */
  readonly metadataHost: string;
  /** The contents of `REDIS_PASSWORD_FILE`, without the line break at its end. */
  readonly password: string | undefined;
  /**
   * The contents of `REDIS_CA_FILE`: PEM certificates, one of which must have issued the certificate of a `rediss:`
   * server.
   */
  readonly certificateAuthority: string | undefined;
  /** The contents of `REDIS_SENTINEL_PASSWORD_FILE`, without the line break at its end. */
  readonly sentinelPassword: string | undefined;
  /** The files of both passwords, which are read again when Redis refuses the old ones; see {@link rereadSecret}. */
  readonly passwordFile: string | undefined;
  readonly sentinelPasswordFile: string | undefined;
}

/** How Redis is set up. */
export type RedisMode = 'single' | 'sentinel' | 'cluster';

/** The fault of a Redis URL, as a phrase that follows it. Undefined when there is none. */
export type RedisUrlCheck = (url: string, mode: RedisMode) => string | undefined;

/** What differs between services in the settings that they share. */
export interface ServiceDefaults {
  readonly defaultPort: number;
  readonly defaultAdminPort: number;
  /** The check of the package that connects: a check of our own would accept what that package throws at later. */
  readonly redisUrlFault: RedisUrlCheck;
}

const LOOPBACK = '127.0.0.1';
const DEFAULT_REDIS_PORT = 6_379;
const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379';
const ADDRESS = { pattern: /^[A-Za-z0-9_.:%-]+$/, description: 'a host name or an IP address' };

/**
 * In seconds. The balancer must close an idle connection first: when the server does, a request that is on its way at
 * that moment is lost, and the balancer answers 502. So the default is above the 60 s of most balancers. Google's
 * balancers keep idle connections for 600 s: set 620 behind them.
 */
const HTTP_KEEP_ALIVE = { default: 65, min: 1, max: 3_600 } as const;

/**
 * Health checks, the idle connections of a balancer, publishers, and handshakes on their way: 500 of them at 5,000 a
 * second with a round trip of 100 ms. Each costs some 10 KB.
 */
const HTTP_MAX_CONNECTIONS = { default: 1_024, min: 4, max: 65_536 } as const;

const REDIS_MODES = ['single', 'sentinel', 'cluster'] as const;
const REDIS_PUBSUBS = ['sharded', 'classic'] as const;
const REDIS_AUTHS = ['password', 'google'] as const;

/** A URL without TLS that does not leave the machine. */
const PLAIN_LOOPBACK = /^redis:\/\/(127\.|localhost[:/]|localhost$|\[::1\])/i;
const LINE_BREAKS = /[\r\n]+$/;
const URL_WITH_PASSWORD = /^[a-z]+:\/\/[^:/?#]*:[^/?#]+@/i;

/** Reads the settings that all services share. It notes mistakes on `environment`. */
export function readServiceSettings(
  environment: EnvironmentReader,
  defaults: ServiceDefaults,
): ServiceSettings {
  const settings: ServiceSettings = {
    host: environment.string('HOST', { default: LOOPBACK, allowed: ADDRESS }),
    port: environment.port('PORT', { default: defaults.defaultPort }),
    adminHost: environment.string('ADMIN_HOST', { default: LOOPBACK, allowed: ADDRESS }),
    adminPort: environment.port('ADMIN_PORT', { default: defaults.defaultAdminPort }),
    adminToken: readAdminToken(environment),
    httpKeepAliveMs: environment.integer('HTTP_KEEP_ALIVE_SECONDS', HTTP_KEEP_ALIVE) * 1_000,
    httpMaxConnections: environment.integer('HTTP_MAX_CONNECTIONS', HTTP_MAX_CONNECTIONS),
    logLevel: environment.choice('LOG_LEVEL', { default: 'info', choices: LOG_LEVELS }),
    redis: readRedisEndpoint(environment, defaults.redisUrlFault),
  };
  const saysToken = settings.adminToken !== undefined || environment.isSet('ADMIN_TOKEN_FILE');
  if (!isLoopback(settings.adminHost) && !saysToken) {
    environment.reject(
      'ADMIN_TOKEN',
      `or ADMIN_TOKEN_FILE must be set when ADMIN_HOST (${JSON.stringify(settings.adminHost)}) is not loopback`,
    );
  }
  if (settings.port !== 0 && settings.port === settings.adminPort) {
    environment.reject('ADMIN_PORT', `must differ from PORT (both are ${settings.port})`);
  }
  return settings;
}

function readAdminToken(environment: EnvironmentReader): string | undefined {
  const token = environment.secret('ADMIN_TOKEN');
  const ofFile = environment.fileContents('ADMIN_TOKEN_FILE')?.trim();
  if (token !== undefined && ofFile !== undefined) {
    environment.reject('ADMIN_TOKEN_FILE', 'ADMIN_TOKEN is set too; keep one of them');
  }
  // No request could carry it: every one would get 401.
  if (ofFile !== undefined && /\s/.test(ofFile)) {
    environment.reject(
      'ADMIN_TOKEN_FILE',
      'the file must hold one token, without white space in it',
    );
  }
  return token ?? ofFile;
}

/** Whether only this machine can reach what listens on `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

/**
 * Where Redis is, for a message: `host:port`, or several of them in the mode `sentinel`. It holds neither a user name nor a
 * password.
 */
export function redisAddress({ url }: Pick<RedisEndpoint, 'url'>): string {
  const [, hosts = ''] = /^[a-z]+:\/\/(?:[^@/]*@)?([^/?#]*)/i.exec(url) ?? [];
  return hosts
    .split(',')
    .map((host) => (/:\d+$/.test(host) ? host : `${host}:${DEFAULT_REDIS_PORT}`))
    .join(',');
}

/** A URL for a message, without the part before its host and the part after its path. */
function withoutCredentials(url: string): string {
  return url.replace(/^([a-z]+:\/\/)?.*@/is, '$1***@').replace(/\?.*$/s, '?***');
}

/**
 * The present contents of the file of a secret, without the line break at its end. Undefined when the file does not
 * exist, cannot be read, or is empty, as in the middle of a rotation. It reads synchronously, because that is one
 * line for each attempt to connect.
 */
export function rereadSecret(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8').replace(LINE_BREAKS, '') || undefined;
  } catch {
    return undefined;
  }
}

/** Reads where Redis is. It notes mistakes on `environment`. */
export function readRedisEndpoint(
  environment: EnvironmentReader,
  redisUrlFault: RedisUrlCheck,
): RedisEndpoint {
  const mode = environment.choice('REDIS_MODE', { default: 'single', choices: REDIS_MODES });
  const url = environment.string('REDIS_URL', { default: DEFAULT_REDIS_URL });
  const fault = redisUrlFault(url, mode);
  if (fault !== undefined) {
    environment.reject('REDIS_URL', `${JSON.stringify(withoutCredentials(url))} ${fault}`);
  }
  const pubsub = environment.choice('REDIS_PUBSUB', {
    default: 'sharded',
    choices: REDIS_PUBSUBS,
  });
  if (pubsub === 'classic' && mode !== 'cluster') {
    environment.reject('REDIS_PUBSUB', 'is used with REDIS_MODE=cluster only');
  }
  const password = environment.fileContents('REDIS_PASSWORD_FILE')?.replace(LINE_BREAKS, '');
  if (fault === undefined && password !== undefined && URL_WITH_PASSWORD.test(url)) {
    environment.reject('REDIS_PASSWORD_FILE', 'REDIS_URL holds a password too; keep one of them');
  }
  const certificateAuthority = environment.fileContents('REDIS_CA_FILE');
  if (certificateAuthority !== undefined && !url.startsWith('rediss:')) {
    environment.reject('REDIS_CA_FILE', 'is used with TLS only; let REDIS_URL begin with rediss:');
  }
  const sentinelPassword = environment
    .fileContents('REDIS_SENTINEL_PASSWORD_FILE')
    ?.replace(LINE_BREAKS, '');
  if (sentinelPassword !== undefined && mode !== 'sentinel') {
    environment.reject('REDIS_SENTINEL_PASSWORD_FILE', 'is used with REDIS_MODE=sentinel only');
  }
  const passwordFile = environment.optionalString('REDIS_PASSWORD_FILE');
  const sentinelPasswordFile = environment.optionalString('REDIS_SENTINEL_PASSWORD_FILE');
  const secrets = { password, passwordFile, sentinelPassword, sentinelPasswordFile };
  const identity = readRedisIdentity(environment, url, passwordFile);
  return { mode, url, pubsub, certificateAuthority, ...identity, ...secrets };
}

function readRedisIdentity(
  environment: EnvironmentReader,
  url: string,
  passwordFile: string | undefined,
): Pick<RedisEndpoint, 'auth' | 'metadataHost'> {
  const auth = environment.choice('REDIS_AUTH', { default: 'password', choices: REDIS_AUTHS });
  const metadataHost = environment.string('GCE_METADATA_HOST', {
    default: METADATA_HOST,
    allowed: ADDRESS,
  });
  if (auth === 'google') {
    if (passwordFile !== undefined || URL_WITH_PASSWORD.test(url)) {
      environment.reject('REDIS_AUTH', 'is google, so there must be no password');
    }
    // Whoever reads the token is this account, to all of Google that it may use.
    if (!url.startsWith('rediss:') && !PLAIN_LOOPBACK.test(url)) {
      environment.reject('REDIS_AUTH', 'is google, so REDIS_URL must begin with rediss:');
    }
  }
  return { auth, metadataHost };
}
