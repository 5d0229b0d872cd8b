import { setTimeout as sleep } from 'node:timers/promises';
import {
  EDGE_FIGURES,
  LAG_BOUNDS_MS,
  NodeHeartbeat,
  type NodeState,
  RedisCommands,
} from '@tradewind/bus';
import { startService } from '@tradewind/dev';
import { Redis } from 'ioredis';
import { WebSocket } from 'ws';
import { openChromium } from '../../../test/support/browser.ts';
import { collectGarbage, INSPECTABLE } from '../../../test/support/inspector.ts';
import { readCpuTime, readMemory } from '../../load/processes/process-usage.ts';
import { readRedis, redisUsageBetween } from '../arena/redis-usage.ts';
import { formatNumber, formatTable } from '../figures/table.ts';
import { type PageTrace, tracePage } from './page-trace.ts';

/** What is measured. */
export interface ConsolePlan {
  readonly nodes: number;
  readonly channels: number;
  /** Pages that are open; one of them is a browser's, where there is one. */
  readonly viewers: number;
  readonly seconds: number;
}

/** What the console and Redis took, in shares of a core. */
export interface ConsoleCost extends ConsolePlan {
  /** Redis, with heartbeats and the console's readings, while no page is open. */
  readonly redisIdle: number;
  readonly consoleIdle: number;
  /** The same with all pages, which look at a list of channels, at one channel and at clients. */
  readonly redisWatched: number;
  readonly consoleWatched: number;
  /** What the console held after a collection, in bytes: its heap and its buffers, after all pages had been open for `seconds`, and `seconds` later. */
  readonly heldBytes: readonly [half: number, last: number];
  /** The most resident memory that was read. */
  readonly mostMemoryBytes: number;
  /** The heap of the page at the same two moments; undefined where there is no Chromium. */
  readonly pageHeldBytes: readonly [half: number, last: number] | undefined;
  /** One for each place that was looked at; empty where there is no Chromium. */
  readonly traces: readonly PageTrace[];
}

/** What is promised (docs/performance.md). */
const MOST_REDIS = 0.01;
const MOST_CONSOLE = 0.1;
const LONGEST_TASK_MS = 50;
const MOST_SCRIPT_MS = 4;
const MOST_GROWTH = 1.1;

/** Time for nodes and console to know each other, in ms. */
const SETTLE_MS = 4_000;

/** The longest that the page is traced at one place: a trace of a minute has some 100 MB. */
const MOST_TRACED_SECONDS = 20;

/** The share of the time with pages for which one is traced at each of three places. */
const TRACED_SHARE = 0.2;

/** How often memory is read in a run. */
const MEMORY_READINGS = 20;

const ANSWERED_CHANNELS = 100;

