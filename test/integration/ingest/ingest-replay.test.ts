import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { readHeader } from '@tradewind/bus';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startRedis, type TestRedis } from '../../support/redis/redis.ts';
import { COMPILE_CACHE } from '../../support/services/compile-cache.ts';
import { startIngest, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

const REPLAY = fileURLToPath(
  new URL('../../../services/ingest/src/replay-main.ts', import.meta.url),
);
const LINES = Array.from({ length: 300 }, (_, index) =>
  JSON.stringify({
    symbol: index % 3 === 0 ? 'BTC' : 'ETH',
    id: String(index),
    ts: 1_675_329_600_000 + index * 10,
    side: 'buy',
    price: '1666.80',
    size: '0.10',
  }).replace('"ts":', '"ts": '),
);

let redis: TestRedis;
let folder: string;
let file: string;
let heard: string[];
let subscriber: Redis;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ingest-replay-'));
  redis = await startRedis();
  file = join(folder, 'trades.ndjson');
  await writeFile(file, `${LINES.join('\n')}\n`);
});
afterAll(async () => {
  await redis?.stop();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  heard = [];
  // If the connection ends during ioredis' own resubscription, that rejects and nobody handles it.
  subscriber = new Redis(redis.port, redis.host, { autoResubscribe: false });
  subscriber.on('error', () => undefined);
  subscriber.on('messageBuffer', (_channel: Buffer, payload: Buffer) => {
    const header = readHeader(payload);
    if (header.kind === 'sequenced') heard.push(payload.toString('utf8', header.payloadAt));
  });
  await subscriber.subscribe('BTC.trade', 'ETH.trade');
});
afterEach(() => subscriber.disconnect());

