import { setTimeout as sleep } from 'node:timers/promises';
import { collectGarbage, INSPECTABLE } from '../support/inspector.ts';
import { eventually } from '../support/wait.ts';
import { type LoadShape, openArena, type Subject, steadyClients, type Trial } from './arena.ts';
import {
  type EdgeMemory,
  type MeasuredEdge,
  measuredEdge,
  readCollectedMemory,
  readEdgeMemory,
} from './edge-memory.ts';
import { boundSendBuffers } from './kernel-send-buffers.ts';

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
  /** When those that stalled had gone: after a collection, a return of free memory, and another collection. */
  readonly leftCollected: EdgeMemory;
}

/** One round: the same clients, with those that stall, without them, and with all of them reading. */
export interface StalledRound {
  readonly without: StalledRun;
  readonly stalled: StalledRun;
  readonly reading: StalledRun;
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

/** An edge returns free memory every 30 s: after so long, in ms, it has. */
const RETURN_MS = 32_000;

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
 * Measures what clients cost that stall, in rounds: without them, with them, and with the same ones
 * reading. So each comparison is one of neighbours, each with a fresh edge and fresh clients.
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
    roundsMeasured.push({
      without: await measureRun('without them', without, plan, redisUrl, report),
      stalled: await measureRun('stalled', shape, plan, redisUrl, report),
      reading: await measureRun('all reading', reading, plan, redisUrl, report),
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
): Promise<StalledRun> {
  await using arena = await openArena(SUBJECT, shape, redisUrl);
  const edge = measuredEdge(arena.server);
  const rate = Math.ceil(BYTES_TOWARDS_EACH / shape.payloadBytes) / seconds;
  await arena.trial(rate, Math.min(seconds, WARM_UP_SECONDS));
  const trial = await arena.trial(rate, seconds);
  const published = await readEdgeMemory(edge);
  const metrics = await edge.metrics();
  const publishedCollected = await readCollectedMemory(edge);
  await arena.dropStalled();
  await untilConnected(edge, steadyClients(shape));
  await sleep(GIVE_UP_MS);
  await collectGarbage(edge);
  await sleep(RETURN_MS);
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

async function untilConnected(edge: MeasuredEdge, clients: number): Promise<void> {
  await eventually(
    async () => (await edge.metrics()).sum('tradewind_edge_connections') === clients,
    { deadlineMs: LEFT_DEADLINE_MS },
  );
}
