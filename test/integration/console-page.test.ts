import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startService } from '@tradewind/dev';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openChromium } from '../support/browser.ts';
import { TestClient } from '../support/client.ts';
import { startTier, type Tier } from '../support/tier.ts';

const TOKEN = 'a-token-of-an-operator-with-enough';
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'tradewind-console-'));
const tokenFile = join(folder, 'token');
writeFileSync(tokenFile, TOKEN);

/** A browser on a machine with other work takes its time. */
const DEADLINE_MS = 20_000;
const TEST_DEADLINE_MS = 90_000;

const VIEWPORTS = [
  { width: 1_440, height: 900 },
  { width: 390, height: 844 },
];

let browser: Browser | undefined;

beforeAll(async () => {
  browser = await openChromium();
}, TEST_DEADLINE_MS);

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

interface OpenPage extends AsyncDisposable {
  readonly tier: Tier;
  readonly page: Page;
  /** What the page complained of. */
  readonly faults: readonly string[];
}

/** Opens the console of two edges, logged in. */
async function open(skip: (why: string) => void): Promise<OpenPage> {
  if (browser === undefined) skip('there is no chromium here');
  await using stack = new AsyncDisposableStack();
  const tier = stack.use(await startTier({ edges: 2 }));
  const env = { REDIS_URL: tier.redis.url, CONSOLE_TOKEN_FILE: tokenFile };
  const service = stack.use(await startService('console', env));
  const context = await browser!.newContext();
  stack.defer(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE_MS);
  const faults: string[] = [];
  page.on('pageerror', ({ message }) => faults.push(message));
  page.on('request', (request) => {
    if (!request.url().startsWith(service.url) && !request.url().startsWith('data:')) {
      faults.push(`asked ${request.url()}`);
    }
  });
  await page.goto(service.url);
  await page.getByLabel('Token').fill(TOKEN);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('status').filter({ hasText: 'Healthy' }).waitFor();
  const owned = stack.move();
  return { tier, page, faults, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The row of a node. */
function row(page: Page, node: string) {
  return page.getByRole('row').filter({ has: page.getByRole('button', { name: node }) });
}

describe('the page of the console', { timeout: TEST_DEADLINE_MS }, () => {
  it('shows a killed edge, which stays with its last figures, and the verdict', async ({
    skip,
  }) => {
    await using opened = await open(skip);
    const { page, tier, faults } = opened;
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    await using client = await TestClient.connect(edge.wsUrl);
    await client.subscribe(['BTC.trade']);
    await row(page, 'edge-1').getByRole('cell', { name: '1', exact: true }).waitFor();
    edge.signal('SIGKILL');
    await row(page, 'edge-1').filter({ hasText: 'silent' }).waitFor();
    await row(page, 'edge-1').getByRole('cell', { name: '1', exact: true }).waitFor();
    await page.getByRole('status').filter({ hasText: 'Failing' }).waitFor();
    await page.getByRole('listitem').filter({ hasText: 'it held 1 clients' }).waitFor();
    expect(faults).toEqual([]);
  });

  it('drains an edge only after its name was typed', async ({ skip }) => {
    await using opened = await open(skip);
    const { page, tier } = opened;
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    await page.getByRole('button', { name: 'edge-1' }).click();
    await page.getByRole('button', { name: 'Drain…' }).click();
    const confirm = page.getByRole('button', { name: 'Drain it' });
    await page.getByLabel(/Type/).fill('edge-2');
    expect(await confirm.isDisabled()).toBe(true);
    await page.getByLabel(/Type/).fill('edge-1');
    await confirm.click();
    expect((await edge.exited).code).toBe(0);
  });

  it('is worked by keys alone, keeps drawing off while frozen, and shows its past after a reload', async ({
    skip,
  }) => {
    await using opened = await open(skip);
    const { page, tier } = opened;
    await page.keyboard.press('/');
    await page.keyboard.type('edge-2');
    await row(page, 'edge-1').waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'edge-2' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('complementary').waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: /Continue \([1-9]/ }).waitFor();
    tier.edges[1]?.signal('SIGKILL');
    await page.getByRole('button', { name: /Continue \([5-9]/ }).waitFor();
    expect(await row(page, 'edge-2').textContent()).toContain('ready');
    await page.reload();
    await row(page, 'edge-2').filter({ hasText: 'silent' }).waitFor();
    await page.getByRole('button', { name: 'as table' }).first().click();
    await page.getByRole('columnheader', { name: 'Deliveries a second' }).waitFor();
  });

  it.for(VIEWPORTS)('has no barrier that axe finds at $width', async (viewport, { skip }) => {
    await using opened = await open(skip);
    const { page } = opened;
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(AXE);
      const results = (await page.evaluate('axe.run()')) as AxeResults;
      expect(
        results.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
      ).toEqual([]);
    }
    await page.getByRole('button', { name: 'edge-1' }).click();
    const results = (await page.evaluate('axe.run()')) as AxeResults;
    expect(results.violations.map(({ id }) => id)).toEqual([]);
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(overflow)).toBe(0);
  });
});
