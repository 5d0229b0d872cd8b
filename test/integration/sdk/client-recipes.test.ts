import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  bringFromDebian,
  bringPythonWith,
  findProgram,
  startProcess,
  WEBSOCKETS_PY,
} from '@tradewind/dev';
import type { Gap, PublicationMessage } from '@tradewind/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { DeliveryRecord } from '../../support/clients/delivery-record.ts';
import { ScriptPublisher } from '../../support/clients/script-publisher.ts';
import { TcpBalancer } from '../../support/faults/tcp-balancer.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const RECIPES = fileURLToPath(new URL('../../../docs/clients/', import.meta.url));
const BROWSER = readFileSync(`${RECIPES}subscribe.js`, 'utf8');
const CHANNELS = ['BTC.trade', 'ETH.trade'];
const HISTORY_SIZE = 1_000;

/** Near the limit of a publication, and beyond what some libraries take by default. */
const LARGE_BYTES = 65_000;

/** What a node says that says nothing more. */
const SILENT_WELCOME = {
  type: 'welcome',
  heartbeat: { clientPingMs: 200, timeoutMs: 200 },
  limits: { maxChannelsPerRequest: 128 },
  reconnect: { spreadMs: 1 },
};

/** The most lines of the recipe for browsers, without comments and lines that only close what is open. */
const MAX_BROWSER_LINES = 80;

/** How long each step may take until all clients have everything, in ms. It takes seconds; machines are busy. */
const STEP_DEADLINE_MS = 60_000;

/** Includes installations by apt and a build of Go's libraries. */
const PLAY_DEADLINE_MS = 600_000;

const GO_MODULE = 'github.com/coder/websocket@v1.8.14';
const GSON = '/usr/share/java/gson.jar';

/** What a recipe tells its application. */
type Told =
  | (PublicationMessage & { readonly type?: undefined })
  | Gap
  | {
      readonly type: 'begins';
      readonly channel: string;
      readonly epoch?: string | null;
      readonly offset?: number | null;
    }
  | { readonly type: 'refused'; readonly channel: string; readonly code: string }
  | { readonly type: 'stopped'; readonly code: number | string };

/** Starts a recipe on a URL. Returns why it cannot run here; undefined if it runs. */
type Start = (
  url: string,
  on: (told: Told) => void,
  stack: AsyncDisposableStack,
) => Promise<string | undefined>;

type Subscribe = (url: string, channels: readonly string[], on: (told: Told) => void) => () => void;

