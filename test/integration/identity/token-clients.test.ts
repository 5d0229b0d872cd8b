import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  bringPythonWith,
  findProgram,
  type OwnedProcess,
  startProcess,
  WEBSOCKETS_PY,
} from '@tradewind/dev';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Login } from '../../support/identity/login.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const EXAMPLE = fileURLToPath(
  new URL('../../../docs/clients/subscribe-with-token.', import.meta.url),
);
const SCRIPT = readFileSync(
  new URL('../../../docs/publish/tradewind_publish_1.lua', import.meta.url),
  'utf8',
);
const KEY = 'a key for the examples of clients, of more than 32 bytes';
const CHANNEL = 'BTC.trade';

/** The most lines of an example, without imports, comments, blank lines and those that only close what is open. */
const MAX_LINES = 40;

/** Time between two publications, in ms. */
const PUBLISH_INTERVAL_MS = 50;

/** How long each step of an example may take, in ms. It takes seconds; the rest is for a machine that is busy. */
const STEP_DEADLINE_MS = 40_000;

/** Includes an installation by apt, and a build of Go's libraries. */
const TEST_DEADLINE_MS = 300_000;

/** The module of the example in Go. */
const GO_MODULE = 'github.com/coder/websocket@v1.8.14';

const folder = mkdtempSync(join(tmpdir(), 'tradewind-clients-'));
let tier: Tier;
let published = 0;
let publishing: NodeJS.Timeout;

beforeAll(async () => {
  writeFileSync(join(folder, 'key'), KEY);
  tier = await startTier({
    edges: 1,
    env: { EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: join(folder, 'key') },
  });
  publishing = setInterval(async () => {
    published += 1;
    const keys = [`{${CHANNEL}}:meta`, `{${CHANNEL}}:log`] as const;
    const payload = JSON.stringify({ n: published });
    await tier.backend.eval(SCRIPT, 2, ...keys, CHANNEL, payload, 1_000, 600_000, '', 0, 0);
  }, PUBLISH_INTERVAL_MS);
});

