import { setTimeout as sleep } from 'node:timers/promises';
import {
  EDGE_FIGURES,
  LAG_BOUNDS_MS,
  NodeHeartbeat,
  type NodeState,
  RedisCommands,
} from '@tradewind/bus';
import { type ServiceProcess, startService } from '@tradewind/dev';
import { Redis } from 'ioredis';
import { WebSocket } from 'ws';
import { openChromium } from '../../../test/support/clients/browser.ts';
import { collectGarbage, INSPECTABLE } from '../../../test/support/services/inspector.ts';
import { readCpuTime, readMemory } from '../../load/processes/process-usage.ts';
import { readRedis, redisUsageBetween } from '../arena/redis-usage.ts';
import type { ConsolePhase } from '../arguments.ts';
import { median } from '../figures/ratio.ts';
import { formatNumber, formatTable } from '../figures/table.ts';
import { type PageTrace, PLACES, type TracedPage, tracePage } from './page-trace.ts';

/** What is measured. */
export interface ConsolePlan {
  readonly nodes: number;
  readonly channels: number;
  /** Pages that are open; one of them is a browser's, where there is one. */
  readonly viewers: number;
  /** How long each phase lasts, once for each number of pages. */
  readonly seconds: number;
  readonly phases: readonly ConsolePhase[];
}

/** What the phases found; undefined is what was not asked for. */
export interface ConsoleCost extends ConsolePlan {
  readonly usage: ConsoleUsage | undefined;
  /** While all pages were open: at the start of the phase, then once a minute, and at its end. */
  readonly memory: readonly HeldReading[] | undefined;
}

/** What was held after a collection, in bytes. */
export interface HeldReading {
  /** Since the start of the phase. */
  readonly seconds: number;
  /** Heap and buffers of the console. */
  readonly heldBytes: number;
  /** The heap of the page; undefined where there is no Chromium. */
  readonly pageHeldBytes: number | undefined;
  /** Resident memory of the console. */
  readonly residentBytes: number;
}

/** What the console and Redis took, in shares of a core. */
export interface ConsoleUsage {
  /** Redis, with heartbeats and the console's readings, while no page is open. */
  readonly redisIdle: number;
  readonly consoleIdle: number;
  /** The same with all pages, which look at a list of channels, at one channel and at clients. */
  readonly redisWatched: number;
  readonly consoleWatched: number;
  /** The most resident memory that was read. */
  readonly mostMemoryBytes: number;
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

/** How often resident memory is read in a run. */
const MEMORY_READINGS = 20;

/** Time between two readings of what is held, in s. */
const HELD_EVERY_SECONDS = 60;

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

  const phases = new Set(plan.phases);
  const idle = phases.has('cost') ? await shares(plan.seconds) : undefined;
  if (idle !== undefined) {
    report(`no page: Redis ${percent(idle.redis)}, console ${percent(idle.console)} of a core`);
  }
  const browser = await openChromium();
  if (browser !== undefined) stack.defer(() => browser.close());
  const sockets = browser === undefined ? plan.viewers : plan.viewers - 1;
  for (let i = 0; i < sockets; i += 1) stack.use(await openViewer(service.url));
  const opened = browser === undefined ? undefined : await tracePage(browser, service.url);
  let usage: ConsoleUsage | undefined;
  if (idle !== undefined) {
    let traces: readonly PageTrace[] = [];
    const watched = await shares(plan.seconds, async () => {
      const seconds = Math.min(plan.seconds * TRACED_SHARE, MOST_TRACED_SECONDS);
      traces = (await opened?.trace(seconds * 1_000)) ?? [];
    });
    report(
      `${plan.viewers} pages: Redis ${percent(watched.redis)}, console ${percent(watched.console)}`,
    );
    usage = {
      redisIdle: idle.redis,
      consoleIdle: idle.console,
      redisWatched: watched.redis,
      consoleWatched: watched.console,
      mostMemoryBytes: Math.max(...watched.memory),
      traces,
    };
  }
  const memory = phases.has('memory')
    ? await followMemory(service, opened, plan.seconds, report)
    : undefined;
  return { ...plan, usage, memory };
}

