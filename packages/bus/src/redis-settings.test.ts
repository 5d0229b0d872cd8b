import { describe, expect, it } from 'vitest';
import {
  checkRedisUrl,
  clusterSeeds,
  nodeSettings,
  type RedisSettings,
  redisOptions,
  sentinelSettings,
} from './redis-settings.ts';
import { checkIdentityByAddress } from './tls-identity.ts';

const PLAIN: RedisSettings = {
  url: 'redis://127.0.0.1:6380',
  password: undefined,
  certificateAuthority: undefined,
  connectionName: 'tradewind-edge-7',
};

const SEVERAL_HOSTS =
  "names several hosts: set REDIS_MODE=cluster, or, if they are Sentinels, REDIS_MODE=sentinel with the master's name behind a slash";

describe('checkRedisUrl', () => {
  it.each([
    'redis://localhost',
    'redis://10.0.0.3:6379',
    'rediss://redis.internal:6378/0',
    'redis://a,b:p@redis.internal:6378/0',
    'redis://user:p%40ss@[::1]:6379/2',
    'redis://:only-a-password@localhost',
  ])('accepts %s', (url) => {
    expect(checkRedisUrl(url)).toBeUndefined();
  });

  it.each([
    ['10.0.0.3:6379', 'must be a URL such as redis://127.0.0.1:6379'],
    ['localhost:6379', 'must begin with redis: or rediss:'],
    ['redis://h:1,i:2', SEVERAL_HOSTS],
    ['redis://h,i', SEVERAL_HOSTS],
    ['rediss://u,v:p@h:1,i:2/trades', SEVERAL_HOSTS],
    ['http://localhost', 'must begin with redis: or rediss:'],
    ['redis://', 'must name a host'],
    ['redis://localhost:99999', 'must be a URL such as redis://127.0.0.1:6379'],
    ['redis://localhost:', 'has a colon and no port behind it'],
    ['redis://localhost:\n', 'has a colon and no port behind it'],
    ['redis://u:p@[::1]:/0', 'has a colon and no port behind it'],
    ['redis://localhost/main', 'may have nothing but the number of a database for a path'],
    ['redis://localhost/123456', 'may have nothing but the number of a database for a path'],
    ['redis://localhost?enableOfflineQueue=true', 'may not carry options'],
    ['redis://localhost#0', 'may not carry options'],
    ['redis://:100%@localhost', 'has a user or password whose percent-encoding is broken'],
    ['redis://%zz:p@localhost', 'has a user or password whose percent-encoding is broken'],
    ['redis://u:%ff@localhost', 'has a user or password whose percent-encoding is broken'],
  ])('says what is wrong with %s', (url, mistake) => {
    expect(checkRedisUrl(url)).toBe(mistake);
  });

  it.each(['redis://h', 'rediss://u:p%40@h:1,[::1]:2,j', 'redis://:p@h:1/0', 'redis://h,i'])(
    'accepts %s of a cluster',
    (url) => {
      expect(checkRedisUrl(url, 'cluster')).toBeUndefined();
    },
  );

  it.each([
    ['h:1,i:2', 'must be a URL such as redis://redis-1:6379,redis-2:6379'],
    ['redis://', 'must name nodes of the cluster as host:port, with commas between them'],
    ['redis://h:1,,i:2', 'must name nodes of the cluster as host:port, with commas between them'],
    ['redis://h:1,i:', 'must name nodes of the cluster as host:port, with commas between them'],
    ['redis://h:99999', 'must name nodes of the cluster as host:port, with commas between them'],
    ['redis://h:1/2', 'may not have a path: a cluster has one database, 0'],
    [
      'redis://h:1,i:2/trades',
      'may not have a path; if it is the name of a master, set REDIS_MODE=sentinel',
    ],
    ['redis://h:1?a=b', 'may not carry options'],
    ['redis://u:100%@h:1', 'has a user or password whose percent-encoding is broken'],
  ])('says what is wrong with %s of a cluster', (url, mistake) => {
    expect(checkRedisUrl(url, 'cluster')).toBe(mistake);
  });

  it.each(['redis://h/m', 'redis://h:1,i:2,j/m', 'rediss://u@h:1/m/15', 'redis://:p@h:1/m-1.2_x'])(
    'accepts %s of Sentinels',
    (url) => {
      expect(checkRedisUrl(url, 'sentinel')).toBeUndefined();
    },
  );

  it.each([
    ['10.0.0.3:6379', 'must be a URL such as redis://sentinel-1:26379,sentinel-2:26379/name'],
    ['http://h/m', 'must be a URL such as redis://sentinel-1:26379,sentinel-2:26379/name'],
    ['redis://', 'must name Sentinels as host:port, with commas between them'],
    ['redis://h,,i/m', 'must name Sentinels as host:port, with commas between them'],
    ['redis://h:99999/m', 'must name Sentinels as host:port, with commas between them'],
    ['redis://h:1,i:x/m', 'must name Sentinels as host:port, with commas between them'],
    ['redis://h:1,i:/m', 'must name Sentinels as host:port, with commas between them'],
    [
      'redis://127.0.0.1:6379',
      "must have the master's name for a path, …:26379/name; for a Redis without Sentinels set REDIS_MODE=single",
    ],
    ['redis://h/ma ster', "must have the master's name for a path: …:26379/name"],
    ['redis://h/m/x', "may have nothing but the number of a database behind the master's name"],
    ['redis://h/m/1/2', "may have nothing but the number of a database behind the master's name"],
    ['redis://h/m?x=1', 'may not carry options'],
    ['redis://u:%ff@h/m', 'has a user or password whose percent-encoding is broken'],
  ])('says what is wrong with %s of Sentinels', (url, mistake) => {
    expect(checkRedisUrl(url, 'sentinel')).toBe(mistake);
  });

  it('never repeats a password', () => {
    expect(checkRedisUrl('redis://:secret@localhost/x')).not.toContain('secret');
    expect(() => redisOptions({ ...PLAIN, url: 'redis://:secret@' }, 'commands')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    );
  });
});

