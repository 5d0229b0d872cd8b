import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FUNCTION_LIBRARY } from '@tradewind/bus';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { hs256, makeToken, nowSeconds } from '../../support/identity/tokens.ts';
import { startRedis } from '../../support/redis/redis.ts';
import { rulesOf } from '../../support/redis/redis-with-users.ts';
import { COMPILE_CACHE } from '../../support/services/compile-cache.ts';
import { startEdge, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const PROGRAM = fileURLToPath(new URL('../../../packages/cli/src/main.ts', import.meta.url));

const KEY = 'key-of-the-tests-of-the-command-line';

let tier: Tier;

beforeAll(async () => {
  tier = await startTier({ edges: 1 });
});

afterAll(async () => {
  await tier?.[Symbol.asyncDispose]();
});

interface Run {
  readonly code: number;
  readonly out: readonly string[];
  readonly err: string;
}

/** Runs `tradewind` to its end, on the tier unless `args` say otherwise. */
async function tradewind(
  args: readonly string[],
  input?: string | Buffer,
  environment: NodeJS.ProcessEnv = {},
): Promise<Run> {
  const target = ['--redis', tier.redis.url, '--edge', tier.edges[0]!.wsUrl];
  const own = target.filter((_, i) => !args.includes(target[i - (i % 2)]!));
  const child = spawn(process.execPath, [PROGRAM, ...args, ...own], {
    env: { ...COMPILE_CACHE, ...environment },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    err += String(chunk);
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number];
  return { code, out: out.split('\n').filter(Boolean), err };
}

describe('tradewind pub', () => {
  it('publishes to all subscribers, once for a key', async () => {
    const channel = 'cli.pub';
    await using client = await TestClient.connect(tier.edges[0]!.wsUrl, { channels: [channel] });
    const args = ['pub', channel, '{"price":"1.10"}', '--key', 'trade-1'];
    const first = await tradewind(args);
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toEqual([expect.stringMatching(/^cli\.pub [a-z0-9]+:1$/)]);
    expect((await tradewind(args)).out).toEqual([`${first.out[0]} (published before)`]);
    await tradewind(['pub', channel, '2']);
    await client.waitFor(() => client.publications.length === 2);
    expect(client.publications.map(({ offset, data }) => [offset, data])).toEqual([
      [1, '{"price":"1.10"}'],
      [2, '2'],
    ]);
  });

  it('reads a payload, or lines of them, from its input', async () => {
    const channel = 'cli.input';
    await using client = await TestClient.connect(tier.edges[0]!.wsUrl, { channels: [channel] });
    expect(await tradewind(['pub', channel, '-'], 'one\npayload\n')).toMatchObject({ code: 0 });
    const lines = await tradewind(['pub', channel, '--lines', '--json'], '1\n2\n3\n');
    expect(lines.out.map((line) => JSON.parse(line).offset)).toEqual([2, 3, 4]);
    await client.waitFor(() => client.publications.length === 4);
    expect(client.publications.map(({ data }) => data)).toEqual(['"one\\npayload"', '1', '2', '3']);
  });

  it('says what was not published, and ends with 1', async () => {
    const refused = await tradewind(['pub', 'not a channel', '1']);
    expect(refused).toMatchObject({ code: 1, out: [] });
    expect(refused.err).toMatch(/^BAD_CHANNEL: .*It was not published/);
    const some = await tradewind(['pub', 'cli.some', '--lines'], `1\n${'x'.repeat(70_000)}\n3\n`);
    expect(some).toMatchObject({ code: 1 });
    expect(some.out).toHaveLength(2);
    expect(some.err).toMatch(/^TOO_LARGE: /);
  });

  it('says which Redis it does not reach', async () => {
    const run = await tradewind(['pub', 'a', '1', '--redis', 'redis://user:secret@127.0.0.1:1']);
    expect(run).toMatchObject({ code: 1, out: [] });
    expect(run.err).toMatch(/^Redis at 127\.0\.0\.1:1: .*ECONNREFUSED/);
    expect(run.err).not.toContain('secret');
  });
});

it('logs in as a publisher, who may call the function and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-cli-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await tier.backend.call('FUNCTION', 'LOAD', 'REPLACE', FUNCTION_LIBRARY);
  await tier.backend.call('ACL', 'SETUSER', 'pricing', '>secret', ...rulesOf('publisher'));
  await writeFile(join(folder, 'password'), 'secret\n');
  const { host, port } = tier.redis;
  const redis = ['--redis', `redis://pricing@${host}:${port}`];
  const environment = { REDIS_PASSWORD_FILE: join(folder, 'password') };
  const published = await tradewind(['pub', 'BTC.cli', '1', ...redis], undefined, environment);
  expect(published).toMatchObject({ code: 0, err: '' });
  const refused = await tradewind(['pub', 'ETH.cli', '1', ...redis], undefined, environment);
  expect(refused.err).toMatch(/^ETH\.cli: NOPERM .*It was not published/);
  const checked = ['check', '--channel', 'BTC.check', ...redis];
  expect((await tradewind(checked, undefined, environment)).code).toBe(0);
});

describe('tradewind sub', () => {
  it('prints what comes on channels, numbers as they were written', async () => {
    const running = tradewind(['sub', 'cli.sub', 'cli.other', '--count', '3', '--json']);
    await eventually(async () => (await tier.subscribers('cli.other')) === 1);
    await eventually(async () => (await tier.subscribers('cli.sub')) === 1);
    await tradewind(['pub', 'cli.sub', '{"price":1.10}']);
    await tradewind(['pub', 'cli.other', 'text']);
    await tier.backend.publish('cli.sub', '3');
    const { code, out, err } = await running;
    expect({ code, err }).toEqual({ code: 0, err: 'connected to edge-1\n' });
    const items = out.map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'publication');
    // Only publications of one channel have an order: the first one of a channel may wait until its position was read.
    const { 'cli.sub': sub, 'cli.other': other } = Object.groupBy(items, ({ channel }) => channel);
    expect(sub).toMatchObject([{ offset: 1 }, { data: 3 }]);
    expect(other).toMatchObject([{ offset: 1, data: 'text' }]);
    expect(out.join()).toContain('"data":{"price":1.10}');
  });

  it('continues behind a position, and begins with history', async () => {
    const channel = 'cli.since';
    const { out } = await tradewind(['pub', channel, '--lines'], '1\n2\n3\n4\n');
    const since = out[1]!.split(' ')[1]!;
    const later = await tradewind(['sub', channel, '--since', since, '--count', '2']);
    const lines = later.out.filter((line) => !line.startsWith('!'));
    expect(lines.map((line) => line.split(' ')[1])).toEqual(['3', '4']);
    const latest = await tradewind(['sub', channel, '--history', '3', '--count', '3']);
    expect(latest.out.map((line) => line.split(' ').at(-1))).toEqual(['2', '3', '4']);
  });

  it('says why a channel cannot be had, and ends with 1', async () => {
    const run = await tradewind(['sub', 'tw:probe:edge-1']);
    expect(run).toMatchObject({ code: 1, out: [] });
    expect(run.err).toMatch(/tw:probe:edge-1/);
  });

  it('says that it waits while no edge answers, and ends when it is told to', async () => {
    const child = spawn(process.execPath, [PROGRAM, 'sub', 'a', '--edge', 'ws://127.0.0.1:1/ws']);
    onTestFinished(() => void child.kill('SIGKILL'));
    const [note] = (await once(child.stderr, 'data')) as [Buffer];
    expect(String(note)).toMatch(/^127\.0\.0\.1:1: .* Trying again in/);
    child.kill('SIGINT');
    expect((await once(child, 'close'))[0]).toBe(0);
  });
});

