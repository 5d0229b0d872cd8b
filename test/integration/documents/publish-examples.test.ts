import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FUNCTION_LIBRARY, RedisCommands, readHeader } from '@tradewind/bus';
import { bringRedisCli } from '@tradewind/dev';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startRedis, type TestRedis } from '../../support/redis/redis.ts';
import { startRedisCluster } from '../../support/redis/redis-cluster.ts';
import { eventually } from '../../support/suite/wait.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const DOCUMENT = readFileSync(`${ROOT}/docs/publishing.md`, 'utf8');

/** How long one run of an example may take, in ms. */
const RUN_DEADLINE_MS = 60_000;

/** Includes an installation by apt. */
const TEST_DEADLINE_MS = 300_000;

let redis: TestRedis;
let admin: Redis;

beforeEach(async () => {
  redis = await startRedis();
  admin = new Redis(redis.url);
});

afterEach(async () => {
  admin.disconnect();
  await redis.stop();
});

async function run(command: string, ...args: string[]): Promise<void> {
  await runAt(redis.url, command, ...args);
}

/** @param url what `$REDIS_URL` is; its host and port are `$NODE`. */
async function runAt(url: string, command: string, ...args: string[]): Promise<void> {
  await promisify(execFile)(command, args, {
    cwd: ROOT,
    env: { ...process.env, REDIS_URL: url, NODE: new URL(url).host },
    timeout: RUN_DEADLINE_MS,
  });
}

async function startReceiver(channel: string): Promise<Buffer[]> {
  const received: Buffer[] = [];
  const subscriber = admin.duplicate();
  onTestFinished(() => subscriber.disconnect());
  subscriber.on('messageBuffer', (_channel, payload) => received.push(payload));
  await subscriber.subscribe(channel);
  return received;
}

/** Runs shell commands of the document. */
async function runShell(cli: string, text: string): Promise<void> {
  await run('sh', '-ec', text.replaceAll('redis-cli', `"${cli}" -e -u "$REDIS_URL"`));
}

const SHELL = [...DOCUMENT.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text]) => text ?? '');
const makesUsers = (text: string): boolean => text.includes('ACL SETUSER');
const isForCluster = (text: string): boolean => /redis-cli (-c|--cluster)/.test(text);
const startsService = (text: string): boolean => text.includes('/src/main.ts');

describe('docs/publishing.md', () => {
  it(
    'names shell commands that publish',
    async ({ skip }) => {
      const cli = await bringRedisCli(console.log);
      if (cli === undefined) return skip('there is no redis-cli here, and apt cannot install it');
      const received = await startReceiver('BTC.trade');
      const commands = SHELL.filter(
        (text) => !makesUsers(text) && !startsService(text) && !isForCluster(text),
      );
      expect(commands).toHaveLength(2);
      for (const text of commands) await runShell(cli, text);
      await eventually(() => received.length === 2);
      for (const [index, message] of received.entries()) {
        const header = readHeader(message);
        if (header.kind !== 'sequenced') throw new Error(header.kind);
        expect(header.offset).toBe(index + 1);
        expect(message.subarray(header.payloadAt).toString()).toBe('{"price":"64123.5"}');
      }
    },
    TEST_DEADLINE_MS,
  );

  it(
    'names shell commands that publish to a Cluster, by the script and by functions',
    async ({ skip }) => {
      const cli = await bringRedisCli(console.log);
      if (cli === undefined) return skip('there is no redis-cli here, and apt cannot install it');
      await using cluster = await startRedisCluster({ replicas: 0 });
      const owner = await cluster.masterOf('BTC.trade');
      const received: Buffer[] = [];
      const subscriber = owner.control.duplicate();
      onTestFinished(() => subscriber.disconnect());
      subscriber.on('smessageBuffer', (_: Buffer, payload: Buffer) => received.push(payload));
      await subscriber.ssubscribe('BTC.trade');
      const commands = SHELL.filter(isForCluster);
      expect(commands).toHaveLength(2);
      // By a node that does not have the channel's slot.
      const { url } = cluster.nodes.find((node) => node !== owner)!;
      for (const text of commands)
        await runAt(
          url,
          'sh',
          '-ec',
          text.replace(/redis-cli (-c)?/g, `"${cli}" -e -u "$REDIS_URL" $1`),
        );
      await eventually(() => received.length === 2);
      expect(String(received[0])).toBe('{"price":"64123.5"}');
      expect(readHeader(received[1]!)).toMatchObject({ kind: 'sequenced', offset: 1 });
      for (const { control } of cluster.nodes) {
        const libraries = (await control.function('LIST')) as unknown[];
        expect(libraries).toHaveLength(1);
      }
    },
    TEST_DEADLINE_MS,
  );

  it(
    'names shell commands that make users with sufficient and necessary rights',
    async ({ skip }) => {
      const cli = await bringRedisCli(console.log);
      if (cli === undefined) return skip('there is no redis-cli here, and apt cannot install it');
      await admin.function('LOAD', FUNCTION_LIBRARY);
      const commands = SHELL.filter(makesUsers);
      expect(commands).toHaveLength(1);
      await runShell(cli, commands[0]!);
      const [edge, ingest, pricing] = await Promise.all([
        startAs('edge:secret-1'),
        startAs('ingest:secret-2'),
        startAs('pricing:secret-3'),
      ]);
      const publication = {
        channel: 'ETH.trade',
        payload: 'x',
        historySize: 10,
        historyTtlMs: 1_000,
        idempotencyKey: 'k',
        idempotencyWindowMs: 1_000,
      };
      const { epoch } = await pricing.publishSequenced(publication);
      await pricing.publishSequenced({ ...publication, idempotencyKey: '', historyTtlMs: 0 });
      await ingest.publishSequenced({ ...publication, idempotencyKey: '', historySize: 0 });
      await pricing.publish('ETH.trade', 'plain');

      const { position } = await edge.readHistory('ETH.trade', 0, 10);
      expect(position).toEqual({ epoch, offset: 3 });
      expect(await edge.startEpoch('ETH.trade', epoch)).toMatchObject({ changed: true });
      expect(await edge.startEpoch('new', undefined)).toMatchObject({ changed: true });
      await edge.heartbeat('edge-1', 'token');
      expect(await edge.serverIdentity()).toBeDefined();
      const forbidden = await Promise.allSettled([
        edge.publish('ETH.trade', 'x'),
        edge.publishSequenced({ ...publication, idempotencyKey: '' }),
        ingest.heartbeat('edge-1', 'token'),
        pricing.publish('BTC.trade', 'x'),
        pricing.publishSequenced({ ...publication, channel: 'BTC.trade' }),
      ]);
      for (const outcome of forbidden)
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'NOPERM' } });
    },
    TEST_DEADLINE_MS,
  );
});

/** Connects as a user. @param login name and password, as in a URL. */
async function startAs(login: string): Promise<RedisCommands> {
  const commands = new RedisCommands(
    {
      url: redis.url.replace('redis://', `redis://${login}@`),
      password: undefined,
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
