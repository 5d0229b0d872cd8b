import { setTimeout as sleep } from 'node:timers/promises';
import { INSPECTABLE } from '../../../test/support/services/inspector.ts';
import { eventually } from '../../../test/support/suite/wait.ts';
import { readMemory } from '../../load/processes/process-usage.ts';
import {
  type Arena,
  type LoadShape,
  openArena,
  type Subject,
  steadyClients,
  type Trial,
} from '../arena/arena.ts';
import {
  type EdgeMemory,
  type MeasuredEdge,
  measuredEdge,
  readCollectedMemory,
  readEdgeMemory,
} from '../arena/edge-memory.ts';
import { boundSendBuffers } from '../arena/kernel-send-buffers.ts';
import { leastHeld, type PssReading, ReturnWatch, type UnforcedReturn } from './return-watch.ts';

/** Clients of which some stall, and how long publications are sent. */
export interface StalledPlan {
  readonly shape: LoadShape;
  readonly seconds: number;
  readonly rounds: number;
}

/** The load on one edge, and its memory. */
export interface StalledRun {
  readonly trial: Trial;
  /** Bytes of payload that the measured run sent towards each client. */
  readonly bytesTowardsEach: number;
  /** Publications that full queues refused, and clients that were disconnected as slow. */
  readonly refusals: number;
  readonly slowDisconnects: number;
  /** Open connections after publishing, as the edge counts them. */
  readonly connections: number;
  /** After publishing: at once, and after a collection. */
  readonly published: EdgeMemory;
  readonly publishedCollected: EdgeMemory;
  /** After a collection once the stalled clients had left. */
  readonly leftCollected: EdgeMemory;
}

/**
 * An edge whose stalled clients leave. Nothing forces a collection, neither before nor after they leave, until the
 * memory that was returned by itself has been read.
 */
export interface LeavingRun {
  readonly trial: Trial;
  /**
   * As in {@link StalledRun}, over the whole run. Without refusals no client stalled, and a client that was
   * disconnected did not leave.
   */
  readonly refusals: number;
  readonly slowDisconnects: number;
  /** PSS in a pause of publishing before they left, in bytes. */
  readonly publishedPssBytes: number;
  /** While publishing continued at the same rate to the clients that read. */
  readonly left: UnforcedReturn;
  /** Afterwards, as in {@link StalledRun.leftCollected}. */
  readonly leftCollected: EdgeMemory;
}

/**
 * One round of the same clients: without those that stall, with them, with all of them reading, and with them until
 * they leave.
 */
export interface StalledRound {
  readonly without: StalledRun;
  /**
   * The lowest stable PSS of the edge without stalled clients while publishing continued, in bytes: the bound for
   * `leaving`.
   */
  readonly withoutPublishingPssBytes: number;
  readonly stalled: StalledRun;
  readonly reading: StalledRun;
  readonly leaving: LeavingRun;
}

export interface StalledResult extends StalledPlan {
  /** The number of clients that stall, and of those that do not. */
  readonly stalledClients: number;
  readonly steadyClients: number;
  readonly tcpWmem: string;
  /** Why the kernel's send buffers could not be bounded; undefined if they were. */
  readonly tcpWmemFailure: string | undefined;
  readonly roundsMeasured: readonly StalledRound[];
}

/** Payload bytes sent towards each client in a measured run: 10 MiB. */
export const BYTES_TOWARDS_EACH = 10 * 1024 * 1024;

/**
 * The longest run, in s. No client may be disconnected as slow during the measurement, and the longest time that an
 * edge tolerates is 600 s, including warm-up and what follows.
 */
export const LONGEST_STALLED_SECONDS = 500;

/** Seconds of the same load before the measured run, for compilation and growth of buffers. */
const WARM_UP_SECONDS = 3;

/** How long an edge may take to notice that clients have vanished, in ms. */
const LEFT_DEADLINE_MS = 30_000;

/** An edge frees what clients needed within 2 s after they left; after this long, in ms, it has. */
const GIVE_UP_MS = 4_000;

/** The goal for a stalled client, in bytes of process memory. */
export const GOAL_BYTES = 64e3;

/**
 * Bytes that a departed client may still hold for its memory to count as returned: a tenth of the goal. Garbage makes
 * two fresh edges differ by some MB at any moment, which is KB for each of a thousand clients, so a lower bound would
 * show nothing.
 */
export const BACK_BYTES = GOAL_BYTES / 10;

/** How long memory may take to be returned by itself, in s. Only V8 and the allocator return it. */
const BACK_DEADLINE_SECONDS = 60;

/** How often PSS is read during that time, in ms. The kernel answers; the edge is not involved. */
const WATCH_MS = 500;

/** How long PSS is read of an edge without stalled clients, in s. */
const BASELINE_SECONDS = 40;

/** Stalled clients are not disconnected, neither as slow nor for a missing pong. */
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
 * Measures the cost of clients that stall, in rounds: without them, with them, with the same ones reading, and with
 * them until they leave. Each comparison is one of neighbours, each with a fresh edge and fresh clients.
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

/**
 * Makes the stalled clients leave, and waits without touching the edge until its PSS is at most `backBytes`, or until
 * the deadline.
 */
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
  // Not earlier: the work of answering could itself make the edge return memory.
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

/** The lowest stable PSS of an edge while publishing continues, in bytes. */
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

/** The rate at which each client is sent the planned bytes, in publications per second. */
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