/** Reads what console and page hold. Between readings the page shows each of its places, and at each reading the same one. */
async function followMemory(
  service: ServiceProcess,
  page: TracedPage | undefined,
  seconds: number,
  report: (line: string) => void,
): Promise<readonly HeldReading[]> {
  const readings: HeldReading[] = [];
  const startedAt = performance.now();
  const elapsedSeconds = () => (performance.now() - startedAt) / 1_000;
  async function read(): Promise<void> {
    const { heapUsed, external } = await collectGarbage(service);
    const reading = {
      seconds: Math.round(elapsedSeconds()),
      heldBytes: heapUsed + external,
      pageHeldBytes: await page?.held(),
      residentBytes: (await readMemory(service.pid)).rssBytes,
    };
    readings.push(reading);
    report(describeHeld(reading));
  }
  await page?.show(0);
  await read();
  while (elapsedSeconds() < seconds) {
    const step = Math.min(HELD_EVERY_SECONDS, seconds - elapsedSeconds());
    for (let place = PLACES.length - 1; place >= 0; place -= 1) {
      await page?.show(place);
      await sleep((step * 1_000) / PLACES.length);
    }
    await read();
  }
  return readings;
}

/** The conditions that were not met. */
export function consoleFailures(cost: ConsoleCost): readonly string[] {
  const { usage, memory = [] } = cost;
  const failures: string[] = [];
  const must = (isMet: boolean, failure: string): void => {
    if (!isMet) failures.push(failure);
  };
  for (const [name, bytesOf] of [
    ['console', ({ heldBytes }: HeldReading) => heldBytes],
    ['page', ({ pageHeldBytes }: HeldReading) => pageHeldBytes ?? 0],
  ] as const) {
    const [before, after] = mediansOfHalves(memory.map(bytesOf));
    must(
      after <= before * MOST_GROWTH,
      `the ${name} held ${mib(before)} MiB, and then ${mib(after)}`,
    );
  }
  if (usage === undefined) return failures;
  const { redisIdle, consoleWatched } = usage;
  must(redisIdle <= MOST_REDIS, `heartbeats take ${percent(redisIdle)} of Redis' core`);
  must(consoleWatched <= MOST_CONSOLE, `the console takes ${percent(consoleWatched)}`);
  for (const { place, longestTaskMs, longestScriptMs } of usage.traces) {
    must(longestTaskMs <= LONGEST_TASK_MS, `${place}: a task of ${formatNumber(longestTaskMs)} ms`);
    must(
      longestScriptMs <= MOST_SCRIPT_MS,
      `${place}: ${formatNumber(longestScriptMs)} ms of scripting in a frame`,
    );
  }
  return failures;
}

/**
 * What was held in the first and in the second half of the time. The first of many readings does not count: the page has not shown all
 * of its places then.
 */
function mediansOfHalves(readings: readonly number[]): readonly [before: number, after: number] {
  if (readings.length === 0) return [0, 0];
  const settled = readings.length > 3 ? readings.slice(1) : readings;
  const half = Math.floor(settled.length / 2);
  return [median(settled.slice(0, half)), median(settled.slice(half))];
}

/** The result as lines for people. */
export function describeConsole(cost: ConsoleCost): string {
  const { usage, memory = [] } = cost;
  const failures = consoleFailures(cost);
  return [
    `Console: ${cost.nodes} nodes, ${cost.channels} channels, ${cost.viewers} pages, ${cost.seconds} s each`,
    ...(usage === undefined ? [] : ['', ...describeUsage(usage, cost.viewers)]),
    ...(memory.length === 0 ? [] : ['', ...memory.map(describeHeld)]),
    ...(failures.length === 0
      ? ['', 'holds']
      : ['', ...failures.map((failure) => `FAILS: ${failure}`)]),
  ].join('\n');
}

function describeHeld({ seconds, heldBytes, pageHeldBytes, residentBytes }: HeldReading): string {
  const page = pageHeldBytes === undefined ? 'there is no Chromium' : `${mib(pageHeldBytes)} MiB`;
  return `after ${seconds} s: console ${mib(heldBytes)} MiB (${mib(residentBytes)} MiB resident), page ${page}`;
}

function describeUsage(usage: ConsoleUsage, viewers: number): readonly string[] {
  const { traces } = usage;
  return [
    formatTable(
      ['share of a core', 'Redis', 'console'],
      [
        ['no page', percent(usage.redisIdle), percent(usage.consoleIdle)],
        [`${viewers} pages`, percent(usage.redisWatched), percent(usage.consoleWatched)],
      ],
    ),
    '',
    `at most ${mib(usage.mostMemoryBytes)} MiB resident`,
    ...(traces.length === 0 ? ['the page was not traced: there is no Chromium'] : []),
    ...traces.map(
      ({ place, longestTaskMs, scriptMsPerFrame, longestScriptMs, frames }) =>
        `in the page, at the ${place}: longest task ${formatNumber(longestTaskMs)} ms; scripting ${formatNumber(scriptMsPerFrame)} ms a frame over ${frames} frames, ${formatNumber(longestScriptMs)} ms in the busiest`,
    ),
  ];
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
