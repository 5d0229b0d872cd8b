import { generateKeyPairSync } from 'node:crypto';
import { type DisposableTempDir, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MOST_QUEUE_ENTRIES } from '@tradewind/fanout';
import { ConfigError } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { bringOpenssl } from '../../../../test/support/faults/tls-terminator.ts';
import { createTestAuthority } from '../../../../test/support/identity/certificates.ts';
import { fanOutSettings } from '../node/worker-settings.ts';
import { readEdgeConfig } from './config.ts';

const HAS_OPENSSL = await bringOpenssl();

const SECRET = 'a-secret-of-thirty-two-bytes-or-more';

/** A set of one public key. */
function jwkSet(): string {
  const { publicKey } = generateKeyPairSync('ed25519');
  return JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] });
}

/** Writes a file. Returns its path. */
function file(folder: DisposableTempDir, name: string, content: string | Buffer): string {
  const path = join(folder.path, name);
  writeFileSync(path, content);
  return path;
}

/** What an operator gets without setting anything; changing one of these is a breaking change. */
const DEFAULTS = {
  host: '127.0.0.1',
  port: 8080,
  adminHost: '127.0.0.1',
  adminPort: 9080,
  adminToken: undefined,
  logLevel: 'info',
  maxConnections: 40_000,
  channelPatterns: ['*'],
  tlsCertFile: undefined,
  tlsKeyFile: undefined,
  isPlainBehindTls: false,
  auth: 'none',
  jwtSecretFile: undefined,
  jwtKeysFile: undefined,
  jwksUrl: undefined,
  jwtIssuer: undefined,
  jwtAudience: undefined,
  origins: [],
  trustedProxies: undefined,
  proxyProtocol: 'none',
  addressMaxConnections: 2_000,
  addressHandshakeRate: { perSecond: 50, burst: 250 },
  subjectMaxConnections: 500,
  subjectRequestRate: { perSecond: 500, burst: 2_000 },
  queueSlots: 512,
  queueBytes: 1_048_576,
  logBytes: 4_194_304,
  slowGraceMs: 2_000,
  slowMaxLagMs: 30_000,
  maxMessageBytes: 32_768,
  maxPublicationBytes: 65_536,
  maxChannelsPerClient: 512,
  maxChannels: 65_536,
  requestRate: { perSecond: 50, burst: 200 },
  maxErrors: 20,
  subscribeRate: { perSecond: 128, burst: 512 },
  replayRate: { perSecond: 65_536, burst: 33_554_432 },
  nodeSubscribeRate: { perSecond: 5_000, burst: 10_000 },
  historyReadRate: { perSecond: 33_554_432, burst: 67_108_864 },
  enforcesRates: true,
  lingerMs: 3_000,
  pingSeconds: 25,
  pongSeconds: 10,
  silentSeconds: 15,
  drainSeconds: 30,
  drainAcceptSeconds: 5,
};

/** Every variable that takes an integer, with its range. */
const INTEGERS = [
  ['PORT', 0, 65_535],
  ['ADMIN_PORT', 0, 65_535],
  ['WS_MAX_CONNECTIONS', 1, 1_000_000],
  ['EDGE_ADDRESS_MAX_CONNECTIONS', 1, 1_000_000],
  ['EDGE_ADDRESS_HANDSHAKE_RATE', 1, 100_000],
  ['EDGE_SUBJECT_MAX_CONNECTIONS', 1, 1_000_000],
  ['EDGE_SUBJECT_REQUEST_RATE', 1, 1_000_000],
  ['EDGE_QUEUE_SLOTS', 8, 65_536],
  ['EDGE_QUEUE_BYTES', 65_536, 67_108_864],
  ['EDGE_RING_BYTES', 0, 1_073_741_824],
  ['EDGE_SLOW_GRACE_MS', 0, 600_000],
  ['EDGE_SLOW_MAX_LAG_MS', 1_000, 600_000],
  ['EDGE_MAX_MESSAGE_BYTES', 256, 1_048_576],
  ['EDGE_MAX_PUBLICATION_BYTES', 1, 1_048_576],
  ['EDGE_MAX_CHANNELS_PER_CLIENT', 1, 65_536],
  ['EDGE_MAX_CHANNELS', 1, 1_000_000],
  ['EDGE_REQUEST_RATE', 1, 100_000],
  ['EDGE_MAX_ERRORS', 1, 1_000],
  ['EDGE_REQUEST_BURST', 1, 100_000],
  ['EDGE_SUBSCRIBE_RATE', 1, 100_000],
  ['EDGE_NODE_SUBSCRIBE_RATE', 1, 1_000_000],
  ['EDGE_REPLAY_RATE_BYTES', 1_024, 1_073_741_824],
  ['EDGE_REPLAY_BURST_BYTES', 65_536, 1_073_741_824],
  ['EDGE_HISTORY_READ_BYTES_PER_SECOND', 65_536, 1_073_741_824],
  ['EDGE_LINGER_MS', 0, 600_000],
  ['EDGE_PING_SECONDS', 1, 3_600],
  ['EDGE_PONG_SECONDS', 2, 3_600],
  ['EDGE_SILENT_SECONDS', 1, 3_600],
  ['DRAIN_SECONDS', 3, 600],
  ['DRAIN_ACCEPT_SECONDS', 0, 300],
] as const;

