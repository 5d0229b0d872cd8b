import { Redis } from 'ioredis';
import type { SequencedTerms } from '../../load/publishing/publisher-plan.ts';
import { type LoadShape, openArena, type Subject, type Trial } from '../arena/arena.ts';
import { type RedisUsage, readRedis, redisUsageBetween } from '../arena/redis-usage.ts';
import { compare, measurementsOf, measurePairs } from '../figures/pairs.ts';
import { median, type RatioSummary } from '../figures/ratio.ts';
import { formatNumber, formatRatio, formatShare, formatTable } from '../figures/table.ts';
import { type Bar, failuresOf, judge, judgeWhole, type Verdict } from '../figures/verdict.ts';

/** One edge under the same payloads, published in two ways. */
export interface SafetyPlan {
  readonly edge: Subject;
  readonly shape: LoadShape;
  readonly sequenced: SequencedTerms;
  readonly publicationsPerSecond: number;
  readonly pairs: number;
  readonly seconds: number;
  /** Seconds of the same load before each measured run. */
  readonly warmUpSeconds: number;
}

/** A way to publish: by the script if it has terms, otherwise by plain PUBLISH. */
interface Way {
  readonly label: string;
  readonly sequenced: SequencedTerms | undefined;
}

export interface SafetyRun {
  readonly trial: Trial;
  /** Redis' work during the run. */
  readonly redis: RedisUsage;
}

interface SafetySide {
  readonly label: string;
  /** In the order in which they were measured. */
  readonly runs: readonly SafetyRun[];
}

export interface SafetyResult {
  readonly plan: SafetyPlan;
  readonly script: SafetySide;
  readonly plain: SafetySide;
  /** The script's values, divided by those of plain PUBLISH. */
  readonly cpuPerDelivery: RatioSummary;
  readonly p99: RatioSummary;
}

/** The most that offsets may cost an edge while publications follow each other. Issue 17 set both bars. */
const CPU_BAR: Bar = { most: 1.05, text: 'at most 5 % more' };
const P99_BAR: Bar = { most: 1.1, text: 'at most 10 % more' };

/** The commands by which an edge reads positions, as Redis counts them. The publish script runs neither. */
const POSITION_READS = ['getrange', 'mget'];

/** Publishes the same payloads in both ways, each time with a fresh edge and fresh clients. */
export async function measureSafety(
  plan: SafetyPlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<SafetyResult> {
  const script: Way = { label: 'script', sequenced: plan.sequenced };
  const plain: Way = { label: 'PUBLISH', sequenced: undefined };
  const { edge, shape, publicationsPerSecond, seconds, warmUpSeconds } = plan;

  async function measure({ label, sequenced }: Way): Promise<SafetyRun> {
    await using arena = await openArena(edge, shape, redisUrl, sequenced);
    await using stack = new AsyncDisposableStack();
    const connection = stack.adopt(new Redis(redisUrl), async (one) => one.disconnect());
    await arena.trial(publicationsPerSecond, warmUpSeconds);
    const before = await readRedis(connection);
    const trial = await arena.trial(publicationsPerSecond, seconds);
    const run = { trial, redis: redisUsageBetween(before, await readRedis(connection)) };
    report(
      `${label}: ${trial.whole ? 'whole' : 'NOT whole'}, ` +
        `${formatNumber(trial.cpuMicrosPerDelivery)} µs CPU, ` +
        `p99 ${formatNumber(trial.latency?.p99)} ms, ${positionsReadIn(run)} positions read`,
    );
    return run;
  }

  const pairs = await measurePairs(script, [plain], plan.pairs, measure);
  const sideOf = (way: Way): SafetySide => ({
    label: way.label,
    runs: measurementsOf(pairs, script, way),
  });
  return {
    plan,
    script: sideOf(script),
    plain: sideOf(plain),
    cpuPerDelivery: compare(pairs, plain, ({ trial }) => trial.cpuMicrosPerDelivery),
    p99: compare(pairs, plain, ({ trial }) => trial.latency?.p99 ?? Number.NaN),
  };
}

/** The conditions that were not met. */
export function safetyFailures(result: SafetyResult): readonly string[] {
  return failuresOf(verdictsOf(result));
}

/** The result as lines for people. */
export function describeSafety(result: SafetyResult): string {
  const { plan, script, plain, cpuPerDelivery, p99 } = result;
  const { shape, publicationsPerSecond, seconds } = plan;
  const rows = [script, plain].map(({ label, runs }) => {
    const middle = (quantity: (run: SafetyRun) => number): number => median(runs.map(quantity));
    return [
      label,
      `${runs.filter(({ trial }) => trial.whole).length} of ${runs.length}`,
      formatNumber(middle(({ trial }) => trial.cpuMicrosPerDelivery)),
      formatNumber(middle(({ trial }) => trial.latency?.p50 ?? Number.NaN)),
      formatNumber(middle(({ trial }) => trial.latency?.p99 ?? Number.NaN)),
      formatNumber(Math.max(...runs.map(positionsReadIn))),
      formatNumber(middle(({ redis, trial }) => (redis.cpuSeconds * 1e6) / trial.published)),
      formatShare(middle(({ trial }) => trial.serverCore)),
      formatShare(middle(({ trial }) => trial.loadCore)),
    ];
  });
  const header = [
    ...['', 'whole runs', 'CPU µs', 'p50 ms', 'p99 ms', 'positions read, at most'],
    ...['Redis µs/publication', 'server core', 'load core'],
  ];
  return [
    'The same payloads by the publish script and by plain PUBLISH',
    `${shape.clients} clients, each on ${shape.channelsPerClient} of ${shape.channels} channels, ` +
      `${formatNumber(publicationsPerSecond)} publications/s of ${shape.payloadBytes} bytes, ` +
      `runs of ${seconds} s; medians; CPU of the edge per delivery`,
    '',
    formatTable(header, rows),
    '',
    formatRatio(`CPU per delivery, ${script.label} / ${plain.label}`, cpuPerDelivery),
    formatRatio(`p99, ${script.label} / ${plain.label}`, p99),
    ...verdictsOf(result).map(({ line }) => line),
  ].join('\n');
}

function verdictsOf({ script, plain, cpuPerDelivery, p99 }: SafetyResult): readonly Verdict[] {
  const wholeOf = ({ runs }: SafetySide) => runs.filter(({ trial }) => trial.whole).length;
  return [
    judgeWhole(wholeOf(script), wholeOf(plain), script.runs.length),
    judge('CPU per delivery', cpuPerDelivery, CPU_BAR),
    judge('p99', p99, P99_BAR),
    judgePositions(Math.max(...script.runs.map(positionsReadIn))),
  ];
}

function judgePositions(most: number): Verdict {
  const failed = most > 0;
  return {
    line: `verdict  positions read in a run, none: ${most}, ${failed ? 'FAILED' : 'passed'}`,
    failed,
  };
}

function positionsReadIn({ redis }: SafetyRun): number {
  return POSITION_READS.reduce((sum, name) => sum + (redis.calls[name] ?? 0), 0);
}
