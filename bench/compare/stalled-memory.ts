import { setTimeout as sleep } from 'node:timers/promises';
import { INSPECTABLE } from '../../test/support/inspector.ts';
import { eventually } from '../../test/support/wait.ts';
import { readMemory } from '../load/process-usage.ts';
import {
  type Arena,
  type LoadShape,
  openArena,
  type Subject,
  steadyClients,
  type Trial,
} from './arena.ts';
import {
  type EdgeMemory,
  type MeasuredEdge,
  measuredEdge,
  readCollectedMemory,
  readEdgeMemory,
} from './edge-memory.ts';
import { boundSendBuffers } from './kernel-send-buffers.ts';
import { leastHeld, type PssReading, ReturnWatch, type UnforcedReturn } from './return-watch.ts';

/** Clients of which some stall, and how long everybody is sent to. */
export interface StalledPlan {
  readonly shape: LoadShape;
  readonly seconds: number;
  readonly rounds: number;
}

/** One edge: what it bore, and its memory. */
export interface StalledRun {
  readonly trial: Trial;
  /** Bytes of payload that the measured run sent towards each client. */
  readonly bytesTowardsEach: number;
  /** Publications that full queues refused, and clients that were disconnected as slow. */
  readonly refusals: number;
  readonly slowDisconnects: number;
  /** Open connections when publishing was over, as the edge counts them. */
  readonly connections: number;
  /** When publishing was over: as it was, and after a collection. */
  readonly published: EdgeMemory;
  readonly publishedCollected: EdgeMemory;
  /** When those that stalled had gone: after a collection. */
  readonly leftCollected: EdgeMemory;
}

/**
 * An edge whose stalled clients leave, and which is left alone: nothing forces a collection until what
 * came back by itself has been read, neither while they are there nor when they have left.
 */
export interface LeavingRun {
  readonly trial: Trial;
  /** As of {@link StalledRun}, of the whole run: without refusals nobody stalled, and who was disconnected did not leave. */
  readonly refusals: number;
  readonly slowDisconnects: number;
  /** PSS when publishing at the measured rate was over for a moment, before they left, in bytes. */
  readonly publishedPssBytes: number;
  /** While publishing went on at the same rate to those that read. */
  readonly left: UnforcedReturn;
  /** Then, as {@link StalledRun.leftCollected}. */
  readonly leftCollected: EdgeMemory;
}

/** One round: the same clients, without those that stall, with them, with all of them reading, and with them until they leave. */
export interface StalledRound {
  readonly without: StalledRun;
  /** What PSS of the edge without them came down to while publishing went on, in bytes: `leaving` is to come down to that. */
  readonly withoutPublishingPssBytes: number;
  readonly stalled: StalledRun;
  readonly reading: StalledRun;
  readonly leaving: LeavingRun;
}

export interface StalledResult extends StalledPlan {
  /** The clients that stall, and those that do not. */
  readonly stalledClients: number;
  readonly steadyClients: number;
  readonly tcpWmem: string;
  /** Why the kernel's send buffers could not be bounded; undefined when they were. */
  readonly tcpWmemFailure: string | undefined;
  readonly roundsMeasured: readonly StalledRound[];
}

/** What is sent towards each client in a measured run, in bytes of payload: 10 MiB. */
export const BYTES_TOWARDS_EACH = 10 * 1024 * 1024;

/**
 * The longest run, in s: nobody may be disconnected as slow while it is measured, and the longest
 * that an edge puts up with is 600 s, warm-up and what follows included.
 */
export const LONGEST_STALLED_SECONDS = 500;

/** The same load before the measured run, so that code is compiled and buffers have grown, in s. */
const WARM_UP_SECONDS = 3;

/** How long an edge may take to notice that clients have vanished, in ms. */
const LEFT_DEADLINE_MS = 30_000;

/** An edge gives up what clients needed that left within 2 s: after so long, in ms, it has. */
const GIVE_UP_MS = 4_000;

