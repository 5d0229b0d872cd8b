import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { SequencedTerms } from '../load/publisher-plan.ts';
import type { MeterReading } from './allocation-count.ts';
import { type LoadShape, openArena, type Subject, type Trial } from './arena.ts';
import type { RunningContender } from './contenders.ts';
import { readMeter } from './metered-process.ts';
import { compare, measurementsOf, measurePairs } from './pairs.ts';
import type { RatioSummary } from './ratio.ts';
import {
  callsOf,
  type RedisReading,
  type RedisUsage,
  readRedis,
  redisUsageBetween,
} from './redis-usage.ts';
import { formatNumber } from './table.ts';

/** What is compared: an edge that checks, and the same without. */
interface ChecksPlan {
  /** Both were started with `METERED`. */
  readonly checked: Subject;
  readonly unchecked: Subject;
  readonly shape: LoadShape;
  readonly sequenced: SequencedTerms;
  readonly pairs: number;
  readonly seconds: number;
}

/** Both under the same publications. */
export interface BusyPlan extends ChecksPlan {
  readonly publicationsPerSecond: number;
}

/** Both while nothing is published any more. */
export interface QuietPlan extends ChecksPlan {
  /** How long everything has been quiet before it is measured, in s. */
  readonly settleSeconds: number;
}

/** What an edge and its Redis took over a time. */
export interface TierUsage {
  readonly seconds: number;
  /** CPU time of the edge, all threads, user and system. */
  readonly edgeCpuSeconds: number;
  /** What its main thread allocated on the heap, and how often and for how long that was collected. */
  readonly heapBytes: number;
  readonly collections: number;
  readonly collectingSeconds: number;
  readonly redis: RedisUsage;
}

export interface BusyRun {
  readonly trial: Trial;
  readonly usage: TierUsage;
}

/** A side's runs, in the order in which they were measured. */
export interface ChecksSide<Run> {
  readonly label: string;
  readonly runs: readonly Run[];
}

export interface ChecksResult<Plan, Run> {
  readonly plan: Plan;
  readonly sides: readonly [checked: ChecksSide<Run>, unchecked: ChecksSide<Run>];
  /** What the checked edge took, divided by what the other one did. */
  readonly ratios: readonly { readonly of: string; readonly ratio: RatioSummary }[];
}

export type BusyResult = ChecksResult<BusyPlan, BusyRun>;
export type QuietResult = ChecksResult<QuietPlan, TierUsage>;

type Report = (line: string) => void;

/** The same load before each measured run, so that code is compiled and buffers have grown, in s. */
const WARM_UP_SECONDS = 3;

/**
 * Publications a second with which all channels of a quiet run get their first one, and how long these may
 * be on their way after that, in ms: what comes before the quiet need not be fast.
 */
const FIRST_PUBLICATIONS_PER_SECOND = 2_000;
const FIRST_SETTLE_MS = 30_000;

/** Offers both the same, each time with a fresh edge and fresh clients. */
export async function compareBusy(
  plan: BusyPlan,
  redisUrl: string,
  report: Report,
): Promise<BusyResult> {
  const { shape, sequenced, seconds, publicationsPerSecond } = plan;

  async function measure(subject: Subject): Promise<BusyRun> {
    await using arena = await openArena(subject, shape, redisUrl, sequenced);
    await arena.trial(publicationsPerSecond, Math.min(seconds, WARM_UP_SECONDS));
    using tier = watchTier(arena.server, redisUrl);
    const before = await tier.read();
    const trial = await arena.trial(publicationsPerSecond, seconds);
    const usage = tierUsageBetween(before, await tier.read());
    report(
      `${subject.label}: ${trial.whole ? 'whole' : 'NOT whole'}, ` +
        `${formatNumber(trial.cpuMicrosPerDelivery)} µs CPU, ` +
        `${formatNumber(usage.heapBytes / trial.received)} bytes, ` +
        `${formatNumber(callsOf(usage.redis) / usage.seconds)} Redis commands/s`,
    );
    return { trial, usage };
  }

  return await compareChecks(plan, measure, {
    'CPU per delivery': ({ trial }) => trial.cpuMicrosPerDelivery,
    'heap per delivery': ({ trial, usage }) => usage.heapBytes / trial.received,
    'Redis commands per delivery': ({ trial, usage }) => callsOf(usage.redis) / trial.received,
    'Redis’ CPU per delivery': ({ trial, usage }) => usage.redis.cpuSeconds / trial.received,
    p99: ({ trial }) => trial.latency?.p99 ?? Number.NaN,
  });
}

