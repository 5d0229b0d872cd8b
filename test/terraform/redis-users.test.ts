import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FUNCTION_LIBRARY, RedisCommands } from '@tradewind/bus';
import {
  bringRedisServer,
  findFreePort,
  type OwnedProcess,
  startRedisServer,
} from '@tradewind/dev';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { TestClient } from '../support/clients/client.ts';
import { startEdge, startIngest, untilLinked } from '../support/services/service.ts';
import { eventually } from '../support/suite/wait.ts';
import { startGoogleStandIn } from './google-stand-in.ts';
import { encoded, REDIS_VALUES, renderStartup } from './startup.ts';
import { createVmRoot, makeTarball, REDIS_RELEASE, type VmRoot } from './vm-root.ts';

/** Services and servers are started. */
const DEADLINE_MS = 60_000;

const ROLES = fileURLToPath(new URL('../../infra/redis/users.acl', import.meta.url));

/** As Terraform writes them down: a user, the version of its secret, a publisher's channels. */
const USERS = ['admin', 'edge', 'ingest', 'pricing', 'replication'] as const;
const CHANNELS: Readonly<Record<string, string>> = { pricing: ' BTC.* ETH.trade' };

type User = (typeof USERS)[number];

let root: VmRoot;
let aclFile: string;
let server: OwnedProcess;
let port: number;
let admin: Redis;

beforeAll(async () => {
  root = await createVmRoot();
  await bootRedisVm();
  aclFile = join(root.path, 'etc/tradewind-redis/users.acl');
  port = await findFreePort();
  server = await startServer(port);
  admin = connectAs('admin', port);
  await admin.function('LOAD', FUNCTION_LIBRARY);
}, 300_000);

afterAll(async () => {
  admin?.disconnect();
  await server?.stop();
  await root?.[Symbol.asyncDispose]();
});

const passwordOf = (user: User): string => `the-secret-of-${user}`;
const secretOf = (user: User): string => `projects/p/secrets/redis-${user}/versions/latest`;

/** Runs the start-up script of a Redis VM, which writes the users. */
async function bootRedisVm(): Promise<void> {
  await using google = await startGoogleStandIn();
  const tarball = await makeTarball(REDIS_RELEASE);
  google.objects.set('releases/valkey-8.1.4.tar.gz', tarball);
  for (const user of USERS) google.secrets.set(secretOf(user), `${passwordOf(user)}\n`);
  const lines = USERS.map((user) => `${user} ${secretOf(user)}${CHANNELS[user] ?? ''}\n`);
  const script = renderStartup('redis-startup.sh.tftpl', {
    ...REDIS_VALUES,
    sha256: createHash('sha256').update(tarball).digest('hex'),
    users_base64: encoded(lines.join('')),
    replication_secret: secretOf('replication'),
    root: root.path,
    ...google.hosts,
  });
  await root.boot(script, { rights_wait_seconds: '0' });
}

/** Debian's, with the users that the script wrote. */
async function startServer(onPort: number, args: readonly string[] = []): Promise<OwnedProcess> {
  const program = await bringRedisServer(console.log);
  return await startRedisServer({ program, port: onPort, args: ['--aclfile', aclFile, ...args] });
}

function connectAs(user: User | undefined, toPort: number): Redis {
  const login = user === undefined ? {} : { username: user, password: passwordOf(user) };
  const redis = new Redis({
    ...{ host: '127.0.0.1', port: toPort, autoResubscribe: false, enableReadyCheck: false },
    ...login,
  });
  redis.on('error', () => undefined);
  return redis;
}

/** Whether the ACL would let the user do that; asked of Redis. */
async function may(user: User, command: string): Promise<boolean> {
  return (await admin.call('ACL', 'DRYRUN', user, ...command.split(' '))) === 'OK';
}

