import { describe, expect, it } from 'vitest';
import { modeFault, readGreeting, unmendedFault, versionFault } from './server-version.ts';

const redis = (version: string) => ({ server: 'redis', version });
const valkey = (version: string) => ({ server: 'valkey', version });

describe('readGreeting', () => {
  it('reads the fields in each form in which they come', () => {
    const list = ['server', 'redis', 'version', '7.0.15', 'proto', 3, 'mode', 'cluster'];
    expect(readGreeting(list)?.mode).toBe('cluster');
    expect(readGreeting(list)).toMatchObject(redis('7.0.15'));
    const bytes = list.map((each) => Buffer.from(String(each)));
    expect(readGreeting(bytes)).toMatchObject({ ...redis('7.0.15'), mode: 'cluster' });
    expect(readGreeting({ server: 'valkey', version: '9.0.0' })).toEqual(valkey('9.0.0'));
    expect(readGreeting(new Map(Object.entries({ server: 'redis', version: '8.2.2' })))).toEqual(
      redis('8.2.2'),
    );
  });

  it.each([null, undefined, 'OK', [], {}, ['server', 'redis'], ['version', 7]])(
    'reads nothing from %j',
    (answer) => expect(readGreeting(answer)).toBeUndefined(),
  );
});

describe('versionFault', () => {
  it.each(['5 or older', '6.0.20', '6.2.20', '6'])('refuses Redis %s', (version) => {
    expect(versionFault(redis(version))).toBe(
      `it is redis ${version}, and Tradewind needs 7.0 or later`,
    );
  });

  it.each([redis('7.0.0'), redis('7.0.15'), redis('8.2.2'), redis('10.0.1'), valkey('7.2.5')])(
    'takes $server $version',
    (version) => expect(versionFault(version)).toBeUndefined(),
  );

  it.each([undefined, redis('unstable'), redis('')])('takes what does not say: %j', (version) => {
    expect(versionFault(version)).toBeUndefined();
  });
});

describe('modeFault', () => {
  const greeting = (mode: string | undefined) => ({ ...redis('7.0.15'), mode });

  it('refuses a node of a cluster that was not asked as one, and a Sentinel', () => {
    expect(modeFault(greeting('cluster'), false)).toBe(
      'it is a node of a Redis Cluster: set REDIS_MODE=cluster',
    );
    expect(modeFault(greeting('sentinel'), false)).toBe(
      "it is a Sentinel: set REDIS_MODE=sentinel, and put the master's name behind a slash",
    );
  });

  it('takes what was asked for, and what does not say', () => {
    expect(modeFault(greeting('cluster'), true)).toBeUndefined();
    expect(modeFault(greeting('standalone'), false)).toBeUndefined();
    expect(modeFault(greeting(undefined), false)).toBeUndefined();
    expect(modeFault(undefined, false)).toBeUndefined();
  });
});

describe('unmendedFault', () => {
  it.each([
    [redis('7.0.15'), '7.2.11'],
    [redis('7.2.10'), '7.2.11'],
    [redis('7.4.5'), '7.4.6'],
    [redis('8.0.3'), '8.0.4'],
    [redis('8.2.1'), '8.2.2'],
    [valkey('7.2.10'), '7.2.11'],
    [valkey('8.0.5'), '8.0.6'],
    [valkey('8.1.3'), '8.1.4'],
  ])('finds it in $server $version', (version, mendedBy) => {
    expect(unmendedFault(version)).toEqual({ ...version, fault: 'CVE-2025-49844', mendedBy });
  });

  it.each([
    ...['7.2.11', '7.4.6', '8.0.4', '8.2.2', '8.4.0', '9.0.0'].map(redis),
    ...['7.2.11', '8.0.6', '8.1.4', '8.1.10', '9.0.0'].map(valkey),
  ])('finds none in $server $version', (version) => {
    expect(unmendedFault(version)).toBeUndefined();
  });

  it.each([undefined, redis('unstable'), { server: 'other', version: '1.0.0' }])(
    'finds none in what does not say: %j',
    (version) => expect(unmendedFault(version)).toBeUndefined(),
  );
});