/** Gives each channel one publication, and then none, each time with a fresh edge. */
export async function compareQuiet(
  plan: QuietPlan,
  redisUrl: string,
  report: Report,
): Promise<QuietResult> {
  const { shape, sequenced, seconds, settleSeconds } = plan;

  async function measure(subject: Subject): Promise<TierUsage> {
    await using arena = await openArena(subject, shape, redisUrl, sequenced);
    const published = await arena.trial(
      FIRST_PUBLICATIONS_PER_SECOND,
      shape.channels / FIRST_PUBLICATIONS_PER_SECOND,
      FIRST_SETTLE_MS,
    );
    if (!published.whole || published.published < shape.channels)
      throw new Error(`${subject.label}: not every channel was published to and delivered`);
    await sleep(settleSeconds * 1_000);
    using tier = watchTier(arena.server, redisUrl);
    const before = await tier.read();
    await sleep(seconds * 1_000);
    const usage = tierUsageBetween(before, await tier.read());
    report(
      `${subject.label}, quiet: ${formatNumber(callsOf(usage.redis) / usage.seconds)} Redis commands/s`,
    );
    return usage;
  }

  return await compareChecks(plan, measure, {
    'the edge’s CPU': ({ edgeCpuSeconds, seconds }) => edgeCpuSeconds / seconds,
    heap: (usage) => usage.heapBytes / usage.seconds,
    'Redis commands': ({ redis }) => callsOf(redis) / redis.seconds,
    'Redis’ CPU': ({ redis }) => redis.cpuSeconds / redis.seconds,
  });
}

async function compareChecks<Plan extends ChecksPlan, Run>(
  plan: Plan,
  measure: (subject: Subject) => Promise<Run>,
  quantities: Readonly<Record<string, (run: Run) => number>>,
): Promise<ChecksResult<Plan, Run>> {
  const { checked, unchecked } = plan;
  const pairs = await measurePairs(checked, [unchecked], plan.pairs, measure);
  const sideOf = (subject: Subject): ChecksSide<Run> => ({
    label: subject.label,
    runs: measurementsOf(pairs, checked, subject),
  });
  return {
    plan,
    sides: [sideOf(checked), sideOf(unchecked)],
    ratios: Object.entries(quantities).map(([of, quantity]) => ({
      of,
      ratio: compare(pairs, unchecked, quantity),
    })),
  };
}

/** Where an edge and its Redis stand. */
interface TierReading {
  readonly edge: MeterReading;
  readonly redis: RedisReading;
}

/** Reads an edge that is metered, and its Redis over a connection of its own. */
function watchTier(
  edge: RunningContender,
  redisUrl: string,
): Disposable & { read(): Promise<TierReading> } {
  const connection = new Redis(redisUrl);
  return {
    read: async () => ({ edge: await readMeter(edge), redis: await readRedis(connection) }),
    [Symbol.dispose]: () => connection.disconnect(),
  };
}

function tierUsageBetween(before: TierReading, after: TierReading): TierUsage {
  const redis = redisUsageBetween(before.redis, after.redis);
  return {
    seconds: redis.seconds,
    edgeCpuSeconds: (after.edge.cpuMicros - before.edge.cpuMicros) / 1e6,
    heapBytes: after.edge.heapBytes - before.edge.heapBytes,
    collections: after.edge.collections - before.edge.collections,
    collectingSeconds: (after.edge.collectingMicros - before.edge.collectingMicros) / 1e6,
    redis,
  };
}