/** What a stalled client may cost, in bytes of process memory. */
export const GOAL_BYTES = 64e3;

/**
 * What a client that stalled may still hold when its memory counts as back, in bytes: a tenth of that. Garbage makes
 * two fresh edges differ by some MB at any moment, which is KB for each of a thousand clients: less shows nothing.
 */
export const BACK_BYTES = GOAL_BYTES / 10;

/** How long memory may take to come back by itself, in s. Nothing but V8 and the allocator gives it back. */
const BACK_DEADLINE_SECONDS = 60;

/** How often PSS is read meanwhile, in ms. The kernel answers; the edge does nothing for it. */
const WATCH_MS = 500;

/** How long PSS is read of an edge that nobody stalled on, in s. */
const BASELINE_SECONDS = 40;

/** Stalled clients are not disconnected, neither as slow nor because they answer no ping. */
const SUBJECT: Subject = {
  label: 'edge',
  contender: 'edge',
  settings: {
    ...INSPECTABLE,
    EDGE_SLOW_GRACE_MS: '600000',
    EDGE_SLOW_MAX_LAG_MS: '600000',
    EDGE_PING_SECONDS: '3600',
  },
};

/**
 * Measures what clients cost that stall, in rounds: without them, with them, with the same ones
 * reading, and with them until they leave. So each comparison is one of neighbours, each with a fresh edge and fresh clients.
 */
