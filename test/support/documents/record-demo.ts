import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { openChromium } from '../clients/browser.ts';
import { npmStart } from '../services/npm-start.ts';

/**
 * Records the demo's page while its node is killed, as a moving picture:
 *
 *   npx node test/support/documents/record-demo.ts docs/demo/kill-a-node.webp
 *
 * It needs a Chromium and `img2webp` (Debian's `webp`).
 */

const SIZE = { width: 1_100, height: 745 };

/** How long before the kill, and after it, in ms. */
const BEFORE_MS = 2_500;
const AFTER_MS = 7_500;

/** The least time between two frames, in ms. */
const FRAME_MS = 125;

/** How long the tape fills before the recording, in ms. */
const WARM_UP_MS = 14_000;

/** Of 100; text stays legible. */
const QUALITY = '55';

interface Frame {
  readonly file: string;
  readonly at: number;
}

async function film(page: Page, folder: string, forMs: number, frames: Frame[]): Promise<void> {
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    const at = performance.now();
    const file = join(folder, `${frames.length}.png`);
    await page.screenshot({ path: file });
    frames.push({ file, at });
    await sleep(Math.max(0, FRAME_MS - (performance.now() - at)));
  }
}

const [out] = process.argv.slice(2);
if (out === undefined) throw new Error('usage: record-demo.ts FILE.webp');
const folder = mkdtempSync(join(tmpdir(), 'tradewind-film-'));
await using start = await npmStart(undefined);
const browser = await openChromium();
if (browser === undefined) throw new Error('there is no chromium here');
const page = await browser.newPage({ viewport: SIZE, colorScheme: 'light' });
await page.goto(start.demoUrl);
await page.getByRole('status').filter({ hasText: 'Live on' }).waitFor();
await sleep(WARM_UP_MS);
const frames: Frame[] = [];
const kill = page.locator('.node.here').getByRole('button', { name: /^Kill/ });
await kill.hover();
await film(page, folder, BEFORE_MS, frames);
await kill.click();
await film(page, folder, AFTER_MS, frames);
await browser.close();
const args = frames.flatMap(({ file, at }, index) => {
  const next = frames[index + 1]?.at ?? at + 1_500;
  return ['-d', String(Math.round(next - at)), '-lossy', '-q', QUALITY, '-m', '6', file];
});
execFileSync('img2webp', ['-loop', '0', '-min_size', ...args, '-o', out], { stdio: 'inherit' });
rmSync(folder, { recursive: true });
