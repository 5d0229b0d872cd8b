import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@tradewind/client';
import { connect as connectBinary } from '@tradewind/client/binary';
import { type ServiceProcess, startService } from '@tradewind/dev';
import type { Page } from 'playwright-core';
import { openChromium } from '../clients/browser.ts';
import { recordedTrades } from '../publications/trades.ts';
import { startRedis } from '../redis/redis.ts';
import { startEdge, startIngest, type TestEdge, untilLinked } from '../services/service.ts';
import { eventually } from '../suite/wait.ts';

/**
 * Takes the pictures of the console: a tier of four edges with clients and trades, in the sizes and in the states below, light
 * and dark.
 *
 *   npx node test/support/documents/record-console.ts docs/console [MINUTES]
 *
 * The charts have the minutes of the past that the tier ran for before the first picture; 3 unless they are given. It needs a
 * Chromium and `cwebp` (Debian's `webp`).
 */

const SIZES = [
  { width: 1_440, height: 900 },
  { width: 1_024, height: 768 },
  { width: 390, height: 844 },
];

const SCHEMES = ['light', 'dark'] as const;

const CHANNELS = ['ETH.trade', 'BTC.trade', 'SOL.trade', 'DOGE.trade', 'PEPE.trade'];

/** Time between two trades of all channels, in ms. */
const TRADE_MS = 40;

const CLIENTS = 120;

/** What the smallest edge may hold: it is nearly full once the clients of a killed one have come. */
const SMALL_EDGE = 31;

const TOKEN = 'a-token-of-an-operator-with-enough';

const [folder, minutes = '3'] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: record-console.ts FOLDER [MINUTES]');
mkdirSync(folder, { recursive: true });

await using stack = new AsyncDisposableStack();
const browser = await openChromium();
if (browser === undefined) throw new Error('there is no chromium here');
stack.defer(() => browser.close());
const tokenFile = join(tmpdir(), `tradewind-console-token-${process.pid}`);
writeFileSync(tokenFile, TOKEN);
stack.defer(() => rmSync(tokenFile));
const redis = stack.use(await startRedis());

const consoleOf = (redisUrl: string, edges: readonly TestEdge[]): Promise<ServiceProcess> =>
  startService('console', {
    REDIS_URL: redisUrl,
    CONSOLE_TOKEN_FILE: tokenFile,
    ...(edges.length === 0 ? {} : { CONSOLE_EDGE_URLS: edges.map(({ wsUrl }) => wsUrl).join(',') }),
  });

async function open(url: string): Promise<Page> {
  const page = await browser!.newPage({ viewport: SIZES[0]! });
  await page.goto(url);
  await page.getByLabel('Token').fill(TOKEN);
  await page.getByRole('button', { name: 'Log in' }).click();
  return page;
}

/** Takes a state in all sizes and schemes; before each, the page is brought into it. */
async function picture(
  page: Page,
  state: string,
  show: () => Promise<void> = async () => undefined,
): Promise<void> {
  for (const size of SIZES) {
    await page.setViewportSize(size);
    await show();
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      // Charts have the colours of the scheme from the next second on.
      await sleep(1_500);
      const name = join(folder!, `${state}-${size.width}-${colorScheme}`);
      await page.screenshot({ path: `${name}.png` });
      execFileSync('cwebp', [
        '-quiet',
        '-near_lossless',
        '60',
        `${name}.png`,
        '-o',
        `${name}.webp`,
      ]);
      if (process.env.KEEP_PNG === undefined) rmSync(`${name}.png`);
    }
  }
}

const until = async (page: Page, word: string): Promise<void> => {
  await page.getByRole('status').filter({ hasText: word }).waitFor({ timeout: 60_000 });
};

{
  await using empty = await consoleOf(redis.url, []);
  const page = await open(empty.url);
  await until(page, 'Empty');
  await picture(page, 'empty');
  await page.close();
}

const edges: TestEdge[] = [];
for (let i = 1; i <= 4; i += 1) {
  edges.push(stack.use(await startEdge({ REDIS_URL: redis.url, EDGE_NODE_ID: `edge-${i}` })));
}
const ingest = stack.use(await startIngest({ REDIS_URL: redis.url }));
await Promise.all([...edges, ingest].map(untilLinked));
const service = stack.use(await consoleOf(redis.url, edges));

let isOver = false;
const trades = recordedTrades();
const publishing = (async () => {
  for (let n = 0; !isOver; n += 1) {
    const channel = CHANNELS[n % (n % 3 === 0 ? 1 : CHANNELS.length)];
    const body = trades[n % trades.length] as string;
    await fetch(`${ingest.url}/v1/channels/${channel}`, { method: 'POST', body }).catch(() => {});
    await sleep(TRADE_MS);
  }
})();
stack.defer(async () => {
  isOver = true;
  await publishing;
});

for (let i = 0; i < CLIENTS; i += 1) {
  let attempt = i;
  const connectIn = i % 3 === 0 ? connectBinary : connect;
  const client = connectIn(() => edges[attempt++ % edges.length]!.wsUrl);
  stack.defer(() => client.close());
  const names = CHANNELS.slice(0, 1 + (i % CHANNELS.length));
  for (const name of names) {
    client.channel(name, i % 10 === 9 ? { latest: { everyMs: 250 } } : {}).subscribe(() => {});
  }
}

const page = await open(service.url);
await sleep(Number(minutes) * 60_000);
await until(page, 'Healthy');
await picture(page, 'healthy');
await picture(page, 'channel', async () => {
  await page.keyboard.press('Escape');
  await page.keyboard.press('4');
  await page.getByRole('button', { name: 'ETH.trade' }).click();
  await page.locator('.tape li').nth(8).waitFor();
  // Edges count a channel's rate from when they are asked.
  await sleep(3_000);
});
await page.keyboard.press('Escape');
await page.evaluate('document.activeElement.blur(); scrollTo(0, 0);');

// An edge that is nearly full: a warning.
const small = stack.use(
  await startEdge({
    REDIS_URL: redis.url,
    EDGE_NODE_ID: 'edge-5',
    WS_MAX_CONNECTIONS: String(SMALL_EDGE),
  }),
);
await untilLinked(small);
for (let i = 0; i < SMALL_EDGE - 1; i += 1) {
  const client = connect(small.wsUrl);
  stack.defer(() => client.close());
  client.channel('BTC.trade').subscribe(() => {});
}
await until(page, 'Degraded');
await sleep(20_000);
await picture(page, 'degraded');

const killed = edges[2]!;
killed.signal('SIGKILL');
await until(page, 'Failing');
await eventually(() => page.getByText('has been silent for 1').first().isVisible());
await picture(page, 'node-lost');