const RIGHTS: Readonly<Record<User, { may: readonly string[]; mayNot: readonly string[] }>> = {
  edge: {
    may: [
      ...['PING', 'INFO', 'SUBSCRIBE SOL.trade', 'UNSUBSCRIBE SOL.trade', 'PUBSUB NUMSUB a'],
      ...['GET {SOL.trade}:meta', 'MGET {a}:meta {b}:meta', 'XRANGE {SOL.trade}:log - +'],
      ...['SET tw:heartbeat:edge-1 x', 'GET tw:heartbeat:edge-1', 'PUBLISH tw:probe:edge-1 x'],
      ...['FCALL tradewind_epoch_1 2 {a}:meta {a}:log', 'SET {a}:meta x', 'DEL {a}:log'],
      ...['MULTI', 'EXEC'],
    ],
    mayNot: [
      ...['PUBLISH SOL.trade x', 'XADD {a}:log * p x', 'DEL {a}:meta', 'SET tw:other x'],
      ...['PSUBSCRIBE *', 'SCAN 0', 'KEYS *', 'FLUSHALL', 'CONFIG GET *', 'ACL LIST'],
      ...['CLIENT LIST', 'SCRIPT FLUSH', 'REPLICAOF NO ONE', 'MONITOR', 'GET {a}:once:k'],
      ...['FCALL tradewind_publish_1 2 {a}:meta {a}:log', 'EVAL return 2 {a}:meta {a}:log'],
    ],
  },
  ingest: {
    may: [
      ...['PUBLISH twin.trade x', 'PUBLISH trx.trade x', 'PUBLISH tWx x'],
      ...['PING', 'PUBLISH SOL.trade x', 'SET {a}:meta x'],
      'FCALL tradewind_publish_1 2 {a}:meta {a}:log',
      ...['XADD {a}:log * p x', 'PEXPIRE {a}:log 1', 'SET {a}:once:k x', 'DEL {a}:log', 'TIME'],
    ],
    mayNot: [
      ...['PUBLISH tw:probe:edge-1 x', 'PUBLISH tw:x x'],
      ...['SUBSCRIBE SOL.trade', 'XRANGE {a}:log - +', 'DEL {a}:meta', 'DEL {a}:once:k', 'INFO'],
      ...['SET tw:heartbeat:edge-1 x', 'SCAN 0', 'KEYS *', 'FLUSHALL', 'SCRIPT FLUSH', 'ACL LIST'],
      ...['EVAL return 0', 'FCALL tradewind_epoch_1 2 {a}:meta {a}:log', 'FUNCTION LOAD x'],
    ],
  },
  pricing: {
    may: [
      ...['PUBLISH BTC.trade x', 'PUBLISH ETH.trade x', 'SET {BTC.trade}:meta x', 'PING'],
      ...['FCALL tradewind_publish_1 2 {BTC.trade}:meta {BTC.trade}:log'],
      'XADD {ETH.trade}:log * p x',
      // What clears a history; Redis cannot tell a script that deletes from a user who does.
      'DEL {BTC.trade}:log',
    ],
    mayNot: [
      ...['PUBLISH ETH.quote x', 'PUBLISH SOL.trade x', 'PUBLISH tw:probe:edge-1 x'],
      ...['SET {SOL.trade}:meta x', 'EVAL return 2 {BTC.trade}:meta {BTC.trade}:log'],
      ...['FCALL tradewind_publish_1 2 {SOL.trade}:meta {SOL.trade}:log', 'SCRIPT LOAD x'],
      ...['FCALL tradewind_epoch_1 2 {BTC.trade}:meta {BTC.trade}:log', 'EVALSHA x 0'],
      ...['DEL {BTC.trade}:meta', 'DEL {BTC.trade}:once:k', 'DEL {SOL.trade}:log', 'DEL x'],
      ...['SCAN 0', 'KEYS *', 'FLUSHALL', 'FLUSHDB', 'SUBSCRIBE BTC.trade', 'INFO', 'UNLINK x'],
      ...['XRANGE {BTC.trade}:log - +', 'CONFIG GET *', 'ACL LIST', 'EXPIRE {BTC.trade}:meta 1'],
      ...['RENAME {BTC.trade}:meta {BTC.trade}:log', 'SCRIPT FLUSH', 'FUNCTION LIST'],
    ],
  },
  replication: {
    may: ['PING', 'PSYNC ? -1', 'REPLCONF listening-port 6379'],
    mayNot: ['GET x', 'SET x y', 'INFO', 'PUBLISH a b', 'ROLE', 'REPLICAOF NO ONE', 'KEYS *'],
  },
  admin: {
    may: [
      ...['ROLE', 'REPLICAOF NO ONE', 'ACL LOAD', 'ACL LIST', 'CONFIG GET *', 'INFO', 'KEYS *'],
      ...['CLIENT LIST', 'SLOWLOG GET', 'FUNCTION LOAD x', 'LATENCY LATEST', 'SHUTDOWN'],
    ],
    mayNot: [],
  },
};

describe.each(USERS)('the user %s of a Redis of our own', (user) => {
  it.each(RIGHTS[user].may)('may %s', async (command) => {
    expect(await may(user, command)).toBe(true);
  });

  it.each(RIGHTS[user].mayNot)('may not %s', async (command) => {
    expect(await may(user, command)).toBe(false);
  });
});

