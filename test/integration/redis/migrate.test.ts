import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RedisCommands } from '@tradewind/bus';
import { createPublisher } from '@tradewind/publisher';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { type RedisCluster, startRedisCluster } from '../../support/redis/redis-cluster.ts';
import { type RedisNode, startRedisNode } from '../../support/redis/redis-topology.ts';
import { shortOrLong } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const PROGRAM = fileURLToPath(new URL('../../../packages/cli/src/main.ts', import.meta.url));

/** A Cluster of three masters starts, on a busy machine. */
const START_DEADLINE_MS = 120_000;

const DEADLINE_MS = 240_000;

const CHANNELS = shortOrLong(60, 5_000);

/** More than one page of the copy. */
const LONG_HISTORY = 700;

/** Between two publications of the publisher that runs, in ms: far less than a copy takes, and it leaves the copy some CPU time. */
const PUBLISHER_PAUSE_MS = 5;

let source: RedisNode;
let cluster: RedisCluster;
let target: Cluster;

beforeAll(async () => {
  [source, cluster] = await Promise.all([startRedisNode(), startRedisCluster({ replicas: 0 })]);
  target = new Cluster([{ host: '127.0.0.1', port: cluster.nodes[0]!.port }]);
}, START_DEADLINE_MS);

afterAll(async () => {
  target?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
});

interface Run {
  readonly code: number;
  readonly counts: Readonly<Record<string, unknown>>;
  readonly err: string;
}

/** Runs `tradewind migrate` from the single Redis to the Cluster, and names one node of it. */
async function migrate(...options: readonly string[]): Promise<Run> {
  const args = ['migrate', '--from', source.url, '--to', cluster.nodes[1]!.url, '--json'];
  const child = spawn(process.execPath, [PROGRAM, ...args, ...options]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    err += String(chunk);
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, counts: out === '' ? {} : JSON.parse(out), err };
}

it('gives every node of the Cluster the users, by the loop of docs/migration.md', async () => {
  const text = await readFile(`${ROOT}docs/migration.md`, 'utf8');
  const loop = /```sh\n( *set -f[\s\S]*?)```/.exec(text)?.[1] ?? '';
  const env = { ...process.env, NODE: `127.0.0.1:${cluster.nodes[0]!.port}` };
  await promisify(execFile)('sh', ['-ec', loop], { cwd: ROOT, env, timeout: DEADLINE_MS });
  for (const { control } of cluster.nodes) {
    const users = (await control.call('ACL', 'USERS')) as string[];
    expect(users.toSorted()).toEqual(['admin', 'console', 'default', 'edge', 'ingest']);
  }
});

it('logs in by the token of its VM, which the metadata server tells', async () => {
  const metadata = createServer((_, response) => {
    response.end(JSON.stringify({ access_token: 'a-token', expires_in: 3_599 }));
  });
  onTestFinished(() => void metadata.close());
  await new Promise<void>((resolve) => metadata.listen(0, '127.0.0.1', resolve));
  const { port } = metadata.address() as AddressInfo;
  vi.stubEnv('GCE_METADATA_HOST', `127.0.0.1:${port}`);
  // As Google's: the only user has tokens. Connections that are there stay.
  const everywhere = async (...rules: readonly string[]) => {
    for (const { control } of cluster.nodes)
      await control.call('ACL', 'SETUSER', 'default', ...rules);
  };
  await publish('by-token', 2);
  await everywhere('resetpass', '>a-token');
  try {
    const { code, err } = await migrate();
    expect(code, 'the control').toBe(1);
    expect(err).toContain('NOAUTH');
    expect(await migrate('--to-google')).toMatchObject({ code: 0, err: '' });
  } finally {
    vi.unstubAllEnvs();
    await everywhere('nopass');
  }
  expect(await dataOf(target, 'by-token')).toEqual(await dataOf(source.control, 'by-token'));
  await source.control.flushall();
  for (const { control } of cluster.nodes) await control.flushall();
});

it('names the node of a Cluster that refuses the user, and says why', async () => {
  const [node] = cluster.nodes;
  const to = node!.url.replace('redis://', 'redis://nobody:wrong@');
  const { code, err } = await migrate('--to', to);
  expect(code).toBe(1);
  expect(err).toMatch(/WRONGPASS/);
  expect(err).toContain(`127.0.0.1:${node!.port}`);
});

async function publish(channel: string, count: number, key?: string): Promise<void> {
  const publisher = createPublisher(source.control, { history: LONG_HISTORY, deadlineMs: 60_000 });
  const publications = Array.from({ length: count }, (_, i) => ({
    ...{ channel, data: `${channel} ${i}` },
    ...(key === undefined ? {} : { key: `${key}-${i}` }),
  }));
  const results = await publisher.publishMany(publications);
  expect(results.filter(({ ok }) => !ok)).toEqual([]);
}

/** What a client of the library sees of a channel: the position and all of its history. */
async function dataOf(redis: Pick<Cluster, 'get' | 'xrange' | 'pttl'>, channel: string) {
  const log = `{${channel}}:log`;
  return { meta: await redis.get(`{${channel}}:meta`), log: await redis.xrange(log, '-', '+') };
}

