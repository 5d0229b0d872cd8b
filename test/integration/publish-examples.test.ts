import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RedisCommands, readHeader } from '@tradewind/bus';
import { bringRedisCli } from '@tradewind/dev';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DOCUMENT = readFileSync(`${ROOT}/docs/publishing.md`, 'utf8');

/** How long one run of an example may take, in ms. */
const RUN_DEADLINE_MS = 20_000;

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
  await promisify(execFile)(command, args, {
    cwd: ROOT,
    env: { ...process.env, REDIS_URL: redis.url },
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

describe('docs/publishing.md', () => {
  it(
    'names shell commands that publish',
    async ({ skip }) => {
      const cli = await bringRedisCli(console.log);
      if (cli === undefined) return skip('there is no redis-cli here, and apt cannot install it');
      const received = await startReceiver('BTC.trade');
      const commands = [...DOCUMENT.matchAll(/```sh\n([\s\S]*?)```/g)].map(
        ([, text]) => text ?? '',
      );
      expect(commands).toHaveLength(2);
      for (const text of commands)
        await run('sh', '-ec', text.replaceAll('redis-cli', `"${cli}" -u "$REDIS_URL"`));
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

  it('lists sufficient and necessary rights for a publisher and for an edge', async ({ skip }) => {
    const version = /redis_version:(\d+)/.exec(await admin.info('server'))?.[1];
    if (Number(version) < 7) skip('selectors came with Redis 7');
    for (const user of ['publisher', 'edge']) await admin.call('ACL', 'SETUSER', ...rulesOf(user));
    const [publisher, edge] = await Promise.all([startAs('publisher'), startAs('edge')]);
    const publication = {
      channel: 'BTC.trade',
      payload: 'x',
      historySize: 10,
      historyTtlMs: 1_000,
      idempotencyKey: 'k',
      idempotencyWindowMs: 1_000,
    };
    const { epoch } = await publisher.publishSequenced(publication);
    await publisher.publishSequenced({ ...publication, idempotencyKey: '', historyTtlMs: 0 });
    await publisher.publishSequenced({ ...publication, idempotencyKey: '', historySize: 0 });
    await publisher.publish('BTC.trade', 'plain');

    const { position } = await edge.readHistory('BTC.trade', 0, 10);
    expect(position).toEqual({ epoch, offset: 3 });
    expect(await edge.startEpoch('BTC.trade', epoch)).toMatchObject({ changed: true });
    expect(await edge.startEpoch('new', undefined)).toMatchObject({ changed: true });
    await edge.heartbeat('edge-1', 'token');
    expect(await edge.serverIdentity()).toBeDefined();
    const forbidden = await Promise.allSettled([
      edge.publish('BTC.trade', 'x'),
      edge.publishSequenced({ ...publication, idempotencyKey: '' }),
      publisher.heartbeat('edge-1', 'token'),
    ]);
    for (const outcome of forbidden)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'NOPERM' } });
  });
});

/** The name and rules of a user in the document. */
function rulesOf(user: string): readonly string[] {
  const rule = new RegExp(`^ACL SETUSER (${user} .*)$`, 'm').exec(DOCUMENT)?.[1];
  // Text in parentheses is one argument.
  return rule?.match(/\([^)]*\)|\S+/g) ?? [];
}

function urlOf(user: string): string {
  return redis.url.replace('redis://', `redis://${user}:secret@`);
}

async function startAs(user: string): Promise<RedisCommands> {
  const commands = new RedisCommands(
    {
      url: urlOf(user),
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
