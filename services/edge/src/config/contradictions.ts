import { MOST_QUEUE_ENTRIES } from '@tradewind/fanout';
import { credentialsFault, type EnvironmentReader, isLoopback } from '@tradewind/runtime';
import { readJwkSet, secretOf } from '../auth/key-set.ts';
import {
  DRAIN_RESERVE_SECONDS,
  type EdgeConfig,
  REUSE_PORT_PLATFORMS,
  SPARE_CONTROLS,
} from './edge-config.ts';

const KIB = 1024;

/** An `https:` URL without a user name and a password, which would end up in logs. */
const JWKS_URL = /^https:\/\/[^\s/?#@]+([/?][^\s#@]*)?$/;

/** Rejects settings that are valid by themselves but not together, and files that could not be used. */
export function rejectContradictions(
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
  const mostAcceptSeconds = config.drainSeconds - DRAIN_RESERVE_SECONDS - 1;
  if (config.drainAcceptSeconds > mostAcceptSeconds) {
    env.reject(
      'DRAIN_ACCEPT_SECONDS',
      `${config.drainAcceptSeconds} must be at most ${mostAcceptSeconds}, which is DRAIN_SECONDS (${config.drainSeconds}) less 1 for the clients and ${DRAIN_RESERVE_SECONDS} for stopping`,
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
 * If an edge listens on an address that others reach, no TLS or no tokens often means that a setting was forgotten, and nothing
 * else would show it. So the operator must ask for both by name.
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

/** `--check` must find what would keep every worker from starting. Workers read the file again, at their start and when it changes. */
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