export async function measureStalled(
  plan: StalledPlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<StalledResult> {
  const { shape } = plan;
  const steady = steadyClients(shape);
  const reading = { ...shape, stalled: 0 };
  const without = { ...reading, clients: steady };
  using sendBuffers = boundSendBuffers();
  const { sizes, failure } = sendBuffers;
  if (failure !== undefined) report(`kernel send buffers stay at ${sizes}: ${failure}`);
  const roundsMeasured: StalledRound[] = [];
  for (let round = 0; round < plan.rounds; round += 1) {
    let withoutPublishingPssBytes = Number.NaN;
    const watch = async (arena: Arena, edge: MeasuredEdge): Promise<void> => {
      withoutPublishingPssBytes = await restingPss(arena, edge, rateOf(shape, plan.seconds));
    };
    const withoutThem = await measureRun('without them', without, plan, redisUrl, report, watch);
    const backBytes = withoutPublishingPssBytes + BACK_BYTES * (shape.clients - steady);
    roundsMeasured.push({
      without: withoutThem,
      withoutPublishingPssBytes,
      stalled: await measureRun('stalled', shape, plan, redisUrl, report),
      reading: await measureRun('all reading', reading, plan, redisUrl, report),
      leaving: await measureLeaving(plan, backBytes, redisUrl, report),
    });
  }
  return {
    ...plan,
    stalledClients: shape.clients - steady,
    steadyClients: steady,
    tcpWmem: sizes,
    tcpWmemFailure: failure,
    roundsMeasured,
  };
}

async function measureRun(
  label: string,
  shape: LoadShape,
  { seconds }: StalledPlan,
  redisUrl: string,
  report: (line: string) => void,
  beforeCollection?: (arena: Arena, edge: MeasuredEdge) => Promise<void>,
): Promise<StalledRun> {
  await using arena = await openArena(SUBJECT, shape, redisUrl);
  const edge = measuredEdge(arena.server);
  const trial = await warmedTrial(arena, shape, seconds);
  const published = await readEdgeMemory(edge);
  const metrics = await edge.metrics();
  await beforeCollection?.(arena, edge);
  const publishedCollected = await readCollectedMemory(edge);
  await arena.dropStalled();
  await untilConnected(edge, steadyClients(shape));
  await sleep(GIVE_UP_MS);
  const leftCollected = await readCollectedMemory(edge);
  const refusals = metrics.sum('tradewind_edge_refusals_total') ?? 0;
  report(
    `${label}: ${trial.whole ? 'whole' : 'NOT whole'}, ${refusals} refusals, ` +
      `PSS ${Math.round(published.pssBytes / 1e6)} MB, p99 ${trial.latency?.p99 ?? '-'} ms`,
  );
  return {
    trial,
    bytesTowardsEach: trial.published * shape.payloadBytes,
    refusals,
    slowDisconnects: metrics.sum('tradewind_edge_disconnects_total', { reason: 'slow' }) ?? 0,
    connections: metrics.sum('tradewind_edge_connections') ?? 0,
    published,
    publishedCollected,
    leftCollected,
  };
}

/** Those that stall leave, and the edge is left alone until its PSS is at most `backBytes`, or does not get there. */
async function measureLeaving(
  { shape, seconds }: StalledPlan,
  backBytes: number,
  redisUrl: string,
  report: (line: string) => void,
): Promise<LeavingRun> {
  await using arena = await openArena(SUBJECT, shape, redisUrl);
  const edge = measuredEdge(arena.server);
  const trial = await warmedTrial(arena, shape, seconds);
  const { pssBytes: publishedPssBytes } = await readMemory(edge.pid);
  const left = await watchLeaving(arena, edge, rateOf(shape, seconds), backBytes);
  // Only now: what the edge would do to answer is not to be what brings its memory back.
  await untilConnected(edge, steadyClients(shape));
  const metrics = await edge.metrics();
  const refusals = metrics.sum('tradewind_edge_refusals_total') ?? 0;
  const slowDisconnects = metrics.sum('tradewind_edge_disconnects_total', { reason: 'slow' }) ?? 0;
  const leftCollected = await readCollectedMemory(edge);
  report(
    `leaving: ${trial.whole ? 'whole' : 'NOT whole'}, ${refusals} refusals, PSS ${Math.round(publishedPssBytes / 1e6)} MB, ` +
      `${left.isBack ? 'back' : 'NOT back'} after ${Math.round(left.seconds)} s, then ${Math.round(left.pssBytes / 1e6)} MB`,
  );
  return { trial, refusals, slowDisconnects, publishedPssBytes, left, leftCollected };
}

/** What an edge's PSS comes down to while publishing goes on, in bytes. */
async function restingPss(arena: Arena, edge: MeasuredEdge, rate: number): Promise<number> {
  await using _publishing = await arena.keepPublishing(rate);
  const startedAt = performance.now();
  const readings: PssReading[] = [];
  for (;;) {
    const { pssBytes } = await readMemory(edge.pid);
    const seconds = (performance.now() - startedAt) / 1_000;
    readings.push({ seconds, pssBytes });
    if (seconds > BASELINE_SECONDS) return leastHeld(readings);
    await sleep(WATCH_MS);
  }
}

async function watchLeaving(
  arena: Arena,
  edge: MeasuredEdge,
  rate: number,
  backBytes: number,
): Promise<UnforcedReturn> {
  await using _publishing = await arena.keepPublishing(rate);
  await arena.dropStalled();
  const leftAt = performance.now();
  const watch = new ReturnWatch(backBytes, BACK_DEADLINE_SECONDS);
  for (;;) {
    const { pssBytes } = await readMemory(edge.pid);
    const found = watch.take((performance.now() - leftAt) / 1_000, pssBytes);
    if (found !== undefined) return found;
    await sleep(WATCH_MS);
  }
}

/** At which everybody is sent what is to be sent towards each, in publications per second. */
function rateOf(shape: LoadShape, seconds: number): number {
  return Math.ceil(BYTES_TOWARDS_EACH / shape.payloadBytes) / seconds;
}

async function warmedTrial(arena: Arena, shape: LoadShape, seconds: number): Promise<Trial> {
  const rate = rateOf(shape, seconds);
  await arena.trial(rate, Math.min(seconds, WARM_UP_SECONDS));
  return await arena.trial(rate, seconds);
}

async function untilConnected(edge: MeasuredEdge, clients: number): Promise<void> {
  await eventually(
    async () => (await edge.metrics()).sum('tradewind_edge_connections') === clients,
    { deadlineMs: LEFT_DEADLINE_MS },
  );
}
