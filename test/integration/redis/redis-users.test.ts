import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CLUSTER_REVOCATION_CHANNEL,
  type Commands,
  FUNCTION_LIBRARY,
  publishKeys,
  REVOCATION_CHANNEL,
} from '@tradewind/bus';
import { bringRedisCli, findFreePort, startProcess } from '@tradewind/dev';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { startCommands as startCommandsOf } from '../../support/redis/bus-of-mode.ts';
import { IS_CLUSTER, serviceEnv } from '../../support/redis/redis-mode.ts';
import {
  aclLogs,
  bringServer,
  connectRaw,
  loginOf,
  type RedisWithUsers,
  type Role,
  type ServerKind,
  startRedisWithUsers,
} from '../../support/redis/redis-with-users.ts';
import type { RedisPlace } from '../../support/redis/test-redis.ts';
import { startEdge, startIngest, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

const START = fileURLToPath(new URL('../../../infra/redis/start.sh', import.meta.url));

/** Includes the time in which pip fetches Valkey. */
const START_DEADLINE_MS = 240_000;

/** Services and servers are started. */
const DEADLINE_MS = 60_000;

/** What edges of a Cluster hear, and how it is published. */
const PUBLISH = IS_CLUSTER ? 'SPUBLISH' : 'PUBLISH';
const TOLD = IS_CLUSTER ? CLUSTER_REVOCATION_CHANNEL : REVOCATION_CHANNEL;

const publishCall = (channel: string) =>
  `FCALL tradewind_publish_1 2 {${channel}}:meta {${channel}}:log ${channel} 1 10 0  0 0`;
const epochCall = (channel: string) =>
  `FCALL tradewind_epoch_1 2 {${channel}}:meta {${channel}}:log none`;

/** What nobody but an operator may do. */
const OPERATORS = [
  'EVAL return(1) 0',
  'EVAL_RO return(1) 0',
  'EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0',
  'SCRIPT LOAD return(1)',
  'SCRIPT FLUSH',
  'SCRIPT KILL',
  'FUNCTION LOAD x',
  'FUNCTION LIST',
  'FUNCTION DUMP',
  'FUNCTION FLUSH',
  'FUNCTION DELETE tradewind_functions_1',
  'FUNCTION KILL',
  'FCALL another_function 0',
  'CONFIG GET *',
  'CONFIG SET maxmemory 1',
  'ACL LIST',
  'ACL SETUSER publisher +@all',
  'CLIENT LIST',
  'CLIENT KILL TYPE normal',
  'CLIENT PAUSE 1000',
  'KEYS *',
  'SCAN 0',
  'RANDOMKEY',
  'FLUSHALL',
  'FLUSHDB',
  'SWAPDB 0 1',
  'SELECT 1',
  'SHUTDOWN NOSAVE',
  'REPLICAOF NO ONE',
  'BGSAVE',
  'MONITOR',
  'PSUBSCRIBE *',
  'SLOWLOG GET',
  'RENAME {BTC.a}:meta {BTC.a}:log',
  'UNLINK {BTC.a}:log',
  'DUMP {BTC.a}:meta',
  'APPEND {BTC.a}:meta x',
  'BLPOP {BTC.a}:log 0',
  'CLUSTER RESET HARD',
  'CLUSTER FAILOVER FORCE',
  'CLUSTER SETSLOT 1 STABLE',
  'CLUSTER NODES',
  'MIGRATE 127.0.0.1 1 {BTC.a}:meta 0 1',
];

/** Forty and more for each user that we give to a program. */
const NOT_ITS_OWN: Readonly<Record<Exclude<Role, 'admin'>, readonly string[]>> = {
  edge: [
    ...OPERATORS,
    publishCall('BTC.a'),
    'FCALL_RO tradewind_epoch_1 2 {BTC.a}:meta {BTC.a}:log none',
    'PUBLISH BTC.a 1',
    'SPUBLISH BTC.a 1',
    'XADD {BTC.a}:log * p 1',
    'DEL {BTC.a}:meta',
    'GET {BTC.a}:once:k',
    'SET another-key 1',
    'SET tw:console:watch x',
    'ZADD tw:revocations 1 x',
    'PUBLISH tw:revoked x',
  ],
  ingest: [
    ...OPERATORS,
    epochCall('BTC.a'),
    'PUBLISH tw:probe:edge-1 1',
    'SPUBLISH tw:probe:edge-1 1',
    'SUBSCRIBE BTC.a',
    'SSUBSCRIBE BTC.a',
    'XRANGE {BTC.a}:log - +',
    'SET tw:heartbeat:edge-1 x',
    'DEL {BTC.a}:meta',
    'ZRANGE tw:nodes 0 -1',
    'INFO',
  ],
  console: [
    ...OPERATORS,
    epochCall('BTC.a'),
    publishCall('BTC.a'),
    'PUBLISH BTC.a 1',
    'SPUBLISH BTC.a 1',
    'SUBSCRIBE BTC.a',
    'SSUBSCRIBE BTC.a',
    'GET {BTC.a}:meta',
    'SET tw:node:edge-1:state x',
    'SET tw:node:edge-1:answer x',
    'GET tw:console:watch',
    'ZADD tw:nodes 1 edge-1',
    'ZRANGE tw:revocations 0 -1',
  ],
  publisher: [
    ...OPERATORS,
    epochCall('BTC.a'),
    publishCall('ETH.a'),
    'PUBLISH ETH.a 1',
    'SPUBLISH ETH.a 1',
    'PUBLISH tw:probe:edge-1 1',
    'SUBSCRIBE BTC.a',
    'SSUBSCRIBE BTC.a',
    'SET {ETH.a}:meta x',
    'GET {ETH.a}:meta',
    'DEL {ETH.a}:log',
    'XADD {ETH.a}:log * p 1',
    'DEL {BTC.a}:meta',
    'DEL {BTC.a}:once:k',
    'ZADD tw:revocations 1 x',
    'PUBLISH tw:revoked x',
  ],
};

const publication = (channel: string, payload: string) => ({
  channel,
  payload,
  historySize: 100,
  historyTtlMs: 60_000,
  idempotencyWindowMs: 0,
});

describe.each(['redis', 'valkey'] as const)('the users of infra/redis on %s', (kind) => {
  let redis: RedisWithUsers | undefined;

  beforeAll(async () => {
    redis = await start(kind);
  }, START_DEADLINE_MS);

  afterAll(async () => {
    await redis?.[Symbol.asyncDispose]();
  });

  /** The server; skips the test, with a word, where this machine cannot have one. */
  function server(skip: (why: string) => void): RedisWithUsers {
    if (redis === undefined) skip(`there is no ${kind} here, and pip cannot fetch one`);
    return redis!;
  }

  it.for(Object.entries(NOT_ITS_OWN))(
    '%s is refused what is not its own, and each try stands in the ACL log',
    { timeout: DEADLINE_MS },
    async ([role, commands], { skip }) => {
      expect(commands.length).toBeGreaterThanOrEqual(40);
      for (const { port, admin } of server(skip).servers) {
        await using connection = await connectRaw(port, role as Role);
        // The control: they are commands, and it is the user that they are refused to.
        for (const command of commands)
          expect(await admin.call('ACL', 'DRYRUN', 'admin', ...command.split(' '))).toBe('OK');
        for (const command of commands) {
          await admin.call('ACL', 'LOG', 'RESET');
          expect(await connection.ask(command.split(' ')), command).toMatch(/^-NOPERM /);
          const [entry] = (await admin.call('ACL', 'LOG')) as string[][];
          expect(entry, command).toContain(role);
        }
      }
    },
  );

  it(
    'serve an edge, ingest, a console and a publisher, to whom Redis refuses nothing that they ask for',
    async ({ skip }) => {
      const { admin } = server(skip);
      await admin.call('ACL', 'LOG', 'RESET');
      await using edge = await startEdge(serviceEnv(redis!, loginOf('edge')));
      await using ingest = await startIngest(serviceEnv(redis!, loginOf('ingest')));
      await untilLinked(edge);
      await untilLinked(ingest);
      const publisher = await startCommands(redis!, 'publisher');
      const url = `${ingest.url}/v1/channels/BTC.trade`;
      const post = (body: string) =>
        fetch(url, { method: 'POST', body, headers: { 'idempotency-key': `k${body}` } });
      expect((await post('1')).status).toBe(200);
      // The names that come nearest to the reserved ones.
      for (const channel of ['t', 'tw', 'twx']) {
        const near = `${ingest.url}/v1/channels/${channel}`;
        expect((await fetch(near, { method: 'POST', body: '1' })).status, channel).toBe(200);
      }
      await using client = await TestClient.connect(edge.wsUrl, {
        channels: [{ channel: 'BTC.trade', history: 10 }],
      });
      expect(await publisher.publishSequenced(publication('BTC.trade', '2'))).toMatchObject({
        offset: 2,
      });
      const key = { idempotencyKey: 'k', idempotencyWindowMs: 60_000 };
      const third = { ...publication('BTC.trade', '3'), ...key };
      expect(await publisher.publishSequenced(third)).toMatchObject({ offset: 3 });
      expect(await publisher.publishSequenced(third)).toMatchObject({ duplicate: true });
      await publisher.publish('BTC.trade', '"plain"');
      // A new epoch, which the edge starts when Redis has forgotten.
      await client.waitFor(() => client.publications.length === 4);
      await admin.del('{BTC.trade}:meta', '{BTC.trade}:log');
      expect((await post('4')).status).toBe(200);
      await client.waitFor(() => client.publications.length === 5);
      expect(client.publications.map(({ data }) => data)).toEqual(['1', '2', '3', '"plain"', '4']);
      const reader = await startCommands(redis!, 'console');
      await eventually(async () => (await reader.readNodeStates()).length === 2);
      const nodes = (await reader.readNodeStates()).map(({ node }) => node);
      await eventually(async () => {
        await reader.writeConsoleWatch({ lists: [], channels: ['BTC.trade'], clients: [] });
        const [answer] = await reader.readNodeAnswers(nodes);
        return answer?.channels[0]?.channel === 'BTC.trade';
      });
      expect(await aclLogs(redis!)).toEqual([]);
    },
    DEADLINE_MS,
  );

  it(
    'let a publisher spoil its own channels, and harm neither another channel nor an edge',
    async ({ skip }) => {
      const { admin, portOf } = server(skip);
      await using edge = await startEdge({
        ...serviceEnv(redis!, loginOf('edge')),
        EDGE_TAIL_CHECK_SECONDS: '1',
      });
      await untilLinked(edge);
      const ingest = await startCommands(redis!, 'ingest');
      const publish = (channel: string, payload: string) =>
        ingest.publishSequenced(publication(channel, payload));
      for (const channel of ['BTC.spoilt', 'ETH.trade']) await publish(channel, '0');
      await using client = await TestClient.connect(edge.wsUrl, {
        channels: [{ channel: 'ETH.trade', history: 1 }, 'BTC.spoilt'],
      });
      await using publisher = await connectRaw(await portOf('BTC.spoilt'), 'publisher');
      const [meta, log] = publishKeys('BTC.spoilt');
      const spoils: readonly (readonly string[])[] = [
        ['SET', meta, 'x'.repeat(1_000_000)],
        ['SET', meta, 'forged:9007199254740991'],
        [PUBLISH, 'BTC.spoilt', '@1:forged:9007199254740991:1;"far"'],
        [PUBLISH, 'BTC.spoilt', '@1:'],
        ['DEL', log],
        ['XADD', log, '18446744073709551615-18446744073709551615', 'p', 'x'],
        [PUBLISH, 'BTC.spoilt', '@1:forged:1:1;"again"'],
        ['SET', log, 'no stream'],
        [PUBLISH, 'BTC.spoilt', '\xff'.repeat(70_000)],
      ];
      let number = 0;
      for (const spoil of spoils) {
        const reply = await publisher.ask(spoil);
        expect(reply, spoil[0]).not.toMatch(/^-NOPERM/);
        number += 1;
        await publish('ETH.trade', String(number));
      }
      await client.waitFor(() => client.publicationsOn('ETH.trade').length === number + 1);
      expect(client.publicationsOn('ETH.trade').map(({ data }) => data)).toEqual(
        Array.from({ length: number + 1 }, (_, index) => String(index)),
      );
      for (const type of ['gap', 'resync'] as const) {
        const told = client.controlsOf(type).map(({ channel }) => channel);
        expect(told).not.toContain('ETH.trade');
      }
      expect(client.isOpen).toBe(true);
      expect(client.controlsOf('degraded')).toEqual([]);
      const { status } = await fetch(`${edge.url}/readyz`);
      expect(status).toBe(200);
      // The control: with a right to the other channel the same does harm.
      await using trespasser = await connectRaw(await portOf('ETH.trade'), 'ingest');
      const [other] = publishKeys('ETH.trade');
      expect(await publisher.ask(['SET', other, 'forged:1'])).toMatch(/^-NOPERM/);
      expect(await trespasser.ask(['SET', other, 'forged:1'])).toBe('+OK');
      await publish('ETH.trade', 'after');
      await client.waitFor(() => client.controlsOf('resync').length > 0);
      await admin.del(meta, log);
    },
    DEADLINE_MS,
  );

  it('let ingest revoke tokens, and an edge hear and read of it', async ({ skip }) => {
    const { admin, portOf } = server(skip);
    await admin.call('ACL', 'LOG', 'RESET');
    const ingest = await startCommands(redis!, 'ingest');
    const edge = await startCommands(redis!, 'edge');
    const subscriber = new Redis(`redis://${loginOf('edge')}127.0.0.1:${await portOf(TOLD)}`, {
      ...{ enableReadyCheck: false, disableClientInfo: true },
    });
    onTestFinished(() => subscriber.disconnect());
    const heard: string[] = [];
    subscriber.on(IS_CLUSTER ? 'smessage' : 'message', (_channel, text) => heard.push(text));
    await (IS_CLUSTER ? subscriber.ssubscribe(TOLD) : subscriber.subscribe(TOLD));
    const revocation = { subject: 'u1', until: Date.now() + 60_000 };
    for (const name of ['ZRANGE', 'ZREM']) {
      const rest = name === 'ZREM' ? ['x'] : ['0', '-1'];
      const tried = await admin.call('ACL', 'DRYRUN', 'ingest', name, 'tw:revocations', ...rest);
      expect(tried, name).toBe('OK');
    }
    expect(await ingest.revoke(revocation, Date.now())).toBe(1);
    expect((await edge.readRevocations()).revocations).toEqual([revocation]);
    await eventually(() => heard.length === 1);
    expect(await aclLogs(redis!)).toEqual([]);
  });

  it('refuse publications with a clear word until the functions are loaded, and take them then', async ({
    skip,
  }) => {
    server(skip);
    const program = await bringServer(kind);
    await using bare = await startRedisWithUsers(program!, { withFunctions: false });
    const commands = await startCommands(bare, 'ingest');
    const call = () => commands.publishSequenced(publication('BTC.trade', '1'));
    await expect(call()).rejects.toMatchObject({ message: 'ERR Function not found' });
    await bare.admin.function('LOAD', FUNCTION_LIBRARY);
    expect(await call()).toMatchObject({ offset: 1 });
  });
});

describe('infra/redis/start.sh', () => {
  it('starts what Compose runs: users, functions and limits', { timeout: DEADLINE_MS }, async ({
    skip,
  }) => {
    skip(IS_CLUSTER, 'Compose runs one Redis');
    const isHere = (await bringServer('redis')) !== undefined && (await bringRedisCli(console.log));
    if (!isHere) skip('redis-server and redis-cli are not both here');
    const port = await findFreePort();
    const folder = await mkdtemp(join(tmpdir(), 'tradewind-start-'));
    await using _ = await startProcess({
      name: 'start.sh',
      command: 'sh',
      args: [START, '--bind', '127.0.0.1'],
      env: { ...process.env, REDIS_PORT: String(port), REDIS_PASSWORD: 'a-password' },
      cwd: folder,
    });
    const url = `redis://127.0.0.1:${port}`;
    const edge = new Redis(url.replace('//', `//${loginOf('edge')}`), { enableReadyCheck: false });
    onTestFinished(() => edge.disconnect());
    edge.on('error', () => undefined);
    // What the health check of Compose asks.
    const call = epochCall('x').split(' ').slice(1);
    await eventually(async () => {
      expect(await edge.call('FCALL', ...call)).toEqual([0, '', 0]);
    });
    const ingest = await startCommands({ url }, 'ingest');
    expect(await ingest.publishSequenced(publication('BTC.trade', '1'))).toMatchObject({
      offset: 1,
    });
    const tooLarge = 'x'.repeat(1_048_577);
    await expect(ingest.publish('BTC.trade', tooLarge)).rejects.toThrow();
    const nobody = new Redis(port, '127.0.0.1', { enableReadyCheck: false });
    onTestFinished(() => nobody.disconnect());
    nobody.on('error', () => undefined);
    await expect(nobody.get('x')).rejects.toThrow('NOAUTH');
    const withoutPassword = await connectRaw(port, 'publisher').catch(String);
    expect(withoutPassword).toContain('WRONGPASS');
    await rm(folder, { recursive: true });
  });
});

async function start(kind: ServerKind): Promise<RedisWithUsers | undefined> {
  const program = await bringServer(kind);
  return program === undefined ? undefined : await startRedisWithUsers(program);
}

async function startCommands(redis: RedisPlace, role: Role): Promise<Commands> {
  const { commands, isUp } = startCommandsOf(redis, loginOf(role));
  onTestFinished(() => commands.stop());
  await eventually(isUp);
  return commands;
}
