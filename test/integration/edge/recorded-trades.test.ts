import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceProcess, startProcess, WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { RECORDED_TRADES, recordedTrades } from '../../support/publications/trades.ts';
import { COMPILE_CACHE } from '../../support/services/compile-cache.ts';
import { startIngest, untilLinked } from '../../support/services/service.ts';
import { shortOrLong } from '../../support/suite/length.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const CHANNEL = 'ETH.trade';
const CLIENTS = shortOrLong(30, 100);
const LINES = recordedTrades();

let tier: Tier;
let ingest: ServiceProcess;

beforeAll(async () => {
  tier = await startTier({ edges: 2 });
  ingest = await startIngest({ REDIS_URL: tier.redis.url });
  await untilLinked(ingest);
});

afterAll(async () => {
  await ingest?.stop();
  await tier?.[Symbol.asyncDispose]();
});

async function post(path: string, body: string, contentType: string): Promise<void> {
  const headers = { 'content-type': contentType };
  const response = await fetch(`${ingest.url}${path}`, { method: 'POST', body, headers });
  expect(response.status, await response.text()).toBe(200);
}

const NDJSON = 'application/x-ndjson';

const ROUTES: Readonly<Record<string, () => Promise<void>>> = {
  'POST /v1/channels/<channel>, a line each': async () => {
    for (const line of LINES) await post(`/v1/channels/${CHANNEL}`, line, 'application/json');
  },
  'POST /v1/publish as NDJSON': () =>
    post(
      '/v1/publish',
      LINES.map((line) => `{"channel":"${CHANNEL}","data":${line}}`).join('\n'),
      NDJSON,
    ),
  'POST /v1/publish as an array': () =>
    post(
      '/v1/publish',
      `[${LINES.map((line) => `{"data":${line},"channel":"${CHANNEL}"}`).join(', ')}]`,
      'application/json',
    ),
  'POST /v1/trades as NDJSON': () => post('/v1/trades', LINES.join('\n'), NDJSON),
  'the replay command': async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tradewind-replay-'));
    try {
      const file = join(folder, 'trades.ndjson');
      await writeFile(file, `${LINES.join('\n')}\n`);
      await using replay = await startProcess({
        name: 'replay',
        command: WORKSPACE_NODE,
        args: ['services/ingest/src/replay-main.ts', file, '--rate', '2000'],
        env: { PATH: process.env.PATH, REDIS_URL: tier.redis.url, ...COMPILE_CACHE },
        cwd: WORKSPACE_ROOT,
      });
      expect(await replay.exited).toEqual({ code: 0, signal: null });
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

it.each(Object.entries(ROUTES))(
  `delivers 1,000 recorded trades whole and in order to ${CLIENTS} clients, by %s`,
  async (_, publish) => {
    expect(LINES).toHaveLength(RECORDED_TRADES);
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, (_unused, i) =>
        TestClient.connect(tier.edges[i % 2]!.wsUrl, { channels: [CHANNEL] }),
      ),
    );
    await publish();
    for (const client of clients) {
      await client.waitFor(() => client.publications.length >= LINES.length);
      await client.ping();
      expect(client.publications.map(({ data }) => data)).toEqual(LINES);
      expect(client.publications.every(({ seq }, i) => seq === i + 1)).toBe(true);
      await client.close();
    }
  },
);

it('passes numbers, escapes and emoji through digit by digit and byte by byte', async () => {
  const payloads = [
    '1.10',
    '9223372036854775808',
    '-0',
    '1E400',
    '{"price":1.10,"size":9223372036854775808}',
    '"\\u0041\\/\\ud83d\\ude00\\n"',
    '"📈 naïve — \u2028 ok"',
    '{ "spaced" :\t[ 1 , 2 ] }',
    '{"b":1,"a":2,"b":3}',
    'null',
  ];
  await using client = await TestClient.connect(tier.edges[0]!.wsUrl, { channels: [CHANNEL] });
  for (const payload of payloads) {
    await post(`/v1/channels/${CHANNEL}`, payload, 'application/json');
    await post('/v1/publish', `{"channel":"${CHANNEL}","data":${payload}}`, 'application/json');
  }
  await client.waitFor(() => client.publications.length === 2 * payloads.length);
  expect(client.publications.map(({ data }) => data)).toEqual(
    payloads.flatMap((payload) => [payload, payload]),
  );
});
