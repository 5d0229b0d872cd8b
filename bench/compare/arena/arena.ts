import { setTimeout as sleep } from 'node:timers/promises';
import { LatencyHistogram, type Percentiles } from '@tradewind/dev';
import { type Load, startLoad } from '../../load/clients/load.ts';
import type { Delivered, LoadSample } from '../../load/clients/load-plan.ts';
import type { SubscriptionMode } from '../../load/clients/subscription-plan.ts';
import { readCpuTime } from '../../load/processes/process-usage.ts';
import { type Publisher, startPublisher } from '../../load/publishing/publisher.ts';
import type { PublisherTotals, SequencedTerms } from '../../load/publishing/publisher-plan.ts';
import type { DialectChoice } from '../../load/wire/dialect.ts';
import {
  type Contender,
  contenderOf,
  type RunningContender,
  startContender,
} from './contenders.ts';
import { type CoreUsage, watchCores } from './core-usage.ts';
import { LOAD_CORE, SERVER_CORE } from './cores.ts';

/** The load of clients, the same for every server. */
export interface LoadShape {
  readonly clients: number;
  readonly channels: number;
  readonly mode: SubscriptionMode;
  /** For the mode `random`. */
  readonly channelsPerClient: number;
  readonly payloadBytes: number;
  /** The latency of one in this many publications of a client is measured; each costs the load process time. */
  readonly sampleEvery: number;
  /** The share of clients that stop reading once they are subscribed, from 0 to 1. */
  readonly stalled: number;
  /** Connections opened a second; default {@link RAMP_PER_SECOND}. */
  readonly rampPerSecond?: number;
}

/** The server under test: a contender and its settings. */
export interface Subject {
  /** Its name in tables. */
  readonly label: string;
  readonly contender: Contender['name'];
  /** Environment variables besides those of the contender. */
  readonly settings: Readonly<Record<string, string>>;
  /** How clients talk to it, if not as to the contender. */
  readonly dialect?: DialectChoice;
}

/** One run at one rate. */
export interface Trial {
  /** The offered rate, in publications per second over all channels. */
  readonly rate: number;
  readonly seconds: number;
  readonly published: number;
  readonly expected: number;
  readonly received: number;
  readonly disconnected: number;
  /** From the last publication until every client had received everything, in ms; undefined if that took too long. */
  readonly backlogMs: number | undefined;
  /** Whether every reading client received everything once and in time, and was not disconnected. */
  readonly whole: boolean;
  /** Clients that were not disconnected; the five counts that follow are a part of these. */
  readonly stayed: number;
  /** Clients that missed something, and those that received something twice. */
  readonly short: number;
  readonly over: number;
  /**
   * Of the short ones: those whose gap notices gave the exact number, those without a gap notice, and those whose gap
   * notices all had a number, with a sum below what they missed.
   */
  readonly told: number;
  readonly untold: number;
  readonly undertold: number;
  /** `gap` frames received, and the sum of the losses in them. */
  readonly gaps: number;
  readonly gapLost: number;
  readonly deliveriesPerSecond: number;
  /** CPU of the server, user and system, from the first publication until everything had been delivered. */
  readonly cpuMicrosPerDelivery: number;
  /** From the time at which a publication was due until a client had read it; sampled. */
  readonly latency: Percentiles | undefined;
  /** How busy the server's core and the load's core were, from 0 to 1; without polling in vain. */
  readonly serverCore: number;
  readonly loadCore: number;
  /** The highest delay of the publisher, in ms. It is part of every latency. */
  readonly publisherBehindMs: number;
}

/** A server, its clients and a publisher. */
export interface Arena extends AsyncDisposable {
  readonly server: RunningContender;
  /** Deliveries that one publication causes, on average. */
  readonly fanOut: number;
  /**
   * Offers publications at this rate, in publications per second, and measures what arrives.
   *
   * @param settleMs how long publications may take to arrive after the last one, in ms; see {@link BACKLOG_LIMIT_MS}.
   */
  trial(rate: number, seconds: number, settleMs?: number): Promise<Trial>;
  /** Publishes at this rate, in publications per second, until it is disposed; measures nothing. */
  keepPublishing(rate: number): Promise<AsyncDisposable>;
  /** Drops stalled clients without a close frame; resolves after they have gone on this side. */
  dropStalled(): Promise<void>;
}

/** A backlog of up to this, in ms after the last publication, counts as none. */
export const BACKLOG_LIMIT_MS = 2_000;

/** How often delivery is checked for completeness, in ms. */
const POLL_MS = 50;

/** Connections opened a second. Every contender can accept this many. */
const RAMP_PER_SECOND = 2_000;

/** Gives every contender and run the same choice of channels. */
const SEED = 20_260_114;

/**
 * Starts a server and connects all clients. Rejects if one of them does not get subscribed.
 *
 * @param sequenced the terms of publications with offsets; if undefined, publications have none.
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
  const dialect = subject.dialect ?? contender.dialect;
  const load = stack.use(await startClients(server, dialect, shape, channels));
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

/** The number of a shape's clients that read. */
export function steadyClients(shape: LoadShape): number {
  return shape.clients - Math.floor(shape.clients * shape.stalled);
}

/** Starts a process for the clients without connecting them. The caller ends it. */
export async function startClients(
  server: RunningContender,
  dialect: DialectChoice,
  shape: LoadShape,
  channels: readonly string[],
): Promise<Load> {
  return await startLoad({
    urls: [server.url],
    dialect,
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

/** The measurements of one trial. */
interface Observations {
  readonly before: LoadSample;
  readonly after: LoadSample;
  readonly totals: PublisherTotals;
  readonly delivered: Delivered;
  readonly backlogMs: number | undefined;
  /** CPU time of the server, in s. */
  readonly cpu: number;
  readonly cores: CoreUsage;
  /** The CPU time that the load spent on polling in vain, in ms. */
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

/** Returns the server's CPU time, which is unknown if the server died of the load. */
async function cpuSeconds(pid: number): Promise<number> {
  try {
    const { user, system } = await readCpuTime(pid);
    return user + system;
  } catch {
    return Number.NaN;
  }
}

/** Waits until every connected client has received everything or the exact number of what it lost. */
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