/** A wrong value of everything else, and what is said about it. */
const WORDS = [
  ['HOST', 'a b', '"a b" must be a host name or an IP address'],
  ['ADMIN_HOST', 'a b', '"a b" must be a host name or an IP address'],
  ['LOG_LEVEL', 'loud', '"loud" must be one of trace, debug, info, warn, error, fatal, silent'],
  ['REDIS_MODE', 'mesh', '"mesh" must be one of single, sentinel, cluster'],
  ['REDIS_URL', 'http://h', '"http://h" must begin with redis: or rediss:'],
  ['REDIS_PASSWORD_FILE', '/no/such', 'the file "/no/such" cannot be read (ENOENT)'],
  ['REDIS_CA_FILE', '/no/such', 'the file "/no/such" cannot be read (ENOENT)'],
  ['EDGE_LIMITS', 'maybe', '"maybe" must be one of enforce, report'],
  [
    'EDGE_NODE_ID',
    'edge 7',
    '"edge 7" must be 1 to 64 letters, digits, dots, hyphens or underscores',
  ],
  ['EDGE_CHANNELS', ',', 'must hold a pattern; * offers every channel'],
  ['EDGE_CHANNELS', 'BTC.*,{x}', '"{x}" must be a channel name in which * stands for anything'],
] as const;

describe('readEdgeConfig', () => {
  it('needs nothing to be set', () => {
    const { nodeId, redis, ...rest } = readEdgeConfig({});
    expect(rest).toMatchObject(DEFAULTS);
    expect(redis).toMatchObject({ url: 'redis://127.0.0.1:6379' });
    expect(nodeId).toMatch(/^edge-[A-Za-z0-9_.-]{1,48}-[0-9]+$/);
  });

  it('lets the burst of subscriptions follow what a client may hold, and the node’s its rate', () => {
    const config = readEdgeConfig({
      EDGE_MAX_CHANNELS_PER_CLIENT: '7',
      EDGE_NODE_SUBSCRIBE_RATE: '11',
    });
    expect(config.subscribeRate.burst).toBe(7);
    expect(config.nodeSubscribeRate).toEqual({ perSecond: 11, burst: 22 });
  });

  it.each(INTEGERS)('%s: an integer from %i to %i', (name, min, max) => {
    for (const wrong of [String(min - 1), String(max + 1), 'x', '1.5', '1e3', '+1', ' 1']) {
      const rule = `must be an integer from ${min} to ${max}`;
      expect(mistakesOf({ [name]: wrong })).toContain(`${name}: ${JSON.stringify(wrong)} ${rule}`);
    }
    for (const right of [min, max]) {
      const about = mistakesOf({ [name]: String(right) }).filter((line) => line.startsWith(name));
      expect(about.join()).not.toContain('an integer from');
    }
  });

  it.each(WORDS)('%s may not be %j', (name, wrong, message) => {
    expect(mistakesOf({ [name]: wrong })).toContain(`${name}: ${message}`);
  });

  it('tells all mistakes at once', () => {
    const wrong: Record<string, string> = {};
    for (const [name] of INTEGERS) wrong[name] = 'x';
    for (const [name, value] of WORDS) wrong[name] = value;
    const named = mistakesOf(wrong).map((mistake) => mistake.split(':', 1)[0]);
    for (const name of Object.keys(wrong)) expect(named, name).toContain(name);
  });

  it('takes an empty variable for one that is not set', () => {
    expect(readEdgeConfig({ PORT: '', EDGE_CHANNELS: '', EDGE_QUEUE_SLOTS: '' })).toMatchObject({
      port: 8080,
      channelPatterns: ['*'],
      queueSlots: 512,
    });
  });
});