it('copies channels, keys and revocations to a Cluster, once and again, and refuses what would lose something', {
  timeout: DEADLINE_MS,
}, async () => {
  await publish('long', LONG_HISTORY, 'trade');
  for (let i = 0; i < CHANNELS; i += 1) await publish(`channel-${i}`, 1 + (i % 3));
  await source.control.set('{quiet}:meta', 'k3x9:9007199254740990');
  await source.control.persist('{channel-0}:log');
  await source.control.set('of-somebody-else', 'x');
  const ingest = new RedisCommands(
    {
      ...{ url: source.url, password: undefined, certificateAuthority: undefined },
      connectionName: 'tradewind-test',
    },
    { available() {}, unavailable() {} },
  );
  onTestFinished(() => ingest.stop());
  ingest.start();
  await eventually(() => ingest.available);
  const revocation = { subject: 'u1', until: Date.now() + 600_000 };
  await ingest.revoke(revocation, Date.now());

  const first = await migrate();
  expect(first.err).toBe('');
  expect(first.code).toBe(0);
  expect(first.counts).toMatchObject({
    ...{ channels: CHANNELS + 2, copied: CHANNELS + 2, revocations: 1 },
    ...{ leftAlone: 2, ahead: { count: 0 }, different: { count: 0 }, differentKeys: 0 },
  });
  for (const channel of ['long', 'quiet', 'channel-0', `channel-${CHANNELS - 1}`])
    expect(await dataOf(target, channel)).toEqual(await dataOf(source.control, channel));
  expect(await target.pttl('{channel-0}:log')).toBe(-1);
  const [left, original] = await Promise.all([
    target.pttl('{channel-1}:log'),
    source.control.pttl('{channel-1}:log'),
  ]);
  expect(Math.abs(left - original)).toBeLessThan(10_000);
  const owners = cluster.nodes.map(({ control }) => control.dbsize());
  for (const size of await Promise.all(owners)) expect(size).toBeGreaterThan(CHANNELS / 10);

  // A publication that is repeated after the migration is known there.
  const moved = createPublisher(target, { history: LONG_HISTORY });
  const repeated = await moved.publish('long', `long 3`, { key: 'trade-3' });
  expect(repeated).toMatchObject({ offset: 4, duplicate: true });

  // Again: nothing is left to do. Then what came since, and what an interrupted copy left behind.
  expect(await migrate()).toMatchObject({ code: 0, counts: { copied: 0 } });
  await publish('long', 3);
  await target.del('{channel-2}:meta');
  await target.xtrim('{channel-2}:log', 'MAXLEN', 1);
  expect(await migrate()).toMatchObject({ code: 0, counts: { copied: 2, differentKeys: 0 } });
  for (const channel of ['long', 'channel-2'])
    expect(await dataOf(target, channel)).toEqual(await dataOf(source.control, channel));

  // What was published to the Cluster already is not taken back.
  await moved.publish('channel-5', 'newer');
  const newer = await dataOf(target, 'channel-5');
  const refused = await migrate();
  expect(refused).toMatchObject({ code: 1, counts: { ahead: { names: ['channel-5'] } } });
  expect(refused.err).toContain('channel-5');
  expect(await dataOf(target, 'channel-5')).toEqual(newer);
  await source.control.del('{channel-5}:meta');

  // A publisher that runs.
  let isRunning = true;
  const running = (async () => {
    while (isRunning) {
      await publish('running', 1);
      await sleep(PUBLISHER_PAUSE_MS);
    }
  })();
  const busy = await migrate();
  expect(busy).toMatchObject({ code: 1, counts: {} });
  expect(busy.err).toMatch(/^publishers are running: \d+ publications/);
  const ahead = await migrate('--running');
  isRunning = false;
  await running;
  expect(ahead, ahead.err).toMatchObject({
    code: 1,
    counts: { different: { names: ['running'] } },
  });
  expect(await migrate()).toMatchObject({ code: 0, counts: { copied: 1, differentKeys: 0 } });
});

it('does not say equal beside a publisher that comes after its channel was compared', {
  timeout: DEADLINE_MS,
}, async () => {
  await publish('slow', 1);
  expect((await migrate()).code).toBe(0);
  using monitor = await source.monitor();
  const readings = (): number =>
    monitor.commands.filter(([word = '', key]) => /^get$/i.test(word) && key === '{slow}:meta')
      .length;
  const run = migrate();
  // Once by the copy, then by the comparison.
  await eventually(() => readings() >= 2, { deadlineMs: DEADLINE_MS / 2 });
  await publish('slow', 1);
  expect((await run).code).toBe(1);
  expect(await migrate()).toMatchObject({ code: 0, counts: { publishedMeanwhile: 0 } });
});

it('copies idempotency keys of any bytes', { timeout: DEADLINE_MS }, async () => {
  const key = Buffer.from('{slow}:once:\xff\xfe', 'latin1');
  await source.control.set(key, 'k3x9:7', 'PX', 600_000);
  expect((await migrate()).code).toBe(0);
  expect(await target.get(key)).toBe('k3x9:7');
});