describe('redisOptions', () => {
  it('takes address, credentials and database from the URL', () => {
    const url = 'redis://user:p%40ss@[::1]:6380/2';
    expect(redisOptions({ ...PLAIN, url }, 'commands')).toMatchObject({
      host: '::1',
      port: 6380,
      username: 'user',
      password: 'p@ss',
      db: 2,
    });
  });

  it('lets the password of the settings win over the one of the URL', () => {
    const options = redisOptions(
      { ...PLAIN, url: 'redis://user:old@localhost', password: 'new' },
      'commands',
    );
    expect(options).toMatchObject({ username: 'user', password: 'new' });
  });

  it('leaves user and password out when there are none, so that no AUTH is sent', () => {
    const options = redisOptions(PLAIN, 'commands');
    expect(options).not.toHaveProperty('username');
    expect(options).not.toHaveProperty('password');
  });

  it('encrypts for rediss only, with the given authority and the name of the host', () => {
    const settings = { ...PLAIN, certificateAuthority: 'PEM' };
    expect(redisOptions({ ...settings, url: 'rediss://redis.internal' }, 'commands').tls).toEqual({
      ca: 'PEM',
      servername: 'redis.internal',
      checkServerIdentity: checkIdentityByAddress,
    });
    expect(redisOptions({ ...settings, url: 'rediss://10.0.0.3' }, 'commands').tls).toEqual({
      ca: 'PEM',
      checkServerIdentity: checkIdentityByAddress,
    });
    const trustingTheSystem = redisOptions({ ...PLAIN, url: 'rediss://10.0.0.3' }, 'commands').tls;
    expect(trustingTheSystem).toEqual({});
    expect(redisOptions(PLAIN, 'commands')).not.toHaveProperty('tls');
    expect(() => redisOptions(settings, 'commands')).toThrow(/rediss/);
  });

  it('takes the Sentinels, the master and its credentials from the URL', () => {
    const url = 'redis://user:p@ss%3A@10.0.0.1:5000,sentinel-2,[::1]:5001/trades.main/3';
    const settings = { ...PLAIN, mode: 'sentinel', url, sentinelPassword: 'guard' } as const;
    expect(sentinelSettings(settings)).toEqual({
      addresses: [
        { host: '10.0.0.1', port: 5000 },
        { host: 'sentinel-2', port: 26379 },
        { host: '::1', port: 5001 },
      ],
      master: 'trades.main',
      password: 'guard',
      tls: undefined,
    });
    const options = redisOptions(settings, 'commands');
    expect(options).toMatchObject({ username: 'user', password: 'p@ss:', db: 3 });
    for (const absent of ['host', 'port', 'tls']) expect(options).not.toHaveProperty(absent);
    expect(sentinelSettings(PLAIN)).toBeUndefined();
  });

  it('encrypts the way to the Sentinels and to Redis', () => {
    const settings = { ...PLAIN, mode: 'sentinel', certificateAuthority: 'PEM' } as const;
    const url = 'rediss://s/m';
    const tls = { ca: 'PEM', checkServerIdentity: checkIdentityByAddress };
    expect(redisOptions({ ...settings, url }, 'commands').tls).toEqual(tls);
    expect(sentinelSettings({ ...settings, url })?.tls).toEqual(tls);
  });

  it('wants no password of Sentinels without Sentinels', () => {
    expect(() => redisOptions({ ...PLAIN, sentinelPassword: 'x' }, 'commands')).toThrow(/sentinel/);
  });

  it('never queues, repeats or resubscribes on its own', () => {
    expect(redisOptions(PLAIN, 'subscriber')).toMatchObject({
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      connectionName: 'tradewind-edge-7-subscriber',
    });
  });
});

describe('nodeSettings', () => {
  it('connects to one node with the user and the secrets of the cluster', () => {
    const cluster: RedisSettings = {
      ...PLAIN,
      mode: 'cluster',
      url: 'rediss://us%40er:p%3Aw@10.0.0.1:7000,10.0.0.2',
      certificateAuthority: 'PEM',
    };
    expect(clusterSeeds(cluster)).toEqual({
      addresses: [
        { host: '10.0.0.1', port: 7_000 },
        { host: '10.0.0.2', port: 6_379 },
      ],
      tls: true,
    });
    const settings = nodeSettings(cluster, { host: '::1', port: 7_001 });
    expect(redisOptions(settings, 'commands')).toMatchObject({
      ...{ host: '::1', port: 7_001, username: 'us@er', password: 'p:w', db: 0 },
      connectionName: 'tradewind-edge-7-commands',
      tls: { ca: 'PEM' },
    });
    expect(nodeSettings({ ...PLAIN, mode: 'cluster' }, { host: 'h', port: 1 }).url).toBe(
      'redis://h:1',
    );
  });
});