const folder = mkdtempSync(join(tmpdir(), 'tradewind-recipes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the recipe for browsers in this process. */
function inNode(source: string): Start {
  return async (url, on, stack) => {
    const module = `data:text/javascript,${encodeURIComponent(source)}`;
    const { subscribe } = (await import(module)) as { readonly subscribe: Subscribe };
    stack.defer(subscribe(url, CHANNELS, on));
    return undefined;
  };
}

/** Runs the recipe for browsers in a page, which reports over a WebSocket of its own. */
const inChromium: Start = async (url, on, stack) => {
  const chromium = await findProgram(['chromium', 'chromium-browser', 'google-chrome']);
  if (chromium === undefined) return 'there is no chromium here';
  const page = `<!doctype html><script type="module">
  import { subscribe } from '/subscribe.js';
  const report = new WebSocket('ws://' + location.host);
  report.onopen = () => subscribe('${url}', ${JSON.stringify(CHANNELS)}, (told) => report.send(JSON.stringify(told)));
</script>`;
  const server = createServer((request, response) => {
    const isScript = request.url === '/subscribe.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? BROWSER : page);
  });
  const reports = new WebSocketServer({ server });
  reports.on('connection', (socket) => {
    socket.on('message', (text) => on(JSON.parse(String(text)) as Told));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stack.defer(() => {
    for (const socket of reports.clients) socket.terminate();
    server.close();
    server.closeAllConnections();
  });
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
  await startProgram(
    stack,
    ...([chromium, ...flags, '--no-first-run', '--disable-background-networking'] as const),
    `--user-data-dir=${join(folder, 'chromium')}`,
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
  );
  return undefined;
};

const inPython: Start = async (url, on, stack) => {
  const python = await bringPythonWith(WEBSOCKETS_PY, console.log);
  if (python === undefined)
    return 'there is no python3 with websockets here, and apt cannot install it';
  await startRecipe(on, stack, python, `${RECIPES}subscribe.py`, url, ...CHANNELS);
  return undefined;
};

const inGo: Start = async (url, on, stack) => {
  goBuild ??= buildInGo();
  const { program, missing } = await goBuild;
  if (program !== undefined) await startRecipe(on, stack, program, url, ...CHANNELS);
  return missing;
};

let goBuild: ReturnType<typeof buildInGo> | undefined;

async function buildInGo(): Promise<{ readonly program?: string; readonly missing?: string }> {
  const go = await findProgram(['go']);
  if (go === undefined) return { missing: 'there is no go here' };
  copyFileSync(`${RECIPES}subscribe.go`, join(folder, 'subscribe.go'));
  const run = async (...args: string[]) => await promisify(execFile)(go, args, { cwd: folder });
  await run('mod', 'init', 'recipe');
  const isHere = await run('get', GO_MODULE).then(
    () => true,
    () => false,
  );
  if (!isHere) return { missing: `go cannot get ${GO_MODULE}` };
  await run('build', '-o', 'recipe', '.');
  return { program: join(folder, 'recipe') };
}

const inJava: Start = async (url, on, stack) => {
  const java = await findProgram(['java']);
  if (java === undefined) return 'there is no java here';
  const findGson = async () =>
    await access(GSON).then(
      () => GSON,
      () => undefined,
    );
  const gson = await bringFromDebian(findGson, ['libgoogle-gson-java'], console.log);
  if (gson === undefined) return 'there is no gson here, and apt cannot install it';
  await startRecipe(on, stack, java, '-cp', gson, `${RECIPES}subscribe.java`, url, ...CHANNELS);
  return undefined;
};

async function startProgram(stack: AsyncDisposableStack, command: string, ...args: string[]) {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME };
  const program = await startProcess({ name: 'recipe', command, args, env, cwd: folder });
  stack.defer(async () => void (await program.stop(0)));
  return program;
}

/** Starts a recipe that prints a JSON object a line. */
async function startRecipe(
  on: (told: Told) => void,
  stack: AsyncDisposableStack,
  command: string,
  ...args: string[]
): Promise<void> {
  const recipe = await startProgram(stack, command, ...args);
  const take = (line: string): undefined => {
    // A line that is too long is cut, within the padding of a large publication.
    if (line.startsWith('{')) on(JSON.parse(line.replace(/x+$/, '"}}')) as Told);
  };
  // It matches no line, so it sees all of them until the program ends.
  recipe.waitForLine(take, PLAY_DEADLINE_MS).catch(() => {});
}

const STARTS: Readonly<Record<string, Start>> = {
  'subscribe.js in Node': inNode(BROWSER),
  'subscribe.js in Chromium': inChromium,
  'subscribe.py': inPython,
  'subscribe.go': inGo,
  'subscribe.java': inJava,
};

/** A client that forgets its place when a connection ends. */
const CONTROL = inNode(
  BROWSER.replace('offset === undefined ? undefined : { epoch, offset }', 'undefined'),
);

interface Outcome {
  readonly record: DeliveryRecord;
  /** Why the recipe could not run here. */
  readonly missing: string | undefined;
}

const outcomes = new Map<string, Outcome>();
let control: DeliveryRecord;
let publisher: ScriptPublisher;

function recorder(record: DeliveryRecord): (told: Told) => void {
  return (told) => {
    switch (told.type) {
      case undefined:
        record.used(told);
        break;
      case 'gap':
        record.lost(told);
        break;
      case 'begins': {
        const { channel, epoch, offset } = told;
        record.begins(channel, epoch && typeof offset === 'number' ? { epoch, offset } : undefined);
        break;
      }
      case 'refused':
        record.gaveUp(told.channel, told.code);
        break;
      case 'stopped':
        record.stopped();
    }
  };
}

async function publishSome(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    for (const channel of CHANNELS) await publisher.publish(channel);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** One tier for all recipes: a drain, a kill, what nobody can have, and a new epoch. */
async function play(tier: Tier, stack: AsyncDisposableStack): Promise<void> {
  publisher = new ScriptPublisher(tier.backend, HISTORY_SIZE);
  const [first, second, third] = tier.edges.map(({ port }, i) => ({
    ...{ name: `edge-${i + 1}`, host: '127.0.0.1', port },
  }));
  const balancer = stack.use(await TcpBalancer.start([first!], { checkEveryMs: 200, failures: 1 }));
  const url = `ws://127.0.0.1:${balancer.port}/ws`;
  await publishSome(5);
  for (const [name, start] of Object.entries(STARTS)) {
    const record = new DeliveryRecord();
    outcomes.set(name, { record, missing: await start(url, recorder(record), stack) });
  }
  control = new DeliveryRecord();
  await CONTROL(url, recorder(control), stack);

  const behind = () =>
    [...outcomes, ['control', { record: control, missing: undefined }] as const]
      .filter(([, { missing }]) => missing === undefined)
      .filter(([, { record }]) => !CHANNELS.every((name) => record.isAtEnd(name, publisher)))
      .map(([name]) => name);
  const settle = async (what: string): Promise<void> => {
    await eventually(() => behind().length === 0, { deadlineMs: STEP_DEADLINE_MS }).catch(() => {
      throw new Error(`${what}: ${behind().join(', ')}`);
    });
  };
  await settle('the first connection');
  await publishSome(20);
  await settle('live');

  await balancer.add(second!);
  tier.edges[0]!.signal('SIGTERM');
  await publishSome(150);
  await tier.edges[0]!.exited;
  await settle('a drain');

  await balancer.add(third!);
  tier.edges[1]!.signal('SIGKILL');
  await publishSome(50);
  await settle('a kill');

  for (const channel of CHANNELS)
    await publisher.publish(channel, undefined, 'x'.repeat(LARGE_BYTES));
  await settle('a large publication');

  for (const channel of CHANNELS) await publisher.publish(channel, Buffer.from([0xff]));
  await publishSome(2);
  await settle('a publication that cannot be delivered');

  for (const channel of CHANNELS) await tier.backend.del(`{${channel}}:meta`, `{${channel}}:log`);
  await publishSome(5);
  await settle('a new epoch');
}

describe('docs/clients: over a drain and a kill', () => {
  beforeAll(async () => {
    await using stack = new AsyncDisposableStack();
    const tier = stack.use(await startTier({ edges: 3 }));
    await play(tier, stack);
    // What they say when they are ended does not count.
    for (const { record } of outcomes.values()) expect(record.hasStopped).toBe(false);
  }, PLAY_DEADLINE_MS);

  it.for(Object.keys(STARTS))(
    '%s uses everything once, in order, and tells the rest',
    (name, { skip }) => {
      const { record, missing } = outcomes.get(name)!;
      if (missing !== undefined) return skip(missing);
      expect(CHANNELS.flatMap((channel) => record.faultsOf(channel, publisher))).toEqual([]);
      expect(record.gaveUps).toEqual([]);
      expect([...record.gapReasons]).toEqual(['unreadable']);
      expect(record.count('lost')).toBe(CHANNELS.length);
      expect(record.count('begins'), 'only the new epoch begins anew').toBe(CHANNELS.length);
    },
  );

  it('control: a client that forgets its place begins anew on each node', () => {
    expect(control.count('begins')).toBeGreaterThan(CHANNELS.length);
  });
});

describe('docs/clients: a node that is silent', () => {
  it.for(['subscribe.js in Node', 'subscribe.go', 'subscribe.java'])(
    '%s gives the connection up and opens another',
    { timeout: PLAY_DEADLINE_MS },
    async (name, { skip }) => {
      const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false });
      await using stack = new AsyncDisposableStack();
      stack.defer(() => {
        for (const socket of server.clients) socket.terminate();
        server.close();
      });
      let opened = 0;
      server.on('connection', (socket) => {
        opened += 1;
        socket.send(JSON.stringify(SILENT_WELCOME));
      });
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const missing = await STARTS[name]!(`ws://127.0.0.1:${port}`, () => {}, stack);
      if (missing !== undefined) return skip(missing);
      await eventually(() => opened > 1, { deadlineMs: STEP_DEADLINE_MS });
    },
  );
});

it('docs/clients/subscribe.js is short', () => {
  const lines = BROWSER.split('\n').filter((line) => {
    const isComment = /^\s*(\/\/|\/\*\*|\*)/.test(line);
    return !isComment && /[^\s{}()[\];,]/.test(line);
  });
  expect(lines.length).toBeLessThan(MAX_BROWSER_LINES);
});