describe('tradewind channel', () => {
  it('shows epoch, offset, history and how many nodes listen', async () => {
    const channel = 'cli.channel';
    await using _ = await TestClient.connect(tier.edges[0]!.wsUrl, { channels: [channel] });
    await tradewind(['pub', channel, '--lines', '--history', '2'], '1\n2\n3\n');
    const { out } = await tradewind(['channel', channel]);
    expect(out).toEqual([
      channel,
      expect.stringMatching(/^ {2}epoch {4}[a-z0-9]+$/),
      '  offset   3',
      expect.stringMatching(
        /^ {2}history {2}2 publications, offsets 2 to 3, .* kept for 60 min more$/,
      ),
      '  nodes    1 listens',
    ]);
    const facts = JSON.parse((await tradewind(['channel', channel, '--json'])).out[0]!);
    expect(facts).toMatchObject({
      channel,
      offset: 3,
      history: { first: 2, last: 3 },
      listeners: 1,
    });
  });

  it('says that nothing is there', async () => {
    const { code, out } = await tradewind(['channel', 'cli.nothing']);
    expect(code).toBe(0);
    expect(out.join()).toContain('nothing was published');
  });

  it.each(['edge', 'ingest'] as const)('says what the user %s lacks, and who may', async (user) => {
    await tier.backend.call('ACL', 'SETUSER', `cli-${user}`, '>secret', ...rulesOf(user));
    const { host, port } = tier.redis;
    const url = `redis://cli-${user}:secret@${host}:${port}`;
    const { code, err } = await tradewind(['channel', 'cli.refused', '--redis', url]);
    expect(code).toBe(1);
    expect(err).toMatch(/NOPERM.* This command needs the user `admin`/);
    expect(err).not.toContain('EXECABORT');
  });
});

