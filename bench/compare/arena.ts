import { setTimeout as sleep } from 'node:timers/promises';
import { LatencyHistogram, type Percentiles } from '@tradewind/dev';
import { type Load, startLoad } from '../load/load.ts';
import type { Delivered, LoadSample } from '../load/load-plan.ts';
import { readCpuTime } from '../load/process-usage.ts';
import { type Publisher, startPublisher } from '../load/publisher.ts';
import type { PublisherTotals, SequencedTerms } from '../load/publisher-plan.ts';
import type { SubscriptionMode } from '../load/subscription-plan.ts';
import {
  type Contender,
  contenderOf,
  type RunningContender,
  startContender,
} from './contenders.ts';
import { type CoreUsage, watchCores } from './core-usage.ts';
import { LOAD_CORE, SERVER_CORE } from './cores.ts';

/** What clients do, whoever serves them. */
export interface LoadShape {
  readonly clients: number;
  readonly channels: number;
  readonly mode: SubscriptionMode;
  /** For the mode `random`. */
  readonly channelsPerClient: number;
  readonly payloadBytes: number;
  /** One latency is measured of so many publications that a client receives; each costs the load time. */
  readonly sampleEvery: number;
  /** The share of the clients that stop reading as soon as they are subscribed, from 0 to 1. */
  readonly stalled: number;
  /** Connections that are opened a second; {@link RAMP_PER_SECOND} unless said otherwise. */
  readonly rampPerSecond?: number;
}

/** Who serves: a contender and how it is set up. */
export interface Subject {
  /** What tables call it. */
  readonly label: string;
  readonly contender: Contender['name'];
  /** More environment variables. */
  readonly settings: Readonly<Record<string, string>>;
}

/** One run at one rate. */
export interface Trial {
  /** What was offered, in publications per second over all channels. */
  readonly rate: number;
  readonly seconds: number;
  readonly published: number;
  readonly expected: number;
  readonly received: number;
  readonly disconnected: number;
  /** From the last publication until everybody had everything, in ms; undefined if that took too long. */
  readonly backlogMs: number | undefined;
  /** Whether everybody who reads got everything in time, once, and was not disconnected. */
  readonly whole: boolean;
  /** Clients that were not disconnected; the five counts that follow are among these. */
  readonly stayed: number;
  /** Clients that miss something, and those that received something twice. */
  readonly short: number;
  readonly over: number;
  /**
   * Of the short ones those that were told exactly how much they miss; those that were told no gap;
   * and those that were told of less than they miss, by gaps that all have a number.
   */
  readonly told: number;
  readonly untold: number;
  readonly undertold: number;
  /** `gap` frames that came, and the losses that they gave a number. */
  readonly gaps: number;
  readonly gapLost: number;
  readonly deliveriesPerSecond: number;
  /** CPU of the server, user and system, from the first publication until everything had arrived. */
  readonly cpuMicrosPerDelivery: number;
  /** From when a publication was due until a client had read it; a sample of all. */
  readonly latency: Percentiles | undefined;
  /** How busy the server's core and the load's core were, from 0 to 1; polling in vain does not count. */
  readonly serverCore: number;
  readonly loadCore: number;
  /** How late the publisher was at worst, in ms. It is part of every latency. */
  readonly publisherBehindMs: number;
}

/** A server, its clients and a publisher. */
export interface Arena extends AsyncDisposable {
  readonly server: RunningContender;
  /** The deliveries that one publication makes, on average. */
  readonly fanOut: number;
  /**
   * Offers publications at this rate, in publications per second, and sees what arrives.
   *
   * @param settleMs how long what was published may be on its way after the last publication; see
   *   {@link BACKLOG_LIMIT_MS}.
   */
  trial(rate: number, seconds: number, settleMs?: number): Promise<Trial>;
  /** Publishes at this rate, in publications per second, until it is disposed; nothing is measured. */
  keepPublishing(rate: number): Promise<AsyncDisposable>;
  /** Stalled clients vanish, without a close frame; resolves when they have gone on this side. */
  dropStalled(): Promise<void>;
}

/** A backlog of this much after the last publication is none, in ms. */
export const BACKLOG_LIMIT_MS = 2_000;

/** How often it is checked whether everything has arrived, in ms. */
const POLL_MS = 50;

/** Connections that are opened a second. Any contender can take that many. */
const RAMP_PER_SECOND = 2_000;

/** The same choice of channels for every contender and run. */
const SEED = 20_260_114;

/**
 * Starts a server and connects all clients. Rejects if one of them does not get subscribed.
 *
 * @param sequenced what becomes of publications with offsets; without it they have none.
 */
