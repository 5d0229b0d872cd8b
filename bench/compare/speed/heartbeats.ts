import { setTimeout as sleep } from 'node:timers/promises';
import { evaluateInMain } from '../../../test/support/services/inspector.ts';
import { readCpuTime } from '../../load/processes/process-usage.ts';
import { type LoadShape, openArena, type Subject, type Trial } from '../arena/arena.ts';
import type { RunningContender } from '../arena/contenders.ts';
import { compare, measurementsOf, measurePairs } from '../figures/pairs.ts';
import { median, type RatioSummary } from '../figures/ratio.ts';
import { formatNumber, formatRatio, formatTable } from '../figures/table.ts';

/** Clients that connect together, idle and then receive publications, with pings and without. */
export interface HeartbeatsPlan {
  /** Both must have been started with `INSPECTABLE`. */
  readonly base: Subject;
  readonly opponent: Subject;
  readonly shape: LoadShape;
  readonly publicationsPerSecond: number;
  readonly pairs: number;
  readonly seconds: number;
  /** Seconds without publications before the trial. */
  readonly idleSeconds: number;
  readonly warmUpSeconds: number;
}

/** CPU time of the main thread's turns, and its collections, while nothing was published; in ms. */
export interface IdleTurns {
  /** CPU of the edge during that time, user and system, in ms per second. */
  readonly cpuMsPerSecond: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** The longest collection, which is a part of a turn. */
  readonly longestCollectionMs: number;
}

export interface HeartbeatsRun {
  readonly idle: IdleTurns;
  readonly trial: Trial;
}

export interface HeartbeatsResult extends HeartbeatsPlan {
  readonly withPings: readonly HeartbeatsRun[];
  readonly without: readonly HeartbeatsRun[];
  /** With pings divided by without. */
  readonly p99: RatioSummary;
  readonly p999: RatioSummary;
}

/** How much pings may add to latencies, and how long a turn of an edge without publications may take, in ms. */
const MOST_P99_RATIO = 1.2;
const MOST_P999_RATIO = 1.5;
const LONGEST_TURN_MS = 5;

/** Pause between the last connection and the first measurement, in s. */
const SETTLE_SECONDS = 5;

/** The timer's interval in ms: turns shorter than it are counted together. */
const TURN_RESOLUTION_MS = 1;

