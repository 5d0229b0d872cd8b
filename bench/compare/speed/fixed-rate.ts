import { type LoadShape, openArena, type Subject, type Trial } from '../arena/arena.ts';
import { compare, measurementsOf, measurePairs, type Pair } from '../figures/pairs.ts';
import { median, type RatioSummary } from '../figures/ratio.ts';
import { formatNumber, formatRatio, formatShare, formatTable } from '../figures/table.ts';
import { AT_MOST_SLOWER, failuresOf, judge, judgeWhole, type Verdict } from '../figures/verdict.ts';
import { isOtherEdge } from './subjects.ts';

/** A comparison under one load. */
export interface FixedRatePlan {
  readonly title: string;
  readonly shape: LoadShape;
  /** Offered deliveries a second, over all clients. */
  readonly deliveriesPerSecond: number;
  readonly base: Subject;
  readonly opponents: readonly Subject[];
  readonly pairs: number;
  readonly seconds: number;
  /** Seconds of the same load before each measured run. */
  readonly warmUpSeconds: number;
}

/** One side of a comparison: its trials, and the medians over them. */
export interface FixedRateSide {
  readonly label: string;
  readonly wholeTrials: number;
  readonly cpuMicrosPerDelivery: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly serverCore: number;
  readonly loadCore: number;
  readonly trials: readonly Trial[];
}

export interface FixedRateResult extends FixedRatePlan {
  readonly sides: readonly FixedRateSide[];
  readonly ratios: readonly FixedRateRatio[];
}

/** The base's values divided by an opponent's. */
interface FixedRateRatio {
  readonly opponent: string;
  readonly cpuPerDelivery: RatioSummary;
  readonly p99: RatioSummary;
  /** Only if the opponent is another checkout's edge. */
  readonly verdicts: readonly Verdict[];
}

/**
 * Warm-up in s: long enough for compilation, growth of buffers and V8's first heap collections. Compilation takes 3 to
 * 5 s under a load that takes all of a core. If little has been allocated, V8 collects the whole heap once, 8 s after
 * many clients have connected: that costs as much as a tenth of a run of 4 s.
 */
export const WARM_UP_SECONDS = 10;

/** Offers all subjects the same load, each time with a fresh server and fresh clients. */
export async function compareAtFixedRate(
  plan: FixedRatePlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<FixedRateResult> {
  const { base, opponents, shape, seconds } = plan;

  async function measure(subject: Subject): Promise<Trial> {
    await using arena = await openArena(subject, shape, redisUrl);
    const rate = plan.deliveriesPerSecond / arena.fanOut;
    await arena.trial(rate, plan.warmUpSeconds);
    const trial = await arena.trial(rate, seconds);
    report(
      `${subject.label}: ${trial.whole ? 'whole' : 'NOT whole'}, ` +
        `${formatNumber(trial.cpuMicrosPerDelivery)} µs CPU, p99 ${formatNumber(trial.latency?.p99)} ms`,
    );
    return trial;
  }

  const pairs = await measurePairs(base, opponents, plan.pairs, measure);
  return {
    ...plan,
    sides: [base, ...opponents].map((subject) => sideOf(pairs, base, subject)),
    ratios: opponents.map((opponent) => ratioOf(pairs, opponent)),
  };
}

function ratioOf(pairs: readonly Pair<Subject, Trial>[], opponent: Subject): FixedRateRatio {
  const cpuPerDelivery = compare(pairs, opponent, (trial) => trial.cpuMicrosPerDelivery);
  const p99 = compare(pairs, opponent, (trial) => trial.latency?.p99 ?? Number.NaN);
  const shared = { opponent: opponent.label, cpuPerDelivery, p99 };
  if (!isOtherEdge(opponent)) return { ...shared, verdicts: [] };
  const faced = pairs.filter((pair) => pair.opponent === opponent);
  const ours = faced.filter(({ base }) => base.whole).length;
  const theirs = faced.filter(({ other }) => other.whole).length;
  const verdicts = [
    judgeWhole(ours, theirs, faced.length),
    judge('CPU per delivery', cpuPerDelivery, AT_MOST_SLOWER),
    judge('p99', p99, AT_MOST_SLOWER),
  ];
  return { ...shared, verdicts };
}

/** The verdicts that failed. */
export function fixedRateFailures({ ratios }: FixedRateResult): readonly string[] {
  return failuresOf(ratios.flatMap(({ verdicts }) => verdicts));
}

function sideOf(pairs: readonly Pair<Subject, Trial>[], base: Subject, subject: Subject) {
  const trials = measurementsOf(pairs, base, subject);
  const middle = (quantity: (trial: Trial) => number): number => median(trials.map(quantity));
  return {
    label: subject.label,
    wholeTrials: trials.filter(({ whole }) => whole).length,
    cpuMicrosPerDelivery: middle((trial) => trial.cpuMicrosPerDelivery),
    p50Ms: middle((trial) => trial.latency?.p50 ?? Number.NaN),
    p99Ms: middle((trial) => trial.latency?.p99 ?? Number.NaN),
    serverCore: middle((trial) => trial.serverCore),
    loadCore: middle((trial) => trial.loadCore),
    trials,
  };
}

/** The result as lines for people. */
export function describeFixedRate(result: FixedRateResult): string {
  const { title, base, sides, ratios, shape, deliveriesPerSecond, seconds } = result;
  const rows = sides.map((side) => [
    side.label,
    `${side.wholeTrials} of ${side.trials.length}`,
    formatNumber(side.cpuMicrosPerDelivery),
    formatNumber(side.p50Ms),
    formatNumber(side.p99Ms),
    formatShare(side.serverCore),
    formatShare(side.loadCore),
  ]);
  const header = ['', 'whole runs', 'CPU µs', 'p50 ms', 'p99 ms', 'server core', 'load core'];
  return [
    title,
    `${formatNumber(deliveriesPerSecond)} deliveries/s to ${shape.clients} clients, ` +
      `${shape.payloadBytes} bytes, runs of ${seconds} s; medians; CPU per delivery; ` +
      `in a ratio above 1 ${base.label} is the slower one`,
    '',
    formatTable(header, rows),
    '',
    ...ratios.flatMap(({ opponent, cpuPerDelivery, p99, verdicts }) => [
      formatRatio(`CPU per delivery, ${base.label} / ${opponent}`, cpuPerDelivery),
      formatRatio(`p99, ${base.label} / ${opponent}`, p99),
      ...verdicts.map(({ line }) => line),
    ]),
  ].join('\n');
}