export async function openArena(
  subject: Subject,
  shape: LoadShape,
  redisUrl: string,
  sequenced?: SequencedTerms,
): Promise<Arena> {
  await using stack = new AsyncDisposableStack();
  const contender = contenderOf(subject.contender);
  const server = stack.use(await startContender(contender, redisUrl, subject.settings));
  const channels = channelNames(shape);
  const publisherPlan = { redisUrl, channels, core: LOAD_CORE, sequenced };
  const publisher = stack.use(await startPublisher(publisherPlan));
  const load = stack.use(await startClients(server, contender, shape, channels));
  await connectClients(load, subject.label, shape.clients);
  const owned = stack.move();
  const held = shape.mode === 'random' ? shape.channelsPerClient : shape.channels;
  return {
    server,
    fanOut: (shape.clients * held) / shape.channels,
    async trial(rate, seconds, settleMs = BACKLOG_LIMIT_MS) {
      const offer = { rate, seconds, payloadBytes: shape.payloadBytes, settleMs };
      const seen = await runTrial({ server, publisher, load }, offer);
      return summarize(seen, steadyClients(shape), contender.numbersPerClient);
    },
    async keepPublishing(rate) {
      await publisher.start({ ratePerSecond: rate, payloadBytes: shape.payloadBytes });
      return {
        async [Symbol.asyncDispose]() {
          await publisher.stop();
        },
      };
    },
    dropStalled: () => load.dropWeak(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The channels of a shape, in the order of their numbers. */
export function channelNames(shape: LoadShape): readonly string[] {
  return Array.from({ length: shape.channels }, (_, i) => `SYMBOL-${i}.trade`);
}

/** How many of a shape's clients read. */
export function steadyClients(shape: LoadShape): number {
  return shape.clients - Math.floor(shape.clients * shape.stalled);
}

/** Starts a process for the clients, which do not connect yet. The caller ends it. */
export async function startClients(
  server: RunningContender,
  contender: Contender,
  shape: LoadShape,
  channels: readonly string[],
): Promise<Load> {
  return await startLoad({
    urls: [server.url],
    dialect: contender.dialect,
    connections: shape.clients,
    rampPerSecond: shape.rampPerSecond ?? RAMP_PER_SECOND,
    channels,
    mode: shape.mode,
    channelsPerClient: shape.channelsPerClient,
    seed: SEED,
    sampleEvery: shape.sampleEvery,
    reading: { slow: 0, stalled: shape.stalled },
    slowBytesPerSecond: 1,
    stallAfterMs: 0,
    connectionsPerProcess: shape.clients,
    cores: [LOAD_CORE],
    polls: true,
  });
}

/** Connects all clients. Rejects if one of them does not get subscribed. */
export async function connectClients(load: Load, label: string, clients: number): Promise<void> {
  await load.connect();
  const { subscribed, failed } = await load.sample();
  if (subscribed === clients) return;
  const reasons = JSON.stringify(failed);
  throw new Error(`${label}: ${subscribed} of ${clients} clients subscribed; ${reasons}`);
}

interface Parts {
  readonly server: RunningContender;
  readonly publisher: Publisher;
  readonly load: Load;
}

interface Offer {
  readonly rate: number;
  readonly seconds: number;
  readonly payloadBytes: number;
  readonly settleMs: number;
}

/** What was seen of one trial. */
interface Observations {
  readonly before: LoadSample;
  readonly after: LoadSample;
  readonly totals: PublisherTotals;
  readonly delivered: Delivered;
  readonly backlogMs: number | undefined;
  /** CPU time of the server, in s. */
  readonly cpu: number;
  readonly cores: CoreUsage;
  /** The CPU time that the load polled in vain, in ms. */
  readonly idleMs: number;
}

async function runTrial({ server, publisher, load }: Parts, offer: Offer): Promise<Observations> {
  const before = await load.sample();
  await load.mark();
  await load.takeIdleMs();
  const endWatch = await watchCores();
  const cpuBefore = await cpuSeconds(server.pid);
  await publisher.start({ ratePerSecond: offer.rate, payloadBytes: offer.payloadBytes });
  await sleep(offer.seconds * 1_000);
  const cores = await endWatch();
  const idleMs = await load.takeIdleMs();
  const totals = await publisher.stop();
  const { delivered, backlogMs } = await awaitDelivery(load, totals.published, offer.settleMs);
  const cpu = (await cpuSeconds(server.pid)) - cpuBefore;
  const after = await load.sample();
  return { before, after, totals, delivered, backlogMs, cpu, cores, idleMs };
}

/** The server may have died of the load: then its CPU time is unknown. */
async function cpuSeconds(pid: number): Promise<number> {
  try {
    const { user, system } = await readCpuTime(pid);
    return user + system;
  } catch {
    return Number.NaN;
  }
}

/** Waits until every client that is still there has everything, or was told exactly what it lost. */
async function awaitDelivery(
  load: Load,
  published: readonly number[],
  settleMs: number,
): Promise<{ readonly delivered: Delivered; readonly backlogMs: number | undefined }> {
  const startedAt = performance.now();
  for (;;) {
    const { steady } = await load.verdict(published);
    const elapsedMs = performance.now() - startedAt;
    const settled = steady.exact + steady.told === steady.connections;
    if (settled) return { delivered: steady, backlogMs: elapsedMs };
    if (elapsedMs > settleMs) return { delivered: steady, backlogMs: undefined };
    await sleep(POLL_MS);
  }
}

function summarize(seen: Observations, steady: number, numbersPerClient: boolean): Trial {
  const { before, after, totals, delivered, backlogMs, cpu, cores, idleMs } = seen;
  const histogram = new LatencyHistogram();
  for (const counts of after.latencies) histogram.add(counts);
  const oddities = after.missing - before.missing + after.disordered - before.disordered;
  return {
    rate: totals.total / totals.seconds,
    seconds: totals.seconds,
    published: totals.total,
    expected: delivered.expected,
    received: delivered.received,
    disconnected: delivered.ended,
    backlogMs,
    whole:
      backlogMs !== undefined &&
      delivered.exact === steady &&
      (!numbersPerClient || oddities === 0),
    stayed: delivered.connections,
    short: delivered.short,
    over: delivered.over,
    told: delivered.told,
    untold: delivered.untold,
    undertold: delivered.undertold,
    gaps: after.gaps - before.gaps,
    gapLost: after.gapLost - before.gapLost,
    deliveriesPerSecond: delivered.received / totals.seconds,
    cpuMicrosPerDelivery: (cpu * 1e6) / delivered.received,
    latency: histogram.percentiles(),
    serverCore: cores(SERVER_CORE),
    loadCore: cores(LOAD_CORE) - idleMs / 1_000 / totals.seconds,
    publisherBehindMs: totals.maxBehindMs,
  };
}
