import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from './environment.ts';
import {
  isLoopback,
  readServiceSettings,
  redisAddress,
  type ServiceDefaults,
  type ServiceSettings,
} from './service-settings.ts';

const DEFAULTS: ServiceDefaults = {
  defaultPort: 8080,
  defaultAdminPort: 9080,
  redisUrlFault: () => undefined,
};

const folder = mkdtempSync(join(tmpdir(), 'service-settings-'));
const passwordFile = join(folder, 'password');
const authorityFile = join(folder, 'authority.pem');
beforeAll(() => {
  writeFileSync(passwordFile, ' pass word \r\n');
  writeFileSync(authorityFile, '-----BEGIN CERTIFICATE-----\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('readServiceSettings', () => {
  it('needs nothing to be set for a machine of its own', () => {
    expect(read({})).toEqual({
      host: '127.0.0.1',
      port: 8080,
      adminHost: '127.0.0.1',
      adminPort: 9080,
      adminToken: undefined,
      httpKeepAliveMs: 65_000,
      httpMaxConnections: 1_024,
      logLevel: 'info',
      redis: {
        mode: 'single',
        pubsub: 'sharded',
        auth: 'password',
        metadataHost: 'metadata.google.internal',
        url: 'redis://127.0.0.1:6379',
        password: undefined,
        certificateAuthority: undefined,
        sentinelPassword: undefined,
      },
    });
  });

  it('reads the password and the certificates of a Redis with TLS', () => {
    const { redis } = read({
      REDIS_URL: 'rediss://tradewind@redis.internal:6380/2',
      REDIS_PASSWORD_FILE: passwordFile,
      REDIS_CA_FILE: authorityFile,
    });
    expect(redis).toMatchObject({
      url: 'rediss://tradewind@redis.internal:6380/2',
      password: ' pass word ',
      certificateAuthority: '-----BEGIN CERTIFICATE-----\n',
    });
  });

  it('wants a token on an admin port that others can reach', () => {
    expect(mistakesOf({ ADMIN_HOST: '0.0.0.0' })).toEqual([
      'ADMIN_TOKEN: or ADMIN_TOKEN_FILE must be set when ADMIN_HOST ("0.0.0.0") is not loopback',
    ]);
    expect(read({ ADMIN_HOST: '0.0.0.0', ADMIN_TOKEN: 'x' }).adminToken).toBe('x');
  });

  it('takes the token of the admin port from a file', () => {
    const file = join(folder, 'admin-token');
    writeFileSync(file, 'of-a-file\n');
    const variables = { ADMIN_HOST: '0.0.0.0', ADMIN_TOKEN_FILE: file };
    expect(read(variables).adminToken).toBe('of-a-file');
    expect(mistakesOf({ ...variables, ADMIN_TOKEN: 'x' })).toEqual([
      'ADMIN_TOKEN_FILE: ADMIN_TOKEN is set too; keep one of them',
    ]);
    expect(mistakesOf({ ...variables, ADMIN_TOKEN_FILE: `${file}-no` })).toEqual([
      `ADMIN_TOKEN_FILE: the file "${file}-no" cannot be read (ENOENT)`,
    ]);
    writeFileSync(file, 'two\nlines\n');
    expect(mistakesOf(variables)).toEqual([
      'ADMIN_TOKEN_FILE: the file must hold one token, without white space in it',
    ]);
  });

  it('keeps idle connections for as long as a balancer that is told to keep them longer needs', () => {
    expect(read({ HTTP_KEEP_ALIVE_SECONDS: '620' }).httpKeepAliveMs).toBe(620_000);
    expect(mistakesOf({ HTTP_KEEP_ALIVE_SECONDS: '0' })).toEqual([
      'HTTP_KEEP_ALIVE_SECONDS: "0" must be an integer from 1 to 3600',
    ]);
  });

  it('wants two ports, unless the system chooses them', () => {
    expect(mistakesOf({ PORT: '9080' })).toEqual([
      'ADMIN_PORT: must differ from PORT (both are 9080)',
    ]);
    expect(read({ PORT: '0', ADMIN_PORT: '0' }).port).toBe(0);
  });

  it('reads nodes of a cluster, and has their URL checked as one of a cluster', () => {
    const url = 'redis://10.0.0.1:6379,10.0.0.2:6379';
    const redisUrlFault = (_: string, mode: string) => `is checked as ${mode}`;
    expect(read({ REDIS_MODE: 'cluster', REDIS_URL: url }).redis).toMatchObject({
      ...{ mode: 'cluster', url },
    });
    expect(
      mistakesOf({ REDIS_MODE: 'cluster', REDIS_URL: url }, { ...DEFAULTS, redisUrlFault }),
    ).toEqual([`REDIS_URL: "${url}" is checked as cluster`]);
  });

  it('lets a cluster be used by PUBLISH and SUBSCRIBE, and nothing else', () => {
    const cluster = { REDIS_MODE: 'cluster', REDIS_PUBSUB: 'classic' };
    expect(read(cluster).redis.pubsub).toBe('classic');
    expect(mistakesOf({ REDIS_PUBSUB: 'classic' })).toEqual([
      'REDIS_PUBSUB: is used with REDIS_MODE=cluster only',
    ]);
    expect(mistakesOf({ ...cluster, REDIS_PUBSUB: 'both' })).toHaveLength(1);
  });

  it('takes the account of the VM for who it is, by TLS and without a password', () => {
    const google = { REDIS_AUTH: 'google', REDIS_URL: 'rediss://10.0.0.1' };
    expect(read(google).redis).toMatchObject({ auth: 'google', password: undefined });
    expect(read({ ...google, GCE_METADATA_HOST: '127.0.0.1:80' }).redis.metadataHost).toBe(
      '127.0.0.1:80',
    );
    expect(mistakesOf({ ...google, REDIS_PASSWORD_FILE: passwordFile })).toEqual([
      'REDIS_AUTH: is google, so there must be no password',
    ]);
    expect(mistakesOf({ ...google, REDIS_URL: 'redis://10.0.0.1' })).toEqual([
      'REDIS_AUTH: is google, so REDIS_URL must begin with rediss:',
    ]);
    expect(mistakesOf({ ...google, REDIS_URL: 'redis://localhost' })).toEqual([]);
  });

  it('reads Sentinels, and has their URL checked as one of Sentinels', () => {
    const url = 'redis://tradewind@10.0.0.1:26379,10.0.0.2:26379/trades';
    const { redis } = read({
      REDIS_MODE: 'sentinel',
      REDIS_URL: url,
      REDIS_PASSWORD_FILE: passwordFile,
      REDIS_SENTINEL_PASSWORD_FILE: passwordFile,
    });
    expect(redis).toMatchObject({
      mode: 'sentinel',
      url,
      password: ' pass word ',
      sentinelPassword: ' pass word ',
    });
    const defaults = { ...DEFAULTS, redisUrlFault: (_: string, mode: string) => `is no ${mode}` };
    expect(mistakesOf({ REDIS_MODE: 'sentinel' }, defaults)).toEqual([
      'REDIS_URL: "redis://127.0.0.1:6379" is no sentinel',
    ]);
  });

  it('rejects a password of Sentinels without them, and a second password with them', () => {
    expect(mistakesOf({ REDIS_SENTINEL_PASSWORD_FILE: passwordFile })).toEqual([
      'REDIS_SENTINEL_PASSWORD_FILE: is used with REDIS_MODE=sentinel only',
    ]);
    expect(
      mistakesOf({
        REDIS_MODE: 'sentinel',
        REDIS_URL: 'redis://user:hunter2@a:1,b:2/trades',
        REDIS_PASSWORD_FILE: passwordFile,
      }),
    ).toEqual(['REDIS_PASSWORD_FILE: REDIS_URL holds a password too; keep one of them']);
  });

  it('leaves what a REDIS_URL may be to the check that it is given', () => {
    const defaults = { ...DEFAULTS, redisUrlFault: (url: string) => `is not ${url.length} long` };
    expect(mistakesOf({ REDIS_URL: 'redis://h' }, defaults)).toEqual([
      'REDIS_URL: "redis://h" is not 9 long',
    ]);
    expect(read({ REDIS_URL: 'valkey://h' }).redis.url).toBe('valkey://h');
  });

  it.each([
    'user:hunter2@h',
    'redis://u:hunter2@h:99999',
    'redis://u:hunter2%zz@h',
    'redis://u:hun/ter@hunter2@h:port',
    'http://u:hunter2@h',
    'redis://h?password=hunter2',
  ])('shows no password when it rejects %j as REDIS_URL', (url) => {
    const mistakes = mistakesOf(
      { REDIS_URL: url, REDIS_PASSWORD_FILE: passwordFile },
      { ...DEFAULTS, redisUrlFault: () => 'is wrong' },
    );
    expect(mistakes).toEqual([expect.stringMatching(/^REDIS_URL: ".*" is wrong$/)]);
    expect(mistakes[0]).not.toMatch(/hunter2|hun\/ter/);
  });

  it('rejects two passwords, and certificates without TLS', () => {
    expect(
      mistakesOf({
        REDIS_URL: 'redis://:hunter2@h',
        REDIS_PASSWORD_FILE: passwordFile,
        REDIS_CA_FILE: authorityFile,
      }),
    ).toEqual([
      'REDIS_PASSWORD_FILE: REDIS_URL holds a password too; keep one of them',
      'REDIS_CA_FILE: is used with TLS only; let REDIS_URL begin with rediss:',
    ]);
  });
});

describe('isLoopback', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.8.8.8', true],
    ['::1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['127.0.0.1.example.com', false],
  ])('%s: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});

function read(environment: Record<string, string>, defaults = DEFAULTS): ServiceSettings {
  return readConfig(environment, (reader) => readServiceSettings(reader, defaults));
}

function mistakesOf(environment: Record<string, string>, defaults = DEFAULTS): readonly string[] {
  try {
    read(environment, defaults);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

describe('redisAddress', () => {
  it.each([
    ['redis://127.0.0.1:6390', '127.0.0.1:6390'],
    ['rediss://user:p%40ss@redis.example/2?x=y', 'redis.example:6379'],
    ['redis://:secret@a:26379,b:26380/mymaster', 'a:26379,b:26380'],
    ['redis://[::1]:6379', '[::1]:6379'],
    ['redis://[::1]', '[::1]:6379'],
  ])('tells where %s is, and no secret', (url, address) => {
    expect(redisAddress({ url })).toBe(address);
  });
});