export async function measureHeartbeats(
  plan: HeartbeatsPlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<HeartbeatsResult> {
  const { base, opponent, shape } = plan;

  async function measure(subject: Subject): Promise<HeartbeatsRun> {
    await using arena = await openArena(subject, shape, redisUrl);
    await sleep(SETTLE_SECONDS * 1_000);
    const idle = await measureTurns(arena.server, plan.idleSeconds);
    await arena.trial(plan.publicationsPerSecond, plan.warmUpSeconds);
    const trial = await arena.trial(plan.publicationsPerSecond, plan.seconds);
    report(
      `${subject.label}: ${trial.whole ? 'whole' : 'NOT whole'}, ` +
        `p99 ${formatNumber(trial.latency?.p99)} ms, p999 ${formatNumber(trial.latency?.p999)} ms, ` +
        `idle ${formatNumber(idle.cpuMsPerSecond)} ms CPU a second, longest turn ${formatNumber(idle.longestMs)} ms`,
    );
    return { idle, trial };
  }

  const pairs = await measurePairs(base, [opponent], plan.pairs, measure);
  const ratio = (quantity: 'p99' | 'p999') =>
    compare(pairs, opponent, ({ trial }) => trial.latency?.[quantity] ?? Number.NaN);
  return {
    ...plan,
    withPings: measurementsOf(pairs, base, base),
    without: measurementsOf(pairs, base, opponent),
    p99: ratio('p99'),
    p999: ratio('p999'),
  };
}

/** The conditions that were not met. */
export function heartbeatsFailures(result: HeartbeatsResult): readonly string[] {
  const { withPings, without, p99, p999 } = result;
  const failures: string[] = [];
  const broken = [...withPings, ...without].filter(({ trial }) => !trial.whole).length;
  if (broken > 0) failures.push(`${broken} runs were not whole`);
  if (!(p99.median <= MOST_P99_RATIO))
    failures.push(`p99 is ${formatNumber(p99.median)} times as long`);
  if (!(p999.median <= MOST_P999_RATIO))
    failures.push(`p999 is ${formatNumber(p999.median)} times as long`);
  const longest = median(withPings.map(({ idle }) => idle.longestMs));
  if (!(longest <= LONGEST_TURN_MS))
    failures.push(`an idle edge had a turn of ${formatNumber(longest)} ms`);
  return failures;
}

/** The result as lines for people. */
export function describeHeartbeats(result: HeartbeatsResult): string {
  const { base, opponent, withPings, without, shape, publicationsPerSecond, seconds } = result;
  const rowOf = (label: string, runs: readonly HeartbeatsRun[]): string[] => {
    const middle = (quantity: (run: HeartbeatsRun) => number | undefined): string =>
      formatNumber(median(runs.map((run) => quantity(run) ?? Number.NaN)));
    return [
      label,
      `${runs.filter(({ trial }) => trial.whole).length} of ${runs.length}`,
      middle(({ trial }) => trial.latency?.p50),
      middle(({ trial }) => trial.latency?.p99),
      middle(({ trial }) => trial.latency?.p999),
      middle(({ idle }) => idle.cpuMsPerSecond),
      middle(({ idle }) => idle.p99Ms),
      middle(({ idle }) => idle.longestMs),
      middle(({ idle }) => idle.longestCollectionMs),
    ];
  };
  const header = [
    ...['', 'whole runs', 'p50 ms', 'p99 ms', 'p999 ms'],
    ...['idle CPU ms/s', 'p99 turn ms', 'longest', 'longest collection'],
  ];
  const failures = heartbeatsFailures(result);
  return [
    `Heartbeats: ${shape.clients} clients that came together, ${publicationsPerSecond} publications a second on ${shape.channels} channels, ${seconds} s; medians`,
    '',
    formatTable(header, [rowOf(base.label, withPings), rowOf(opponent.label, without)]),
    '',
    formatRatio(`p99, ${base.label} / ${opponent.label}`, result.p99),
    formatRatio(`p999, ${base.label} / ${opponent.label}`, result.p999),
    ...(failures.length === 0
      ? ['', 'holds']
      : ['', ...failures.map((failure) => `FAILS: ${failure}`)]),
  ].join('\n');
}

/** The edge is queried only before and afterwards, because a query costs it a turn of some ms. */
async function measureTurns(edge: RunningContender, seconds: number): Promise<IdleTurns> {
  const cpuBefore = await cpuMs(edge.pid);
  await sleep(seconds * 1_000);
  const cpuMsPerSecond = ((await cpuMs(edge.pid)) - cpuBefore) / seconds;
  await evaluateInMain(edge, `globalThis.turns = ${watchTurns(seconds)}; 0`);
  await sleep(seconds * 1_000);
  const turns = (await evaluateInMain(edge, 'turns')) as Omit<IdleTurns, 'cpuMsPerSecond'>;
  return { cpuMsPerSecond, ...turns };
}

/**
 * Runs in the edge and returns a promise of the turns. The length of a turn is the CPU time of the thread between two
 * calls of a timer. CPU time of other processes does not count, and a turn is never longer than the measured value.
 */
function watchTurns(seconds: number): string {
  return `new Promise((resolve) => {
    const { PerformanceObserver } = process.getBuiltinModule('node:perf_hooks');
    let longestCollectionMs = 0;
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longestCollectionMs = Math.max(longestCollectionMs, duration);
    });
    const turns = new Float64Array(${seconds * 1_000});
    let count = 0;
    let last;
    const cpuMs = () => {
      const { user, system } = process.threadCpuUsage();
      return (user + system) / 1_000;
    };
    setTimeout(() => {
      observer.observe({ entryTypes: ['gc'] });
      const timer = setInterval(() => {
        const now = cpuMs();
        if (last !== undefined && count < turns.length) turns[count++] = now - last;
        last = now;
      }, ${TURN_RESOLUTION_MS});
      setTimeout(() => {
        clearInterval(timer);
        observer.disconnect();
        const sorted = turns.subarray(0, count).sort();
        resolve({ p99Ms: sorted[Math.floor(count * 0.99)], longestMs: sorted[count - 1], longestCollectionMs });
      }, ${seconds * 1_000});
    }, 1_000);
  })`;
}

async function cpuMs(pid: number): Promise<number> {
  const { user, system } = await readCpuTime(pid);
  return (user + system) * 1_000;
}
