import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createPublisher } from '@tradewind/publisher';
import { expect, it, onTestFinished } from 'vitest';
import { openChromium } from '../../support/clients/browser.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const run = promisify(execFile);
const PACKAGE = fileURLToPath(new URL('../../../packages/client/', import.meta.url));

/** Installs the packed package in a folder, as `npm install` of the archive does. Returns the folder. */
async function install(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-page-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await run(process.execPath, ['build.ts', join(folder, 'built')], { cwd: PACKAGE });
  const { stdout } = await run('npm', ['pack', './built', '--silent'], { cwd: folder });
  const installed = join(folder, 'node_modules/@tradewind/client');
  await mkdir(installed, { recursive: true });
  await run('tar', ['-xzf', join(folder, stdout.trim()), '-C', installed, '--strip-components=1']);
  return folder;
}

/** Serves a page, and the files of a folder. Returns where. */
async function serve(page: string, folder: string): Promise<string> {
  const server = createServer(async (request, response) => {
    const path = request.url ?? '/';
    const isScript = path.endsWith('.js');
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? await readFile(join(folder, path)) : page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

it('the page of the client’s README has every trade over a drain and a kill', async ({ skip }) => {
  const browser = await openChromium();
  if (browser === undefined) return skip('there is no Chromium here');
  onTestFinished(() => browser.close());
  await using tier = await startTier({ edges: 3 });
  const folder = await install();
  const readme = await readFile(join(folder, 'node_modules/@tradewind/client/README.md'), 'utf8');
  const page = readme.match(/```html\n([\s\S]*?)```/)?.[1] ?? '';
  const nodes = "['ws://127.0.0.1:8080/ws', 'ws://127.0.0.1:8082/ws']";
  expect(page).toContain(nodes);
  const text = page.replace(nodes, JSON.stringify(tier.edges.map(({ wsUrl }) => wsUrl)));
  const shown = await browser.newPage();
  await shown.goto(await serve(text, folder));
  await eventually(async () => (await tier.subscribers('BTC.trade')) > 0);

  const publisher = createPublisher(tier.backend);
  let published = 0;
  const publish = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      published += 1;
      await publisher.publish('BTC.trade', { price: String(published) });
    }
  };
  const hasAll = async (): Promise<void> => {
    await shown.locator('#seen', { hasText: new RegExp(`^${published}$`) }).waitFor();
    expect(await shown.locator('#price').textContent()).toBe(String(published));
    expect(await shown.locator('#missed').textContent()).toBe('0');
    expect(await shown.locator('#state').textContent()).toBe('online');
  };
  await publish(20);
  await hasAll();

  const [drained, killed] = tier.edges;
  const answer = await fetch(`${drained!.adminUrl}/drain`, { method: 'POST' });
  await answer.arrayBuffer();
  await publish(20);
  await drained!.exited;
  await publish(20);
  await hasAll();

  killed!.signal('SIGKILL');
  await publish(20);
  await killed!.exited;
  await publish(20);
  await hasAll();
}, 180_000);
