import { Redis } from 'ioredis';
import { type CalledChild, startCalledChild } from '../load/child-calls.ts';
import { LOAD_CORE } from './cores.ts';
import { compare, measurementsOf, measurePairs } from './pairs.ts';
import type { PublishCostCalls, PublishRun, PublishWay } from './publish-cost-plan.ts';
import { median, type RatioSummary } from './ratio.ts';
import { readRedis, redisUsageBetween } from './redis-usage.ts';
import { formatNumber, formatRatio, formatShare, formatTable } from './table.ts';

const PROCESS = new URL('./publish-cost-process.ts', import.meta.url);

/** What to publish in every way, in runs as fast as Redis answers. */
export interface PublishCostPlan {
  readonly payloads: readonly number[];
  readonly pairs: number;
  readonly seconds: number;
}

/** One run. */
export interface PublishCost {
  readonly publicationsPerSecond: number;
  /** CPU time of Redis and of the publisher, user and system. */
  readonly redisMicros: number;
  readonly publisherMicros: number;
  /** How busy their cores were with them, from 0 to 1. */
  readonly redisCore: number;
  readonly publisherCore: number;
}

/** All ways with one size of payload. */
export interface PublishCostRows {
  readonly payloadBytes: number;
  readonly sides: readonly { readonly label: string; readonly runs: readonly PublishCost[] }[];
  /** The script's, divided by those of a plain PUBLISH. */
  readonly ratios: readonly {
    readonly label: string;
    readonly publicationsPerSecond: RatioSummary;
    readonly redisMicros: RatioSummary;
  }[];
}

export interface PublishCostResult {
  readonly plan: PublishCostPlan;
  readonly rows: readonly PublishCostRows[];
}

interface NamedWay {
  readonly label: string;
  readonly way: PublishWay;
}

const PLAIN: NamedWay = { label: 'PUBLISH', way: { kind: 'plain' } };

const SCRIPTS: readonly NamedWay[] = [0, 1_000].flatMap((historySize) =>
  [false, true].map((keys) => ({
    label: `script, history ${formatNumber(historySize)}${keys ? ', key' : ''}`,
    way: { kind: 'script', historySize, keys } as const,
  })),
);

const CHANNELS = Array.from({ length: 20 }, (_, i) => `SYMBOL-${i}.trade`);

/** As many as ingest has on their way. */
const IN_FLIGHT = 512;

/**
 * The same before each measured run, in s: until histories are full, and the first keys are forgotten.
 */
const WARM_UP_SECONDS = 2;

/** Above this share the publisher's core has nothing left to give. */
const CORE_IS_FULL = 0.95;

/**
 * Publishes with the product's own client from one process, in every way, each time to an empty Redis
 * and to channels without a subscriber.
 *
 * @param redisUrl a Redis that nobody else uses: it is emptied.
 */
export async function measurePublishing(
  plan: PublishCostPlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<PublishCostResult> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.adopt(new Redis(redisUrl), async (connection) => connection.disconnect());
  const child = stack.use(await startCalledChild<PublishCostCalls>(PROCESS, LOAD_CORE));
  await child.call('connect', redisUrl);
  const rows: PublishCostRows[] = [];
  for (const payloadBytes of plan.payloads) {
    const measure = async ({ label, way }: NamedWay): Promise<PublishCost> => {
      const { seconds } = plan;
      const run = { way, payloadBytes, channels: CHANNELS, inFlight: IN_FLIGHT, seconds };
      const cost = await measureWay(run, redis, child);
      report(
        `${label}, ${payloadBytes} bytes: ${formatNumber(cost.publicationsPerSecond)}/s, ` +
          `${formatNumber(cost.redisMicros)} µs of Redis`,
      );
      return cost;
    };
    const pairs = await measurePairs(PLAIN, SCRIPTS, plan.pairs, measure);
    rows.push({
      payloadBytes,
      sides: [PLAIN, ...SCRIPTS].map((named) => ({
        label: named.label,
        runs: measurementsOf(pairs, PLAIN, named),
      })),
      // By the reciprocals, since a pair's ratio is that of its base to its opponent.
      ratios: SCRIPTS.map((script) => ({
        label: script.label,
        publicationsPerSecond: compare(pairs, script, (cost) => 1 / cost.publicationsPerSecond),
        redisMicros: compare(pairs, script, (cost) => 1 / cost.redisMicros),
      })),
    });
  }
  return { plan, rows };
}

async function measureWay(
  run: PublishRun,
  redis: Redis,
  child: CalledChild<PublishCostCalls>,
): Promise<PublishCost> {
  await redis.flushall('SYNC');
  await child.call('run', { ...run, seconds: Math.min(run.seconds, WARM_UP_SECONDS) });
  const before = await readRedis(redis);
  const { published, seconds, cpuSeconds } = await child.call('run', run);
  const used = redisUsageBetween(before, await readRedis(redis));
  return {
    publicationsPerSecond: published / seconds,
    redisMicros: (used.cpuSeconds * 1e6) / published,
    publisherMicros: (cpuSeconds * 1e6) / published,
    redisCore: used.cpuSeconds / used.seconds,
    publisherCore: cpuSeconds / seconds,
  };
}

/** The lines that a person reads. */
export function describePublishing({ plan, rows }: PublishCostResult): string {
  return [
    'The publish script and plain PUBLISH: one process, one connection, no subscriber',
    `${IN_FLIGHT} on their way over ${CHANNELS.length} channels, runs of ${plan.seconds} s; ` +
      'medians; CPU per publication',
    ...rows.flatMap((row) => ['', ...describeRows(row)]),
  ].join('\n');
}

function describeRows({ payloadBytes, sides, ratios }: PublishCostRows): readonly string[] {
  const cells = sides.map(({ label, runs }) => {
    const middle = (quantity: (cost: PublishCost) => number): number => median(runs.map(quantity));
    return [
      label,
      formatNumber(middle((cost) => cost.publicationsPerSecond)),
      formatNumber(middle((cost) => cost.redisMicros)),
      formatNumber(middle((cost) => cost.publisherMicros)),
      formatShare(middle((cost) => cost.redisCore)),
      formatShare(middle((cost) => cost.publisherCore)),
    ];
  });
  const header = [
    `${payloadBytes} bytes`,
    'publications/s',
    'Redis µs',
    'publisher µs',
    'Redis core',
    'publisher core',
  ];
  const bounded = sides.filter(({ runs }) =>
    runs.some(({ publisherCore }) => publisherCore > CORE_IS_FULL),
  );
  return [
    formatTable(header, cells),
    '',
    ...ratios.flatMap(({ label, publicationsPerSecond, redisMicros }) => [
      formatRatio(`publications/s, ${label} / ${PLAIN.label}`, publicationsPerSecond),
      formatRatio(`Redis’ CPU, ${label} / ${PLAIN.label}`, redisMicros),
    ]),
    ...bounded.map(({ label }) => `${label}: the publisher’s core was full; Redis may take more`),
  ];
}
