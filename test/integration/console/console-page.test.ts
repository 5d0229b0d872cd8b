import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@tradewind/client';
import { type ServiceProcess, startService } from '@tradewind/dev';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openChromium } from '../../support/clients/browser.ts';
import { TestClient } from '../../support/clients/client.ts';
import { startEdge, startIngest, untilLinked } from '../../support/services/service.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const TOKEN = 'a-token-of-an-operator-with-enough';
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'tradewind-console-'));
const tokenFile = join(folder, 'token');
writeFileSync(tokenFile, TOKEN);

/** A browser on a machine with other work takes its time. */
const DEADLINE_MS = 20_000;
const TEST_DEADLINE_MS = 90_000;

/** A killed edge is promised to be shown within 3 s. */
const SHOWN_WITHIN_MS = 3_000 + BUSY_MACHINE_MS;

const VIEWPORTS = [
  { width: 1_440, height: 900 },
  { width: 390, height: 844 },
];

/** What a console looks at. */
interface Fleet extends AsyncDisposable {
  readonly tier: Tier;
  readonly ingest: ServiceProcess;
}

async function startFleet(edges: number): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const tier = stack.use(await startTier({ edges }));
  const ingest = stack.use(await startIngest({ REDIS_URL: tier.redis.url }));
  await untilLinked(ingest);
  const owned = stack.move();
  return { tier, ingest, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

let browser: Browser | undefined;
/** For the tests that leave it as it was: most of the time of a short test would be its start. */
let shared: Fleet | undefined;

beforeAll(async () => {
  browser = await openChromium();
  if (browser !== undefined) shared = await startFleet(2);
}, TEST_DEADLINE_MS);

afterAll(async () => {
  await browser?.close();
  await shared?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

interface OpenPage extends AsyncDisposable {
  readonly tier: Tier;
  readonly ingest: ServiceProcess;
  readonly page: Page;
  /** Ends the console, and starts it again at its address. */
  restart(): Promise<void>;
  /** What the page complained of. */
  readonly faults: readonly string[];
}

/**
 * Opens a console of its own; logged in, if there is a login, after `atLogin`.
 *
 * @param edges the number of edges of a fleet of its own, which a test may harm. Without it the console looks at the two that
 *     the tests share.
 */
async function open(
  skip: (why: string) => void,
  {
    hasLogin = true,
    edges,
    atLogin,
  }: {
    readonly hasLogin?: boolean;
    readonly edges?: number;
    readonly atLogin?: (page: Page) => Promise<void>;
  } = {},
): Promise<OpenPage> {
  if (browser === undefined) skip('there is no chromium here');
  await using stack = new AsyncDisposableStack();
  const { tier, ingest } = edges === undefined ? shared! : stack.use(await startFleet(edges));
  const env = {
    REDIS_URL: tier.redis.url,
    CONSOLE_EDGE_URLS: tier.edges.map(({ wsUrl }) => wsUrl).join(','),
    ...(hasLogin ? { CONSOLE_TOKEN_FILE: tokenFile } : {}),
  };
  let service = await startService('console', env);
  stack.defer(async () => {
    await service.stop();
  });
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
  if (hasLogin) {
    await page.getByLabel('Token').waitFor();
    await atLogin?.(page);
    await page.getByLabel('Token').fill(TOKEN);
    await page.getByRole('button', { name: 'Log in' }).click();
  }
  const word = edges === 0 ? 'Empty' : 'Healthy';
  await page.getByRole('status').filter({ hasText: word }).waitFor();
  const owned = stack.move();
  const restart = async (): Promise<void> => {
    await service.stop();
    service = await startService('console', { ...env, PORT: String(service.port) });
  };
  return { tier, ingest, page, restart, faults, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The rules of axe that look at colours. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block'];

/** Fails for what axe finds: in the light, and of colours in the dark, too. They do not depend on the width. */
async function expectNoBarrier(page: Page, state: string): Promise<void> {
  await page.evaluate(AXE);
  const isNarrow = (page.viewportSize()?.width ?? 0) < 1_000;
  for (const colorScheme of isNarrow ? (['light'] as const) : (['light', 'dark'] as const)) {
    await page.emulateMedia({ colorScheme });
    const options =
      colorScheme === 'light'
        ? { rules: { 'target-size': { enabled: true } } }
        : { runOnly: { type: 'rule', values: COLOUR_RULES } };
    const run = `axe.run(${JSON.stringify(options)})`;
    const { violations } = (await page.evaluate(run)) as AxeResults;
    const found = violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
    expect(found, `${state}, ${colorScheme}`).toEqual([]);
  }
}

/** The row of a node. */
function row(page: Page, node: string) {
  return page.getByRole('row').filter({ has: page.getByRole('button', { name: node }) });
}

/** Publishes trades until it is disposed of. */
function publishTrades(ingest: ServiceProcess, channel: string, everyMs: number): AsyncDisposable {
  let isOver = false;
  const done = (async () => {
    for (let n = 1; !isOver; n += 1) {
      // Longer than a line of the tape, as real trades are.
      const trade = 'a-trade-'.repeat(20);
      const price = String(64_000 + Math.sin(n / 9) * 40);
      const body = JSON.stringify({ trade, price, n });
      await fetch(`${ingest.url}/v1/channels/${channel}`, { method: 'POST', body });
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      isOver = true;
      await done;
    },
  };
}

/** Offsets on the tape, the oldest first, with a 0 for each line that says that something is missing. */
async function offsetsOnTape(page: Page): Promise<readonly number[]> {
  const lines = (await page.evaluate(
    "[...document.querySelectorAll('.tape li')].map(({ dataset }) => Number(dataset.offset ?? 0))",
  )) as number[];
  return lines.toReversed();
}

describe('the page of the console', { timeout: TEST_DEADLINE_MS }, () => {
  it('shows the tape of a channel, on which no offset is missing or twice through a roll', async ({
    skip,
  }) => {
    await using opened = await open(skip, { edges: 2 });
    const { page, tier, ingest, faults } = opened;
    const [first, second] = tier.edges as [(typeof tier.edges)[0], (typeof tier.edges)[0]];
    let attempt = 0;
    await using client = connect(() => [first, second][attempt++ % 2]!.wsUrl);
    client.channel('BTC.trade').subscribe(() => {});
    await client.ready();
    await using trades = publishTrades(ingest, 'BTC.trade', 80);
    await page.keyboard.press('4');
    await page.getByRole('button', { name: 'BTC.trade' }).click();
    const drawer = page.getByRole('complementary');
    await drawer.getByText('over edge-1', { exact: true }).waitFor();
    await drawer.getByRole('row').filter({ hasText: 'edge-1' }).waitFor();
    await drawer.getByText('npx tradewind sub BTC.trade').waitFor();

    first.signal('SIGTERM');
    expect((await first.exited).code).toBe(0);
    await drawer.getByText('over edge-2', { exact: true }).waitFor();
    await eventually(() => client.state.name === 'online');
    await using again = await startEdge({
      REDIS_URL: tier.redis.url,
      ...{ EDGE_NODE_ID: 'edge-1', PORT: String(first.port), DRAIN_SECONDS: '3' },
      DRAIN_ACCEPT_SECONDS: '0',
    });
    await untilLinked(again);
    second.signal('SIGTERM');
    await drawer.getByText('over edge-1', { exact: true }).waitFor();
    const before = Math.max(...(await offsetsOnTape(page)));
    let offsets: readonly number[] = [];
    // Trades come as fast as the machine makes them.
    await eventually(async () => {
      offsets = await offsetsOnTape(page);
      return Math.max(...offsets) > before + 10 && offsets.length > 50;
    });
    expect(offsets).toEqual(Array.from(offsets, (_, i) => (offsets[0] ?? 0) + i));
    expect(faults).toEqual([]);
    void trades;
  });

  it('continues its tape after the console was started again', async ({ skip }) => {
    await using opened = await open(skip, { hasLogin: false });
    const { page, tier, ingest } = opened;
    await using client = await TestClient.connect(tier.edges[0]!.wsUrl, {
      channels: ['BTC.trade'],
    });
    await using trades = publishTrades(ingest, 'BTC.trade', 80);
    await page.keyboard.press('4');
    await page.getByRole('button', { name: 'BTC.trade' }).click();
    await eventually(async () => (await offsetsOnTape(page)).length > 20);
    const before = Math.max(...(await offsetsOnTape(page)));
    await opened.restart();
    await eventually(async () => Math.max(...(await offsetsOnTape(page))) > before + 20);
    const offsets = await offsetsOnTape(page);
    expect(offsets).toEqual(Array.from(offsets, (_, i) => (offsets[0] ?? 0) + i));
    expect(client.welcome.node).toBe('edge-1');
    void trades;
  });

  it('finds a stalled client by its session, and then why it ended', async ({ skip }) => {
    await using opened = await open(skip, { edges: 2 });
    const { page, tier } = opened;
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    await using client = await TestClient.connect(edge.wsUrl, { channels: ['BTC.book'] });
    const { session } = client.welcome;
    await page.getByLabel('Search nodes, channels and clients').fill(session);
    const found = page.getByRole('row').filter({ hasText: session.slice(0, 8) });
    await found.filter({ hasText: 'keeps up' }).waitFor();
    client.pause();
    const payload = 'x'.repeat(16_000);
    const flood = async (): Promise<void> => {
      for (let i = 0; i < 100; i += 1) await tier.backend.publish('BTC.book', payload);
    };
    await eventually(async () => {
      await flood();
      return await found.filter({ hasText: /reads nothing for|is behind|wait for it/ }).isVisible();
    });
    await eventually(async () => {
      await flood();
      return await found.filter({ hasText: 'ended: slow' }).isVisible();
    });
    await found.getByRole('button').click();
    const drawer = page.getByRole('complementary');
    await drawer.getByText('It read more slowly than its channels publish.').waitFor();
    await drawer.getByText('127.0.0.0/24').waitFor();
  });

  it('drains an edge only after its name was typed, and its clients move', async ({ skip }) => {
    await using opened = await open(skip, { edges: 2 });
    const { page, tier } = opened;
    const [first, second] = tier.edges as [(typeof tier.edges)[0], (typeof tier.edges)[0]];
    let attempt = 0;
    await using client = connect(() => [first, second][attempt++ % 2]!.wsUrl);
    client.channel('BTC.trade').subscribe(() => {});
    expect((await client.ready()).node).toBe('edge-1');
    await page.getByRole('button', { name: 'edge-1' }).click();
    await page.getByRole('button', { name: 'Drain…' }).click();
    const confirm = page.getByRole('button', { name: 'Drain it' });
    await page.getByLabel(/Type/).fill('edge-2');
    expect(await confirm.isDisabled()).toBe(true);
    await page.getByLabel(/Type/).fill('edge-1');
    await confirm.click();
    await eventually(
      () => client.state.name === 'online' && client.state.session.node === 'edge-2',
    );
    await page.keyboard.press('Escape');
    await row(page, 'edge-2').getByRole('cell', { name: '1', exact: true }).waitFor();
    expect((await first.exited).code).toBe(0);
  });

  it('says that Redis stands still, and that it is back', async ({ skip }) => {
    await using opened = await open(skip);
    const { page, tier } = opened;
    await tier.redis.freeze();
    await page.getByRole('status').filter({ hasText: 'Blind' }).waitFor();
    await expectNoBarrier(page, 'Redis stands still');
    // Of its nodes it knows nothing then, and says nothing new.
    expect(await row(page, 'edge-1').textContent()).toContain('ready');
    await tier.redis.thaw();
    await page.getByRole('status').filter({ hasText: 'Healthy' }).waitFor();
  });

  it('shows everything and does nothing without a login', async ({ skip }) => {
    await using opened = await open(skip, { hasLogin: false });
    const { page } = opened;
    await page.getByRole('button', { name: 'edge-1' }).click();
    await page.getByText('Actions need a login').waitFor();
    expect(await page.getByRole('button', { name: 'Drain…' }).count()).toBe(0);
    const status = `fetch('/v1/nodes/edge-1/drain', {
      method: 'POST', headers: { 'x-tradewind-console': '1' },
    }).then(({ status }) => status)`;
    expect(await page.evaluate(status)).toBe(401);
  });

  it('says what is missing where no edge has told its state', async ({ skip }) => {
    await using opened = await open(skip, { edges: 0 });
    await opened.page.getByText('There is no edge to judge.').waitFor();
    await expectNoBarrier(opened.page, 'empty');
  });

  it('listens once, however often it is hidden and shown while the console takes its time', async ({
    skip,
  }) => {
    await using opened = await open(skip, { hasLogin: false });
    const { page } = opened;
    const slow = Promise.withResolvers<void>();
    let asked = 0;
    let sockets = 0;
    page.on('websocket', () => {
      sockets += 1;
    });
    await page.route('**/v1/session', async (route) => {
      asked += 1;
      await slow.promise;
      await route.continue();
    });
    const setHidden = (isHidden: boolean) =>
      page.evaluate(`
        Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      `);
    for (const isHidden of [true, false, true, false, true, false]) await setHidden(isHidden);
    await eventually(() => asked > 0);
    slow.resolve();
    await eventually(() => sockets > 0);
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: /Continue \(([3-9]|\d\d)/ }).waitFor();
    expect(sockets).toBe(1);
  });

  it('moves nothing for somebody who wants less motion', async ({ skip }) => {
    await using opened = await open(skip);
    const { page } = opened;
    const animation = "getComputedStyle(document.querySelector('.drawer')).animationName";
    await page.getByRole('button', { name: 'edge-1' }).click();
    expect(await page.evaluate(animation)).toBe('slide');
    await page.emulateMedia({ reducedMotion: 'reduce' });
    expect(await page.evaluate(animation)).toBe('none');
  });

  it('shows a killed edge, which stays with its last figures, and the verdict', async ({
    skip,
  }) => {
    await using opened = await open(skip, { edges: 2 });
    const { page, tier, faults } = opened;
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    await using client = await TestClient.connect(edge.wsUrl);
    await client.subscribe(['BTC.trade']);
    await row(page, 'edge-1').getByRole('cell', { name: '1', exact: true }).waitFor();
    edge.signal('SIGKILL');
    const killedAt = performance.now();
    await row(page, 'edge-1').filter({ hasText: 'silent' }).waitFor();
    const shownAfterMs = performance.now() - killedAt;
    console.log(`a killed edge was shown after ${Math.round(shownAfterMs)} ms`);
    // At most 2.4 s and a frame without other work on the machine.
    expect(shownAfterMs).toBeLessThan(SHOWN_WITHIN_MS);
    await row(page, 'edge-1').getByRole('cell', { name: '1', exact: true }).waitFor();
    await page.getByRole('status').filter({ hasText: 'Failing' }).waitFor();
    const problem = page.getByRole('listitem').filter({ hasText: /it held 1 client(?!s )/ });
    await problem.waitFor();
    await expectNoBarrier(page, 'a node is lost');
    const [runbook] = await Promise.all([
      page.context().waitForEvent('page'),
      problem.getByRole('link', { name: 'TargetDown' }).click(),
    ]);
    await runbook.locator('h2#targetdown:target').waitFor();
    await expectNoBarrier(runbook, 'the runbook');
    await runbook.close();
    await page.getByText('last figures of 1 silent edge').waitFor();
    const since = await problem.locator('time').getAttribute('datetime');
    await page.reload();
    await problem.waitFor();
    expect(await problem.locator('time').getAttribute('datetime')).toBe(since);
    await page.getByRole('status').filter({ hasText: 'Failing' }).waitFor();
    // The sentence counts seconds, and a screen reader must not read each of them out.
    const told = page.getByRole('status').filter({ hasText: 'Failing' });
    const [spoken, seen] = [await told.textContent(), await page.locator('.verdict').textContent()];
    await eventually(async () => (await page.locator('.verdict').textContent()) !== seen);
    expect(await told.textContent()).toBe(spoken);
    expect(faults).toEqual([]);
  });

  it('drains an edge, and opens a channel, by keys alone', async ({ skip }) => {
    await using opened = await open(skip, { edges: 2 });
    const { page, tier } = opened;
    const [edge, other] = tier.edges as [(typeof tier.edges)[0], (typeof tier.edges)[0]];
    await using client = await TestClient.connect(other.wsUrl, { channels: ['BTC.trade'] });
    await page.keyboard.press('/');
    await page.keyboard.type('BTC.tr');
    await page.getByRole('button', { name: 'BTC.trade' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'BTC.trade', exact: true }).waitFor();
    // Space scrolls there, as it does on any page.
    await page.getByRole('region', { name: 'Positions' }).press('Space');
    await page.getByRole('button', { name: 'Freeze page' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('/');
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.type('edge-1');
    await row(page, 'edge-2').waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Drain…' }).waitFor();
    const tabTo = async (wanted: string): Promise<void> => {
      await eventually(async () => {
        await page.keyboard.press('Tab');
        const { textContent, tagName } = (await page.evaluate(
          '({ textContent: document.activeElement.textContent, tagName: document.activeElement.tagName })',
        )) as Readonly<Record<string, string>>;
        return textContent === wanted || tagName === wanted;
      });
    };
    await tabTo('Drain…');
    await page.keyboard.press('Enter');
    await page.getByLabel(/Type/).waitFor();
    await tabTo('INPUT');
    await page.keyboard.type('edge-1');
    await page.keyboard.press('Enter');
    expect((await edge.exited).code).toBe(0);
    expect(client.welcome.node).toBe('edge-2');
  });

  it('is worked by keys alone, keeps drawing off while frozen, and shows its past after a reload', async ({
    skip,
  }) => {
    await using opened = await open(skip, { edges: 2 });
    const { page, tier } = opened;
    // With such a key it is the browser that must act.
    for (const key of ['Control+Space', 'Control+j', 'Alt+/']) await page.keyboard.press(key);
    expect(await page.evaluate('document.activeElement.tagName')).toBe('BODY');
    expect(await page.getByRole('button', { name: 'Freeze page' }).count()).toBe(1);
    await page.keyboard.press('/');
    await page.keyboard.type('edge-2');
    await row(page, 'edge-1').waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'edge-2', exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('complementary').waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: /Continue \([1-9]/ }).waitFor();
    tier.edges[1]?.signal('SIGKILL');
    await page.getByRole('button', { name: /Continue \(([5-9]|\d\d)/ }).waitFor();
    expect(await row(page, 'edge-2').textContent()).toContain('ready');
    await page.reload();
    await row(page, 'edge-2').filter({ hasText: 'silent' }).waitFor();
    await page.getByRole('button', { name: 'as table' }).first().click();
    await page.getByRole('columnheader', { name: 'Deliveries a second' }).waitFor();
  });

  it('does nothing at keys of one character once they are turned off, also after a reload', async ({
    skip,
  }) => {
    await using opened = await open(skip, { hasLogin: false });
    const { page } = opened;
    await page.keyboard.press('?');
    const dialog = page.locator('dialog');
    await dialog.waitFor();
    await expectNoBarrier(page, 'help');
    await dialog.getByRole('switch', { name: 'These keys act' }).press('Space');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    for (const isReloaded of [false, true]) {
      if (isReloaded) await page.reload();
      await page.getByRole('status').filter({ hasText: 'Healthy' }).waitFor();
      for (const key of ['/', 'j', '1', 'Space', '?']) await page.keyboard.press(key);
      expect(await page.evaluate('document.activeElement.tagName')).toBe('BODY');
      await page.getByRole('button', { name: 'Freeze page' }).waitFor();
      expect(await dialog.count()).toBe(0);
    }
    // What is on the page is reached without them, and what lies over it keeps the focus and gives it back.
    const keys = page.getByRole('button', { name: 'Keys' });
    await keys.press('Enter');
    await dialog.getByRole('switch').press('Space');
    await dialog.getByRole('button', { name: 'Close' }).press('Enter');
    await dialog.waitFor({ state: 'detached' });
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Keys');
    await page.getByRole('button', { name: 'edge-1' }).press('Enter');
    const drawer = page.getByRole('complementary');
    await drawer.waitFor();
    const within = "document.querySelector('aside').contains(document.activeElement)";
    for (const key of ['Tab', 'Tab', 'Tab', 'Shift+Tab', 'Shift+Tab', 'Shift+Tab']) {
      await page.keyboard.press(key);
      expect(await page.evaluate(within)).toBe(true);
    }
    await page.keyboard.press('Escape');
    // A stretch of the charts is chosen without dragging.
    await page.getByRole('button', { name: 'Zoom in' }).press('Enter');
    await page.getByRole('button', { name: '← Earlier' }).press('Enter');
    await page.getByRole('button', { name: 'Show all of it' }).press('Enter');
  });

  it.for(VIEWPORTS)('has no barrier that axe finds at $width', async (viewport, { skip }) => {
    const atLogin = async (page: Page): Promise<void> => {
      await page.setViewportSize(viewport);
      await expectNoBarrier(page, 'login');
    };
    await using opened = await open(skip, { atLogin });
    const { page, tier, ingest } = opened;
    await using client = await TestClient.connect(tier.edges[0]!.wsUrl, {
      channels: ['BTC.trade'],
    });
    await using trades = publishTrades(ingest, 'BTC.trade', 200);
    const field = page.getByLabel('Search nodes, channels and clients');
    await field.fill('BTC');
    await page.getByRole('button', { name: 'BTC.trade' }).waitFor();
    await field.fill('');
    await expectNoBarrier(page, 'healthy');
    for (const name of ['edge-1', 'BTC.trade', client.welcome.session.slice(0, 8)]) {
      await field.fill(name);
      await page.getByRole('button', { name }).click();
      await page.getByRole('complementary').waitFor();
      if (name === 'BTC.trade') {
        await page.locator('.tape li code').first().waitFor();
        const cut =
          "[...document.querySelectorAll('.tape code')].filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).length";
        for (const each of [{ width: 1_024, height: 768 }, viewport]) {
          await page.setViewportSize(each);
          expect(await page.evaluate(cut)).toBe(0);
        }
      }
      if (name === 'edge-1') await page.getByRole('button', { name: 'Drain…' }).click();
      await expectNoBarrier(page, `the drawer of ${name}`);
      await page.keyboard.press('Escape');
    }
    await page.getByRole('button', { name: 'Freeze page' }).click();
    await expectNoBarrier(page, 'frozen');
    void trades;
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(overflow)).toBe(0);
  });
});