describe('readEdgeConfig: EDGE_WRITES', () => {
  it.each([
    [undefined, 'send'],
    ['send', 'send'],
    ['stream', 'stream'],
  ])('%s: %s', (value, writes) => {
    const config = readEdgeConfig({ EDGE_WRITES: value });
    expect(fanOutSettings(config, () => 0).writes).toBe(writes);
  });
});

describe('readEdgeConfig: variables that must fit together', () => {
  it('wants room for two of the largest publications in a queue', () => {
    const MIB = 1_048_576;
    const largest = { EDGE_MAX_PUBLICATION_BYTES: String(MIB) };
    expect(mistakesOf(largest)).toEqual([
      `EDGE_QUEUE_BYTES: ${MIB} must hold two of the largest publications: at least ${2 * MIB + 2_048}`,
    ]);
    expect(mistakesOf({ ...largest, EDGE_QUEUE_BYTES: String(2 * MIB + 2_048) })).toEqual([]);
  });

  it('wants a queue of no more entries than its memory can hold', () => {
    const channels = { EDGE_MAX_CHANNELS_PER_CLIENT: '65536' };
    expect(mistakesOf({ ...channels, EDGE_QUEUE_SLOTS: '65536' })).toEqual([
      'EDGE_QUEUE_SLOTS: 65536 and EDGE_MAX_CHANNELS_PER_CLIENT (65536) may together be 130560 at most: one queue has room for no more',
    ]);
    const most = { ...channels, EDGE_QUEUE_SLOTS: String(130_560 - 65_536) };
    expect(mistakesOf(most)).toEqual([]);
    const { slots, controls } = fanOutSettings(readEdgeConfig(most), () => 0).outbox;
    expect(slots + controls).toBe(MOST_QUEUE_ENTRIES);
  });

  it('wants time for the clients in a drain', () => {
    expect(mistakesOf({ DRAIN_SECONDS: '7' })).toEqual([
      'DRAIN_ACCEPT_SECONDS: 5 must be at most 4, which is DRAIN_SECONDS (7) less 1 for the clients and 2 for stopping',
    ]);
    expect(mistakesOf({ DRAIN_SECONDS: '8' })).toEqual([]);
  });

  it('wants a token on an admin port that others can reach', () => {
    expect(mistakesOf({ ADMIN_HOST: '0.0.0.0' })).toHaveLength(1);
    expect(mistakesOf({ ADMIN_HOST: '0.0.0.0', ADMIN_TOKEN: 'x' })).toEqual([]);
  });

  it('wants two ports', () => {
    expect(mistakesOf({ PORT: '9080' })).toHaveLength(1);
  });

  it('wants one worker where threads cannot share a port', () => {
    onPlatform('darwin', () => {
      expect(readEdgeConfig({}).workers).toBe(1);
      expect(mistakesOf({ EDGE_WORKERS: '1' })).toEqual([]);
      expect(mistakesOf({ EDGE_WORKERS: '2' })).toEqual([
        'EDGE_WORKERS: only 1 is possible on darwin, which has no reusePort',
      ]);
    });
    onPlatform('linux', () => expect(mistakesOf({ EDGE_WORKERS: '2' })).toEqual([]));
  });

  it.each(['0.0.0.0', '10.0.0.5', '::', 'edge.example'])(
    'starts on %s only when TLS and tokens, or their absence, are asked for by name',
    (host) => {
      const isReached = `when HOST ("${host}") is not loopback`;
      const tls = `EDGE_PLAIN_BEHIND_TLS: "false" must be true ${isReached} and EDGE_TLS_CERT_FILE is not set; true says that what clients connect to does TLS in front of this node`;
      const auth = `EDGE_AUTH: "" must be one of jwt, none ${isReached}; jwt needs one of EDGE_JWT_HS256_KEY_FILE, EDGE_JWT_KEYS_FILE, EDGE_JWKS_URL, and none lets everybody read every channel that is offered`;
      expect(mistakesOf({ HOST: host })).toEqual([tls, auth]);
      expect(mistakesOf({ HOST: host, EDGE_AUTH: '', PORT: 'x' })).toEqual([
        'PORT: "x" must be an integer from 0 to 65535',
        ...[tls, auth],
      ]);
      expect(mistakesOf({ HOST: host, EDGE_AUTH: 'none' })).toEqual([tls]);
      expect(mistakesOf({ HOST: host, EDGE_PLAIN_BEHIND_TLS: 'true' })).toEqual([auth]);
      const asked = { HOST: host, EDGE_AUTH: 'none', EDGE_PLAIN_BEHIND_TLS: 'true' };
      expect(mistakesOf(asked)).toEqual([]);
    },
  );

  it.each(['127.0.0.1', 'localhost', '::1', '127.8.8.8'])('starts on %s with neither', (host) => {
    expect(readEdgeConfig({ HOST: host })).toMatchObject({ auth: 'none', isPlainBehindTls: false });
  });

  it.runIf(HAS_OPENSSL)(
    'wants a certificate and its key, and no word of a balancer that does TLS beside them',
    async () => {
      await using authority = await createTestAuthority();
      const [one, other] = await Promise.all([authority.issue('a'), authority.issue('b')]);
      const cert = { EDGE_TLS_CERT_FILE: one.certificateFile };
      const tls = { ...cert, EDGE_TLS_KEY_FILE: one.keyFile };
      expect(mistakesOf({ ...tls, HOST: '0.0.0.0', EDGE_AUTH: 'none' })).toEqual([]);
      expect(mistakesOf(cert)).toEqual([
        'EDGE_TLS_KEY_FILE: must be set together with EDGE_TLS_CERT_FILE',
      ]);
      expect(mistakesOf({ EDGE_TLS_KEY_FILE: one.keyFile })).toEqual([
        'EDGE_TLS_CERT_FILE: must be set together with EDGE_TLS_KEY_FILE',
      ]);
      expect(mistakesOf({ ...cert, EDGE_TLS_KEY_FILE: '/no/such' })).toEqual([
        'EDGE_TLS_KEY_FILE: the file "/no/such" cannot be read (ENOENT)',
      ]);
      expect(mistakesOf({ ...tls, EDGE_PLAIN_BEHIND_TLS: 'true' })).toEqual([
        'EDGE_PLAIN_BEHIND_TLS: "true" must be false where EDGE_TLS_CERT_FILE is set',
      ]);
      for (const wrong of [other.keyFile, one.certificateFile]) {
        const [mistake, ...rest] = mistakesOf({ ...cert, EDGE_TLS_KEY_FILE: wrong });
        expect(mistake).toMatch(
          /^EDGE_TLS_CERT_FILE: ".*\.pem": a certificate and its private key, both PEM, are needed \([\w ]+\)$/,
        );
        expect(rest).toEqual([]);
      }
    },
  );

  it('needs one kind of keys for tokens, and tokens for keys', () => {
    const needsOne =
      'EDGE_AUTH: jwt needs exactly one of EDGE_JWT_HS256_KEY_FILE, EDGE_JWT_KEYS_FILE, EDGE_JWKS_URL';
    const url = { EDGE_JWKS_URL: 'https://id.example/jwks' };
    using folder = mkdtempDisposableSync(join(tmpdir(), 'tradewind-keys-'));
    const secret = { EDGE_JWT_HS256_KEY_FILE: file(folder, 'secret', SECRET) };
    const keys = { EDGE_JWT_KEYS_FILE: file(folder, 'keys', jwkSet()) };
    expect(mistakesOf({ EDGE_AUTH: 'jwt' })).toEqual([needsOne]);
    expect(mistakesOf({ EDGE_AUTH: 'jwt', ...secret, ...keys })).toEqual([needsOne]);
    expect(mistakesOf({ EDGE_AUTH: 'jwt', ...secret })).toEqual([]);
    expect(mistakesOf({ EDGE_AUTH: 'jwt', ...keys })).toEqual([]);
    expect(mistakesOf({ EDGE_AUTH: 'jwt', ...url })).toEqual([]);
    expect(mistakesOf({ EDGE_AUTH: 'jwt', ...url, ...secret })).toEqual([needsOne]);
    expect(mistakesOf(url)).toEqual(['EDGE_JWKS_URL: needs EDGE_AUTH=jwt']);
    expect(mistakesOf(secret)).toEqual(['EDGE_JWT_HS256_KEY_FILE: needs EDGE_AUTH=jwt']);
    expect(mistakesOf(keys)).toEqual(['EDGE_JWT_KEYS_FILE: needs EDGE_AUTH=jwt']);
  });

  it('needs usable keys in the file for tokens, and tells nothing of them', () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'tradewind-keys-'));
    const of = (name: string, path: string) => mistakesOf({ EDGE_AUTH: 'jwt', [name]: path });
    const short = file(folder, 'short', 'too-short');
    const none = join(folder.path, 'none');
    expect(of('EDGE_JWT_HS256_KEY_FILE', short)).toEqual([
      `EDGE_JWT_HS256_KEY_FILE: "${short}": an HS256 key must have at least 32 bytes; this one has 9`,
    ]);
    expect(of('EDGE_JWT_HS256_KEY_FILE', none)).toEqual([
      `EDGE_JWT_HS256_KEY_FILE: the file "${none}" cannot be read (ENOENT)`,
    ]);
    expect(of('EDGE_JWT_KEYS_FILE', short)).toEqual([
      `EDGE_JWT_KEYS_FILE: "${short}": a JWK set must be JSON`,
    ]);
    // Random bytes are no text: each of these would count for three as UTF-8.
    const bytes = file(folder, 'bytes', Buffer.alloc(31, 0xff));
    expect(of('EDGE_JWT_HS256_KEY_FILE', bytes)).toHaveLength(1);
  });

  it('needs trusted proxies for the PROXY protocol', () => {
    const needs =
      'EDGE_PROXY_PROTOCOL: v1 needs EDGE_TRUSTED_PROXIES: from anybody else such a header is a claim';
    expect(mistakesOf({ EDGE_PROXY_PROTOCOL: 'v1' })).toEqual([needs]);
    const direct = { EDGE_PROXY_PROTOCOL: 'v1', EDGE_TRUSTED_PROXIES: 'direct' };
    expect(mistakesOf(direct)).toEqual([needs]);
    expect(mistakesOf({ ...direct, EDGE_TRUSTED_PROXIES: '10.0.0.0/8, fd00::1' })).toEqual([]);
  });

  it.each([
    ['10.0.0.0/8', ['10.0.0.0/8']],
    [' 35.191.0.0/16 , 130.211.0.0/22,::1', ['35.191.0.0/16', '130.211.0.0/22', '::1']],
    ['direct', []],
    [',', undefined],
  ])('takes the proxies %j', (value, proxies) => {
    expect(readEdgeConfig({ EDGE_TRUSTED_PROXIES: value }).trustedProxies).toEqual(proxies);
  });

  it.each(['localhost', '10.0.0.0/33', 'direct,10.0.0.1', '*'])(
    'refuses the proxies %j',
    (value) => {
      expect(mistakesOf({ EDGE_TRUSTED_PROXIES: value })).toHaveLength(1);
    },
  );

  it('takes 256 proxies and no more', () => {
    const proxies = (count: number) =>
      Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    expect(mistakesOf({ EDGE_TRUSTED_PROXIES: proxies(256).join() })).toEqual([]);
    expect(mistakesOf({ EDGE_TRUSTED_PROXIES: proxies(257).join() })).toHaveLength(1);
  });

  it.each([
    ...['http://id.example/', 'https://', 'https://u:planted@id.example/', 'id.example'],
    ...['https://id.example/#k', 'https://id example/', 'https://id.example:port/'],
  ])('fetches no keys from %s, and quotes nothing of it', (url) => {
    expect(mistakesOf({ EDGE_AUTH: 'jwt', EDGE_JWKS_URL: url })).toEqual([
      'EDGE_JWKS_URL: must be an https:// URL without a user name',
    ]);
  });

  it.each(['https://app.example', 'http://localhost:3000', 'http://[::1]:8080'])(
    'takes the origin %s',
    (origin) => {
      expect(readEdgeConfig({ EDGE_ORIGINS: origin }).origins).toEqual([origin]);
    },
  );

  it.each([
    ...['*', 'null', 'app.example', 'https://*.example', 'https://App.example'],
    ...['https://app.example/', 'https://app.example:443', 'http://app.example:80'],
  ])('refuses the origin %s, which no browser sends', (origin) => {
    expect(mistakesOf({ EDGE_ORIGINS: origin })).toHaveLength(1);
  });
});

function onPlatform(platform: NodeJS.Platform, test: () => void): void {
  const own = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor;
  Object.defineProperty(process, 'platform', { ...own, value: platform });
  try {
    test();
  } finally {
    Object.defineProperty(process, 'platform', own);
  }
}

function mistakesOf(environment: Record<string, string>): readonly string[] {
  try {
    readEdgeConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}