describe('the replay command', () => {
  it('publishes a file as it was written, in order, at a rate', async () => {
    const { code, summary } = await run([file, '--rate', '1000/s']);
    expect(code).toBe(0);
    expect(summary).toEqual({
      file,
      runId: expect.any(String),
      published: 300,
      duplicates: 0,
      invalid: 0,
      seconds: expect.any(Number),
    });
    expect((summary as { seconds: number }).seconds).toBeGreaterThanOrEqual(0.299);
    await eventually(() => heard.length === 300);
    expect(heard).toEqual(LINES);
  });

  it('keeps the trades’ own pace, multiplied by a factor', async () => {
    const { code, summary } = await run([file, '--speed', '10']);
    expect(code).toBe(0);
    expect((summary as { seconds: number }).seconds).toBeGreaterThanOrEqual(0.299);
  });

  it('goes through an ingest service', async () => {
    await using ingest = await startIngest({ REDIS_URL: redis.url, INGEST_TOKENS: 'sesame,other' });
    await untilLinked(ingest);
    const { code, summary } = await run([file, '--rate', '100000', '--to', ingest.url], {
      INGEST_TOKENS: 'sesame',
      REDIS_URL: 'redis://127.0.0.1:1',
    });
    expect({ code, summary }).toMatchObject({ code: 0, summary: { published: 300 } });
    await eventually(() => heard.length === 300);
    expect(heard).toEqual(LINES);

    const refused = await run([file, '--to', ingest.url]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('line 1: ');
    expect(refused.stderr).toContain('401');
  });

  it('publishes nothing twice in a run that is continued, by either way of publishing', async () => {
    await using ingest = await startIngest({ REDIS_URL: redis.url });
    await untilLinked(ingest);
    const half = join(folder, 'half.ndjson');
    await writeFile(half, `${LINES.slice(0, 150).join('\n')}\n`);
    const fast = ['--rate', '100000', '--run-id', 'run-1'];
    const first = await run([half, ...fast]);
    expect(first.summary).toMatchObject({ runId: 'run-1', published: 150, duplicates: 0 });
    const whole = await run([file, ...fast, '--to', ingest.url]);
    expect(whole.summary).toMatchObject({ published: 150, duplicates: 150 });
    const again = await run([file, ...fast]);
    expect(again).toMatchObject({ code: 0, summary: { published: 0, duplicates: 300 } });
    const another = await run([half, '--rate', '100000']);
    expect(another.summary).toMatchObject({ published: 150, duplicates: 0 });
    await eventually(() => heard.length === 450);
    expect(heard).toEqual([...LINES, ...LINES.slice(0, 150)]);
  });

  it('slows down to the rate of the ingest service, and loses nothing', async () => {
    await using ingest = await startIngest({
      REDIS_URL: redis.url,
      INGEST_PUBLICATIONS_PER_SECOND: '120',
      INGEST_MAX_ITEMS: '1',
    });
    await untilLinked(ingest);
    const { code, summary } = await run([file, '--rate', '100000', '--to', ingest.url]);
    expect({ code, summary }).toMatchObject({ code: 0, summary: { published: 300 } });
    await eventually(() => heard.length === 300);
    expect(heard).toEqual(LINES);
  });

  it('ends on SIGINT while it waits for the rate limit of an ingest service', async () => {
    await using ingest = await startIngest({
      REDIS_URL: redis.url,
      INGEST_PUBLICATIONS_PER_SECOND: '1',
      INGEST_MAX_ITEMS: '1',
    });
    await untilLinked(ingest);
    const running = start([file, '--rate', '100000', '--to', ingest.url]);
    await eventually(() => heard.length > 0);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.done;
    expect(code).toBe(130);
    // Trades that the service has refused so far are not in doubt.
    expect(stderr).toMatch(/^replay: to go on at line \d+, .* --run-id .*\n$/);
  });

  it('reports invalid lines by their numbers and continues', async () => {
    const broken = join(folder, 'broken.ndjson');
    await writeFile(broken, [LINES[0], '{"symbol":"ETH"}', '', 'x', LINES[1]].join('\n'));
    const { code, summary, stderr } = await run([broken]);
    expect(code).toBe(65);
    expect(summary).toMatchObject({ published: 2, invalid: 2 });
    expect(stderr).toMatch(/line 2: bad_trade.*\n.*line 4: bad_json/);
  });

  it('stops with the line number if Redis goes away', async () => {
    const running = start([file, '--speed', '0.5']);
    await eventually(() => heard.length > 3);
    await redis.kill();
    try {
      const { code, stderr } = await running.done;
      expect(code).toBe(1);
      expect(stderr).toMatch(/stopped at line \d+: unavailable/);
      const [, line] = /stopped at line (\d+)/.exec(stderr) ?? [];
      expect(stderr).toContain(`--from-line ${line} ${file} --speed 0.5`);
    } finally {
      await redis.restart();
    }
  });

  it('reports a Redis that was never there', async () => {
    const { code, stderr } = await run([file], { REDIS_URL: 'redis://127.0.0.1:1' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Redis is not available: .*ECONNREFUSED/);
  });

  it('prints on SIGINT the command that continues, which publishes the rest and nothing twice', async () => {
    const environment = { INGEST_IDEMPOTENCY_SECONDS: '0' };
    const running = start([file, '--speed', '0.5'], environment);
    await eventually(() => heard.length > 3);
    running.child.kill('SIGINT');
    const { code, summary, stderr } = await running.done;
    const { published, nextLine } = summary as { published: number; nextLine: number };
    expect({ code, nextLine }).toEqual({ code: 130, nextLine: published + 1 });
    const [, command = ''] = /^replay: to go on at line \d+, [^:]*: (.*)\n$/.exec(stderr) ?? [];
    const shell = spawnSync('sh', ['-c', command.replace('--speed 0.5', '--rate 100000')], {
      env: { PATH: process.env.PATH, REDIS_URL: redis.url, ...COMPILE_CACHE, ...environment },
    });
    expect(String(shell.stdout)).toContain(`"published":${LINES.length - published},`);
    await eventually(() => heard.length >= LINES.length);
    expect(heard).toEqual(LINES);

    // Without the line number, and with no keys remembered, everything is published again.
    const { runId } = summary as { runId: string };
    const again = await run([file, '--rate', '100000', '--run-id', runId], environment);
    expect(again.summary).toMatchObject({ published: LINES.length, duplicates: 0 });
  });

  it('does not begin at a line that does not exist', async () => {
    const { code, stderr } = await run([file, '--from-line', '301']);
    expect(code).toBe(1);
    expect(stderr).toBe(`replay: there is no line 301: ${file} has 300\n`);
  });

  it('prints its usage on request, and if its arguments are wrong', async () => {
    const helped = await run(['--help']);
    expect(helped).toMatchObject({ code: 0, stderr: '' });
    expect(helped.stdout).toMatch(/^usage: /);
    const { code, stderr } = await run([]);
    expect(code).toBe(64);
    expect(stderr).toContain('usage: ');
    expect((await run([join(folder, 'missing')])).code).toBe(1);
    expect((await run([file], { REDIS_URL: 'nowhere' })).code).toBe(78);
  });
});

async function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  return await start(args, environment).done;
}

function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [REPLAY, ...args], {
    env: { PATH: process.env.PATH, REDIS_URL: redis.url, ...COMPILE_CACHE, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 100_000,
    killSignal: 'SIGKILL',
  });
  async function finish() {
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    const summary = stdout.startsWith('{') ? (JSON.parse(stdout) as unknown) : undefined;
    return { code: code as number | null, summary, stdout, stderr };
  }
  return { child, done: finish() };
}