/** Measures a console of simulated nodes, which write as real ones do. */
export async function measureConsole(
  plan: ConsolePlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<ConsoleCost> {
  await using stack = new AsyncDisposableStack();
  const redis = new Redis(redisUrl);
  stack.defer(() => redis.disconnect());
  for (let i = 1; i <= plan.nodes; i += 1) stack.use(simulateNode(i, plan, redisUrl));
  const service = stack.use(await startService('console', { REDIS_URL: redisUrl, ...INSPECTABLE }));
  await sleep(SETTLE_MS);

  async function shares(
    seconds: number,
    whileRunning: () => Promise<unknown> = async () => undefined,
  ) {
    const before = await readRedis(redis);
    const cpuBefore = await readCpuTime(service.pid);
    const done = whileRunning();
    const memory: number[] = [];
    for (let i = 0; i < MEMORY_READINGS; i += 1) {
      await sleep((seconds * 1_000) / MEMORY_READINGS);
      memory.push((await readMemory(service.pid)).rssBytes);
    }
    await done;
    const usage = redisUsageBetween(before, await readRedis(redis));
    const cpu = await readCpuTime(service.pid);
    const spent = cpu.user + cpu.system - cpuBefore.user - cpuBefore.system;
    return { redis: usage.cpuSeconds / usage.seconds, console: spent / usage.seconds, memory };
  }

  async function held(): Promise<number> {
    const { heapUsed, external } = await collectGarbage(service);
    return heapUsed + external;
  }

  const idle = await shares(plan.seconds);
  report(`no page: Redis ${percent(idle.redis)}, console ${percent(idle.console)} of a core`);
  const browser = await openChromium();
  if (browser !== undefined) stack.defer(() => browser.close());
  const sockets = browser === undefined ? plan.viewers : plan.viewers - 1;
  for (let i = 0; i < sockets; i += 1) stack.use(await openViewer(service.url));
  const opened = browser === undefined ? undefined : await tracePage(browser, service.url);
  let traces: readonly PageTrace[] = [];
  const watched = await shares(plan.seconds, async () => {
    const seconds = Math.min(plan.seconds * TRACED_SHARE, MOST_TRACED_SECONDS);
    traces = (await opened?.trace(seconds * 1_000)) ?? [];
  });
  const half = [await held(), await opened?.held()] as const;
  await sleep(plan.seconds * 1_000);
  const last = [await held(), await opened?.held()] as const;
  report(
    `${plan.viewers} pages: Redis ${percent(watched.redis)}, console ${percent(watched.console)}`,
  );
  return {
    ...plan,
    redisIdle: idle.redis,
    consoleIdle: idle.console,
    redisWatched: watched.redis,
    consoleWatched: watched.console,
    heldBytes: [half[0], last[0]],
    pageHeldBytes: half[1] === undefined || last[1] === undefined ? undefined : [half[1], last[1]],
    mostMemoryBytes: Math.max(...watched.memory),
    traces,
  };
}

/** The conditions that were not met. */
export function consoleFailures(cost: ConsoleCost): readonly string[] {
  const { traces, heldBytes, pageHeldBytes } = cost;
  const [half, last] = heldBytes;
  const [pageHalf, pageLast] = pageHeldBytes ?? [0, 0];
  const failures: string[] = [];
  const must = (isMet: boolean, failure: string): void => {
    if (!isMet) failures.push(failure);
  };
  must(cost.redisIdle <= MOST_REDIS, `heartbeats take ${percent(cost.redisIdle)} of Redis' core`);
  must(cost.consoleWatched <= MOST_CONSOLE, `the console takes ${percent(cost.consoleWatched)}`);
  must(last <= half * MOST_GROWTH, `it held ${mib(half)} MiB, and then ${mib(last)}`);
  must(pageLast <= pageHalf * MOST_GROWTH, `the page held ${mib(pageHalf)}, then ${mib(pageLast)}`);
  for (const { place, longestTaskMs, longestScriptMs } of traces) {
    must(longestTaskMs <= LONGEST_TASK_MS, `${place}: a task of ${formatNumber(longestTaskMs)} ms`);
    must(
      longestScriptMs <= MOST_SCRIPT_MS,
      `${place}: ${formatNumber(longestScriptMs)} ms of scripting in a frame`,
    );
  }
  return failures;
}

/** The result as lines for people. */
export function describeConsole(cost: ConsoleCost): string {
  const { traces, pageHeldBytes } = cost;
  const failures = consoleFailures(cost);
  const [half, last] = cost.heldBytes;
  return [
    `Console: ${cost.nodes} nodes, ${cost.channels} channels, ${cost.viewers} pages, ${cost.seconds} s each`,
    '',
    formatTable(
      ['share of a core', 'Redis', 'console'],
      [
        ['no page', percent(cost.redisIdle), percent(cost.consoleIdle)],
        [`${cost.viewers} pages`, percent(cost.redisWatched), percent(cost.consoleWatched)],
      ],
    ),
    '',
    `the console held ${mib(half)} MiB, and ${mib(last)} MiB ${cost.seconds} s later; at most ${mib(cost.mostMemoryBytes)} MiB resident`,
    pageHeldBytes === undefined
      ? 'the page was not traced: there is no Chromium'
      : `the page held ${pageHeldBytes.map(mib).join(' MiB, and then ')} MiB`,
    ...traces.map(
      ({ place, longestTaskMs, scriptMsPerFrame, longestScriptMs, frames }) =>
        `in the page, at the ${place}: longest task ${formatNumber(longestTaskMs)} ms; scripting ${formatNumber(scriptMsPerFrame)} ms a frame over ${frames} frames, ${formatNumber(longestScriptMs)} ms in the busiest`,
    ),
    ...(failures.length === 0
      ? ['', 'holds']
      : ['', ...failures.map((failure) => `FAILS: ${failure}`)]),
  ].join('\n');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

/** A page without a browser, which looks at what a page looks at. */
async function openViewer(url: string): Promise<Disposable> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/live`);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.send(
    JSON.stringify({ list: { order: 'rate', text: '' }, channel: 'C1.trade', client: '' }),
  );
  return { [Symbol.dispose]: () => socket.terminate() };
}

/** Writes the state of a node once a second, and answers pages, with figures that move. */
function simulateNode(
  number: number,
  { channels }: ConsolePlan,
  redisUrl: string,
): AsyncDisposable {
  const node = `edge-${number}`;
  const commands = new RedisCommands(
    {
      url: redisUrl,
      password: undefined,
      certificateAuthority: undefined,
      connectionName: `tradewind-${node}`,
    },
    { available() {}, unavailable() {} },
  );
  commands.start();
  let beat = 0;
  const startedAt = Date.now();
  const heartbeat = new NodeHeartbeat(commands, {
    readState: () => {
      beat += 1;
      return stateOf(node, beat, startedAt);
    },
    takeEvents: () =>
      beat % 30 === number % 30
        ? [{ at: Date.now(), event: 'repaired', detail: 'C1.trade: 2' }]
        : undefined,
    eventsNotWritten() {},
    async answer(watch) {
      if (watch === undefined) return undefined;
      const reading = (at: number) => ({
        channel: `C${at}.trade`,
        rate: 100 - at / 100 + Math.random(),
        subscribers: 400 + at,
        ageMs: Math.round(Math.random() * 900),
      });
      const first = (beat * 7) % Math.max(1, channels - ANSWERED_CHANNELS);
      return {
        node,
        lists: watch.lists.map((list) => ({
          ...list,
          channels: Array.from({ length: ANSWERED_CHANNELS }, (_, i) => reading(first + i)),
        })),
        channels: watch.channels.map((channel) => ({
          ...{ ...reading(1), channel, epoch: 'simulated', offset: beat * 90, state: 'live' },
        })) as never,
        searches: watch.clients.map((text) => ({ text, clients: [] })),
      };
    },
  });
  return {
    async [Symbol.asyncDispose]() {
      heartbeat.stop();
      await commands.stop();
    },
  };
}

function stateOf(node: string, beat: number, startedAt: number): NodeState {
  const wave = 1 + Math.sin(beat / 9) / 4;
  const figures = Object.fromEntries(Object.keys(EDGE_FIGURES).map((name) => [name, 0]));
  return {
    ...{ kind: 'edge', node, release: '0.1.0', beat, startedAt, health: 'ready', reasons: [] },
    admin: '127.0.0.1:9080',
    figures: {
      ...figures,
      connections: Math.round(30_000 * wave),
      connectionsLimit: 50_000,
      subscriptions: 150_000,
      channels: 10_000,
      queueMax: Math.round(20 * wave),
      memoryBytes: 2_000_000_000,
      memoryLimitBytes: 8_000_000_000,
      busyPermille: Math.round(300 * wave),
      probeAgeMs: 500,
      received: beat * 9_000,
      deliveries: beat * 400_000,
      sentBytes: beat * 70_000_000,
      events: Math.floor(beat / 30),
    },
    lag: [...LAG_BOUNDS_MS, 0].map((_, i) => (i < 6 ? beat * (6 - i) : 0)),
  };
}
