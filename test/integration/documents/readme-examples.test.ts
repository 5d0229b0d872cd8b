import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  bringPythonWith,
  bringRedisCli,
  findProgram,
  REDIS_PY,
  WORKSPACE_NODE,
} from '@tradewind/dev';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openChromium } from '../../support/clients/browser.ts';
import { TestClient } from '../../support/clients/client.ts';
import { startIngest, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const README = await readFile(`${ROOT}README.md`, 'utf8');

/** How long one example may take, in ms. */
const RUN_DEADLINE_MS = 60_000;

/** Includes an installation by apt. */
const TEST_DEADLINE_MS = 300_000;

/** What the README publishes. */
const PAYLOAD = '{"price":"64123.5"}';

/** The only example in this language, or the one that holds `text`. */
function example(language: string, text = ''): string {
  const blocks = [...README.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))];
  const found = blocks.map(([, block]) => block ?? '').filter((block) => block.includes(text));
  expect(found).toHaveLength(1);
  return found[0]!;
}

async function run(
  tier: Tier,
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [...args], {
    ...{ cwd, timeout: RUN_DEADLINE_MS },
    env: { ...process.env, REDIS_URL: tier.redis.url },
  });
  return stdout;
}

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-readme-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Serves two files. Returns where. */
async function serve(page: string, script: Buffer): Promise<string> {
  const server = createServer((request, response) => {
    const isScript = request.url === '/index.min.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('README.md', { timeout: TEST_DEADLINE_MS }, () => {
  it('has a page that shows what is published', async ({ skip }) => {
    const browser = await openChromium();
    if (browser === undefined) return skip('there is no Chromium here');
    onTestFinished(() => browser.close());
    await using tier = await startTier({ edges: 2 });
    await run(tier, WORKSPACE_NODE, ['build.ts'], `${ROOT}packages/client`);
    const [first, second] = tier.edges;
    const page = example('html')
      .replace('ws://127.0.0.1:8080/ws', first!.wsUrl)
      .replace('ws://127.0.0.1:8082/ws', second!.wsUrl);
    const shown = await browser.newPage();
    await shown.goto(await serve(page, await readFile(`${ROOT}packages/client/dist/index.min.js`)));
    await eventually(async () => (await tier.subscribers('BTC.trade')) === 1);
    await tier.backend.publish('BTC.trade', PAYLOAD);
    await shown.locator('#price', { hasText: '64123.5' }).waitFor();
    // The document says that it moves to the other node.
    await first!.stop();
    await eventually(async () => (await tier.subscribers('BTC.trade')) === 1);
    await tier.backend.publish('BTC.trade', '{"price":"64999.5"}');
    await shown.locator('#price', { hasText: '64999.5' }).waitFor();
  });

  it('has a program in Python that publishes with an offset', async ({ skip }) => {
    const python = await bringPythonWith(REDIS_PY, console.log);
    if (python === undefined) return skip('there is no python3 with redis-py here');
    await using tier = await startTier({ edges: 1 });
    await using client = await TestClient.connect(tier.edges[0]!.wsUrl, { channels: ['hello'] });
    const folder = await makeFolder();
    for (const name of ['publish.py', 'tradewind_publish_1.lua'])
      await copyFile(`${ROOT}docs/publish/${name}`, join(folder, name));
    await writeFile(join(folder, 'program.py'), example('python'));
    expect(await run(tier, python, ['program.py'], folder)).toContain('offset=1');
    await eventually(() => client.publications.length === 1);
    expect(client.publications[0]).toMatchObject({ channel: 'hello', offset: 1, data: PAYLOAD });
  });

  it('has commands that publish, one without and one with an offset', async ({ skip }) => {
    const cli = await bringRedisCli(console.log);
    const curl = await findProgram(['curl']);
    if (cli === undefined || curl === undefined) return skip('there is no redis-cli or no curl');
    await using tier = await startTier({ edges: 1 });
    await using ingest = await startIngest({ REDIS_URL: tier.redis.url });
    await untilLinked(ingest);
    await using client = await TestClient.connect(tier.edges[0]!.wsUrl, { channels: ['hello'] });
    const commands = example('sh', 'PUBLISH')
      .replace('redis-cli', `"${cli}"`)
      .replace('http://127.0.0.1:8081', ingest.url);
    await run(tier, 'sh', ['-ec', commands], ROOT);
    await eventually(() => client.publications.length === 2);
    expect(client.publications.map(({ offset, data }) => ({ offset, data }))).toEqual([
      { offset: undefined, data: PAYLOAD },
      { offset: 1, data: PAYLOAD },
    ]);
  });

  it('has commands of npx that publish, look and check', async () => {
    await using tier = await startTier({ edges: 1 });
    const edge = tier.edges[0]!.wsUrl;
    const commands = example('sh', 'npx tradewind pub')
      .split('\n')
      .filter((line) => !/^export|tradewind sub/.test(line))
      .map((line) => line.replace('tradewind check', `tradewind check --edge ${edge}`));
    expect(commands.join('\n').match(/npx tradewind/g)).toHaveLength(3);
    const output = await run(tier, 'sh', ['-ec', commands.join('\n')], ROOT);
    expect(output).toContain('hello');
    expect(await tier.backend.get('{hello}:meta')).toMatch(/:1$/);
  });
});