describe('tradewind check', () => {
  it('finds that trades flow', async () => {
    const { code, out, err } = await tradewind(['check']);
    expect({ code, err }, out.join('\n')).toEqual({ code: 0, err: '' });
    expect(out.map((line) => line.split(/ +/).slice(0, 2))).toEqual([
      ['ok', 'redis'],
      ['ok', 'edge'],
      ['ok', 'welcome'],
      ['ok', 'trades'],
    ]);
    expect(out.at(-1)).toContain('5 of 5');
  });

  it('finds that the edge has another Redis, and ends with 1', async () => {
    await using other = await startRedis();
    const { code, out } = await tradewind(['check', '--redis', other.url]);
    expect(code).toBe(1);
    expect(out.at(-1)).toMatch(/^FAILED {2}trades .*another one\?$/);
  });

  it('reports the other checks when the edge is not there', async () => {
    const { code, out } = await tradewind(['check', '--json', '--edge', 'ws://127.0.0.1:1/ws']);
    expect(code).toBe(1);
    expect(out.map((line) => JSON.parse(line))).toMatchObject([
      { check: 'redis', ok: true },
      { check: 'edge', ok: false },
      { check: 'welcome', ok: false, found: expect.stringContaining('127.0.0.1:1') },
    ]);
  });
});

it('says which of several edges each finding is about', async () => {
  const [edge, dead] = [tier.edges[0]!.wsUrl, 'ws://localhost:1/ws'];
  const { host } = new URL(edge);
  const edges = ['check', '--edge', dead, '--edge', edge];
  const { code, out } = await tradewind([...edges, '--json']);
  expect(code).toBe(1);
  expect(
    out.map((line) => JSON.parse(line)).map((each) => [each.check, each.edge, each.ok]),
  ).toEqual([
    ['redis', undefined, true],
    ['edge', 'localhost:1', false],
    ['welcome', 'localhost:1', false],
    ['edge', host, true],
    ['welcome', host, true],
    ['trades', host, true],
  ]);
  const text = (await tradewind(edges)).out;
  expect(text.slice(1).map((line) => [line.split(/ +/)[1], line.includes(host)])).toEqual([
    ['edge', false],
    ['welcome', false],
    ['edge', true],
    ['welcome', true],
    ['trades', true],
  ]);
  expect(text[2]).toContain('localhost:1');
});

it('shows an edge its token', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-cli-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const [keyFile, tokenFile] = [join(folder, 'key'), join(folder, 'token')];
  const claims = { sub: 'u1', exp: nowSeconds() + 600, tw: { channels: ['tradewind.check'] } };
  await writeFile(keyFile, KEY);
  await writeFile(tokenFile, `${makeToken({ alg: 'HS256', typ: 'JWT' }, claims, hs256(KEY))}\n`);
  await using edge = await startEdge({
    ...{ REDIS_URL: tier.redis.url, EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: keyFile },
  });
  await untilLinked(edge);
  const check = ['check', '--edge', edge.wsUrl];
  const without = await tradewind(check);
  expect(without.code).toBe(1);
  expect(without.out.at(-1)).toMatch(/^FAILED {2}welcome .*asks for a token/);
  const accepted = await tradewind([...check, '--token-file', tokenFile]);
  expect(accepted.out.join('\n')).toContain('as u1');
  expect(accepted.code).toBe(0);
  const refused = await tradewind([
    'sub',
    'secret',
    '--edge',
    edge.wsUrl,
    '--token-file',
    tokenFile,
  ]);
  expect(refused).toMatchObject({ code: 1, out: [] });
  expect(refused.err).toContain('secret: channel_not_allowed');
});

it('tells a wrong command line apart, and helps', async () => {
  const wrong = await tradewind(['publish']);
  expect(wrong).toMatchObject({ code: 2, out: [] });
  expect(wrong.err).toContain('--help');
  const help = await tradewind(['--help']);
  expect(help.code).toBe(0);
  expect(help.out[0]).toContain('tradewind COMMAND');
});