describe('a Redis of our own', () => {
  it('lets nobody in without a password', async () => {
    const nobody = connectAs(undefined, port);
    onTestFinished(() => nobody.disconnect());
    await expect(nobody.get('x')).rejects.toThrow('NOAUTH');
  });

  it('gives each role what infra/redis/users.acl gives it, and nothing else', async () => {
    const rulesOf = (file: string, user: string): string => {
      const line = file.split('\n').find((each) => each.startsWith(`user ${user} on `)) ?? '';
      return line.replace(/^user \S+ on (#\S+ )?/, '');
    };
    const roles = readFileSync(ROLES, 'utf8');
    const written = await root.installed('etc/tradewind-redis/users.acl');
    for (const user of ['admin', 'edge', 'ingest']) {
      expect(wordsOf(rulesOf(written, user))).toEqual(wordsOf(rulesOf(roles, user)));
    }
    const example = rulesOf(roles, 'publisher');
    expect(wordsOf(rulesOf(written, 'pricing'))).toEqual(
      wordsOf(`${example} ${example.replaceAll('BTC.*', 'ETH.trade')}`),
    );
  });

  it('has its publishers publish to their channels, with every form of history', async () => {
    const commands = await startCommands('pricing');
    const publication = {
      channel: 'BTC.trade',
      payload: '1',
      historySize: 10,
      historyTtlMs: 60_000,
      idempotencyKey: 'k',
      idempotencyWindowMs: 60_000,
    };
    await commands.publish('BTC.trade', 'plain');
    await commands.publishSequenced(publication);
    expect(await commands.publishSequenced(publication)).toMatchObject({ duplicate: true });
    const plain = { ...publication, idempotencyKey: '' };
    expect(await commands.publishSequenced({ ...plain, historyTtlMs: 0 })).toMatchObject({
      offset: 2,
    });
    expect(await commands.publishSequenced({ ...plain, historySize: 0 })).toMatchObject({
      offset: 3,
    });
    for (const channel of ['SOL.trade', 'tw:probe:edge-1']) {
      await expect(commands.publish(channel, 'x')).rejects.toMatchObject({ code: 'NOPERM' });
    }
    const elsewhere = { ...publication, channel: 'SOL.trade' };
    await expect(commands.publishSequenced(elsewhere)).rejects.toMatchObject({ code: 'NOPERM' });
  });

  it(
    'serves an edge and an ingest, to which it refuses nothing that they ask for',
    async () => {
      await admin.call('ACL', 'LOG', 'RESET');
      const settingsOf = async (user: User) => {
        const file = join(root.path, `${user}-password`);
        await writeFile(file, `${passwordOf(user)}\n`);
        return { REDIS_URL: `redis://${user}@127.0.0.1:${port}`, REDIS_PASSWORD_FILE: file };
      };
      await using edge = await startEdge(await settingsOf('edge'));
      await using ingest = await startIngest(await settingsOf('ingest'));
      await untilLinked(edge);
      const publish = async (payload: string) => {
        const url = `http://127.0.0.1:${ingest.port}/v1/channels/SOL.trade`;
        return (await fetch(url, { method: 'POST', body: payload })).ok;
      };
      await eventually(() => publish('0'));
      await using client = await TestClient.connect(edge.wsUrl, {
        channels: [{ channel: 'SOL.trade', history: 10 }],
      });
      await publish('1');
      await client.waitFor(() => client.publications.length === 2);
      expect(client.publications.map(({ offset, data }) => [offset, data])).toEqual([
        [1, '0'],
        [2, '1'],
      ]);
      // A new epoch, which an edge starts when Redis has forgotten.
      await admin.del('{SOL.trade}:meta', '{SOL.trade}:log');
      await publish('2');
      await client.waitFor(() => client.publications.length === 3);
      expect(await admin.call('ACL', 'LOG')).toEqual([]);
    },
    DEADLINE_MS,
  );

  it(
    'copies itself, fails over by hand and takes changed users, by the operator alone',
    async () => {
      await admin.set('{a}:meta', 'e:1');
      const replicaPort = await findFreePort();
      const replica = await startServer(replicaPort, [
        ...['--replicaof', `127.0.0.1 ${port}`],
        ...['--masteruser', 'replication', '--masterauth', passwordOf('replication')],
      ]);
      onTestFinished(() => replica.stop().then(() => undefined));
      const operator = connectAs('admin', replicaPort);
      onTestFinished(() => operator.disconnect());
      await eventually(async () => (await operator.get('{a}:meta')) === 'e:1', {
        deadlineMs: 20_000,
      });
      expect((await operator.role()).slice(0, 3)).toEqual(['slave', '127.0.0.1', port]);
      await operator.call('REPLICAOF', 'NO', 'ONE');
      expect((await operator.role())[0]).toBe('master');

      await appendFile(aclFile, 'user late on nopass resetkeys resetchannels -@all +ping\n');
      await operator.call('ACL', 'LOAD');
      expect(await operator.call('ACL', 'USERS')).toContain('late');
    },
    DEADLINE_MS,
  );
});

/** The words of an ACL rule, each once, wherever they stand: in parentheses, they are for what stands there with them. */
function wordsOf(rule: string): readonly string[] {
  return [...new Set(rule.replace(/[()]/g, ' ').trim().split(/\s+/))].sort();
}

async function startCommands(user: User): Promise<RedisCommands> {
  const commands = new RedisCommands(
    {
      url: `redis://${user}@127.0.0.1:${port}`,
      password: passwordOf(user),
      certificateAuthority: undefined,
      connectionName: 'tradewind-test',
    },
    { available() {}, unavailable() {} },
  );
  onTestFinished(() => commands.stop());
  commands.start();
  await eventually(() => commands.available);
  return commands;
}
