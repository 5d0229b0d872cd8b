import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openChromium } from '../../support/clients/browser.ts';
import { type NpmStart, npmStart } from '../../support/services/npm-start.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A browser on a machine with other work takes its time, and a killed edge is away for 4 s. */
const DEADLINE_MS = 40_000;
const TEST_DEADLINE_MS = 120_000;

const VIEWPORTS = [
  { width: 1_440, height: 900 },
  { width: 390, height: 844 },
];

let browser: Browser | undefined;
let start: NpmStart;

beforeAll(async () => {
  [browser, start] = await Promise.all([openChromium(), npmStart(undefined)]);
}, TEST_DEADLINE_MS);

afterAll(async () => {
  await browser?.close();
  await start?.stop();
});

interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** What the page complained of, and what it asked others. */
  readonly faults: readonly string[];
}

/** Opens the demo and waits until it is live. */
async function open(skip: (why: string) => void): Promise<OpenPage> {
  if (browser === undefined) skip('there is no chromium here');
  const context = await browser!.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE_MS);
  const faults: string[] = [];
  page.on('pageerror', ({ message }) => faults.push(message));
  page.on('request', (asked) => {
    const url = asked.url();
    if (!url.startsWith(start.demoUrl) && !url.startsWith('data:')) faults.push(`asked ${url}`);
  });
  page.on('websocket', (socket) => {
    if (!socket.url().startsWith('ws://127.0.0.1:')) faults.push(`connected to ${socket.url()}`);
  });
  await page.goto(start.demoUrl);
  await page.getByRole('status').filter({ hasText: 'Live on' }).waitFor();
  return { page, faults, [Symbol.asyncDispose]: () => context.close() };
}

/** The node that the page is on. */
async function nodeOf(page: Page): Promise<string> {
  const text = await page.getByRole('status').textContent();
  return /edge-[12]/.exec(text ?? '')?.[0] ?? '';
}

/** Sends a request with headers that `fetch` does not allow. Resolves with the status. */
async function send(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  return await new Promise((resolve, reject) => {
    const call = request(`${start.demoUrl}${path}`, { method, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    call.on('error', reject);
    call.end();
  });
}

describe('the page of the demo', { timeout: TEST_DEADLINE_MS }, () => {
  it('moves to the other node when its node is killed, and misses nothing', async ({ skip }) => {
    await using opened = await open(skip);
    const { page, faults } = opened;
    const node = await nodeOf(page);
    const other = node === 'edge-1' ? 'edge-2' : 'edge-1';
    const kill = page.getByRole('button', { name: `Kill ${node}` });
    await page.getByRole('cell', { name: /ms$/ }).first().waitFor();
    await kill.click();
    await page.getByText(`The connection to ${node} was lost.`).waitFor();
    await page
      .getByRole('status')
      .filter({ hasText: `Live on ${other}` })
      .waitFor();
    await page
      .getByText(/^\d+ trades of the meantime came from history, 0 are missing\.$/)
      .waitFor();
    await page.getByText('each once and in order').waitFor();
    expect(await page.locator('.tile').filter({ hasText: 'Missing' }).textContent()).toBe(
      'Missing0',
    );
    // It starts again, so that it can be killed again.
    await expect.poll(() => kill.isEnabled(), { timeout: DEADLINE_MS }).toBe(true);
    expect(faults).toEqual([]);
  });

  it('leaves a node that is drained without losing its connection', async ({ skip }) => {
    await using opened = await open(skip);
    const { page } = opened;
    const node = await nodeOf(page);
    const drain = page.getByRole('button', { name: `Drain ${node}` });
    await expect.poll(() => drain.isEnabled(), { timeout: DEADLINE_MS }).toBe(true);
    await drain.click();
    await page.getByText('Nothing was missed: the old connection stayed').waitFor();
    await page
      .getByRole('status')
      .filter({ hasText: `Live on ${node === 'edge-1' ? 'edge-2' : 'edge-1'}` })
      .waitFor();
    expect(await page.getByText('was lost').count()).toBe(0);
    await expect.poll(() => drain.isEnabled(), { timeout: DEADLINE_MS }).toBe(true);
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
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(overflow)).toBe(0);
  });

  it('answers no page but its own', async () => {
    const origin = 'https://evil.example';
    expect(await send('GET', '/v1/tier', {}), 'control').toBe(200);
    expect(await send('GET', '/v1/tier', { host: 'evil.example' })).toBe(421);
    expect(await send('POST', '/v1/nodes/edge-1/kill', { origin })).toBe(403);
    expect(await send('POST', '/v1/nodes/edge-1/kill', { origin: 'http://127.0.0.1:1' })).toBe(403);
    expect(await send('POST', '/v1/nodes/edge-3/kill', {})).toBe(409);
    expect(await send('POST', '/v1/nodes/edge-1/explode', {})).toBe(404);
  });

  it('is where the address of an edge leads people', async () => {
    const page = await (await fetch(start.edgeUrl)).text();
    expect(page).toContain(`<a href="${start.demoUrl}">`);
  });
});