afterAll(async () => {
  clearInterval(publishing);
  await tier?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** The lines `OFFSET DATA` that an example has printed. */
type Lines = () => readonly string[];

async function start(stack: AsyncDisposableStack, command: string, ...args: string[]) {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME };
  const options = { name: 'example', command, args, env, cwd: folder };
  const example: OwnedProcess = await startProcess(options);
  stack.defer(async () => void (await example.stop(0)));
  return example;
}

/**
 * Plays a token that ends, its successor that is fetched in time, a login that gives none, and the way back. The example must have
 * used everything once.
 */
async function play(subject: string, login: Login, lines: Lines, renew = () => {}): Promise<void> {
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  const happened = (event: string) =>
    edge.output
      .filter((line) => line.includes(`"${event}"`))
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
      .filter((line) => line.subject === subject && line.msg === event);
  const until = (event: string, count = 1) =>
    eventually(() => happened(event).length >= count, { deadlineMs: STEP_DEADLINE_MS });
  const give = (lifeSeconds: number | undefined) => {
    login.lifeSeconds = lifeSeconds;
    renew();
  };
  await until('client_identified');
  give(7);
  await until('client_refreshed');
  give(undefined);
  await until('client_closed');
  expect(happened('client_closed')).toMatchObject([{ reason: 'token_expired' }]);
  give(600);
  await until('client_identified', 2);
  const last = published;
  const offsets = () => lines().flatMap((line) => /^(\d+) \{/.exec(line)?.[1] ?? []);
  await eventually(() => Number(offsets().at(-1)) >= last, { deadlineMs: STEP_DEADLINE_MS });
  const used = offsets().map(Number);
  expect(used).toEqual(used.map((_, i) => (used[0] ?? 0) + i));
}

function page(wsUrl: string): string {
  return `<!doctype html><script type="module">
const { follow } = await import(location.origin + '/client.js');
const getToken = async () => {
  const answer = await fetch('/token');
  if (!answer.ok) throw new Error('no token');
  return await answer.text();
};
const lines = [];
follow(${JSON.stringify(wsUrl)}, getToken, ['${CHANNEL}'], ({ offset, data }) => {
  lines.push(offset + ' ' + JSON.stringify(data));
});
setInterval(() => fetch('/lines', { method: 'POST', body: lines.join('\\n') }), 250);
</script>`;
}

describe.concurrent('docs/clients: a token, its refresh, its end and the way back', () => {
  it(
    'in a browser',
    async ({ skip }) => {
      const chromium = await findProgram(['chromium', 'chromium-browser', 'google-chrome']);
      if (chromium === undefined) return skip('there is no chromium here');
      await using stack = new AsyncDisposableStack();
      const files = {
        '/': page(tier.edges[0]!.wsUrl),
        '/client.js': readFileSync(`${EXAMPLE}js`, 'utf8'),
      };
      const login = stack.use(await Login.start(KEY, 'browser', files));
      login.lifeSeconds = 4;
      await start(
        stack,
        chromium,
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
        ...['--no-first-run', '--disable-background-networking', '--remote-debugging-port=0'],
        ...[`--user-data-dir=${join(folder, 'chromium')}`, `${login.url}/`],
      );
      await play('browser', login, () => login.lines);
    },
    TEST_DEADLINE_MS,
  );

  it(
    'in Python',
    async ({ skip }) => {
      const python = await bringPythonWith(WEBSOCKETS_PY, console.log);
      if (python === undefined)
        return skip('there is no python3 with websockets here, and apt cannot install it');
      await using stack = new AsyncDisposableStack();
      const login = stack.use(await Login.start(KEY, 'python'));
      login.lifeSeconds = 4;
      const args = [tier.edges[0]!.wsUrl, `${login.url}/token`, CHANNEL];
      const example = await start(stack, python, `${EXAMPLE}py`, ...args);
      await play('python', login, () => example.output);
    },
    TEST_DEADLINE_MS,
  );

  it(
    'in Go',
    async ({ skip }) => {
      const program = await buildInGo();
      if (program === undefined) return skip('there is no go here, or it cannot get its module');
      await using stack = new AsyncDisposableStack();
      const login = stack.use(await Login.start(KEY, 'go'));
      const tokenFile = join(folder, 'token');
      const renew = () => {
        const token = login.token();
        if (token !== undefined) writeFileSync(tokenFile, token);
      };
      login.lifeSeconds = 4;
      renew();
      const example = await start(stack, program, tier.edges[0]!.wsUrl, tokenFile, CHANNEL);
      await play('go', login, () => example.output, renew);
    },
    TEST_DEADLINE_MS,
  );
});

it.each(['js', 'py', 'go'])('docs/clients/subscribe-with-token.%s is short', (kind) => {
  const text = readFileSync(`${EXAMPLE}${kind}`, 'utf8')
    .replace(/^""".*?"""$/ms, '')
    .replace(/^import \(.*?^\)$/ms, '');
  const lines = text.split('\n').filter((line) => {
    const isOther = /^\s*(\/\/|\/\*\*|#|import |package )/.test(line);
    return !isOther && /[^\s{}()[\];,]/.test(line);
  });
  expect(lines.length).toBeLessThanOrEqual(MAX_LINES);
  expect(lines.length).toBeGreaterThan(MAX_LINES / 2);
});

async function buildInGo(): Promise<string | undefined> {
  const go = await findProgram(['go']);
  if (go === undefined) return undefined;
  copyFileSync(`${EXAMPLE}go`, join(folder, 'client.go'));
  const run = async (...args: string[]) => await promisify(execFile)(go, args, { cwd: folder });
  await run('mod', 'init', 'example');
  const isHere = await run('get', GO_MODULE).then(
    () => true,
    () => false,
  );
  if (!isHere) return undefined;
  await run('build', '-o', 'client', '.');
  return join(folder, 'client');
}
