import {
  type Arena,
  BACKLOG_LIMIT_MS,
  type LoadShape,
  openArena,
  type Subject,
  type Trial,
} from '../arena/arena.ts';
import { compare, measurementsOf, measurePairs, type Pair } from '../figures/pairs.ts';
import { median, type RatioSummary } from '../figures/ratio.ts';
import { formatNumber, formatRatio, formatShare, formatTable } from '../figures/table.ts';
import { AT_MOST_SLOWER, failuresOf, judge, type Verdict } from '../figures/verdict.ts';
import { searchSaturation } from './saturation-search.ts';
import { isOtherEdge } from './subjects.ts';

/** The terms of a saturation measurement. */
export interface SaturationPlan {
  readonly shape: LoadShape;
  readonly base: Subject;
  readonly opponents: readonly Subject[];
  readonly pairs: number;
  /** How long the rate must hold, in s. */
  readonly seconds: number;
  readonly search: SearchTerms;
}

/** The terms of a search. */
export interface SearchTerms {
  /** The first rate of the first search, in publications per second. */
  readonly firstRate: number;
  /** A search ends once it knows its result to this factor. */
  readonly resolution: number;
}

/** The highest rate of one search, and the run that held it; undefined if the server carried nothing. */
export interface Saturation {
  readonly subject: string;
  readonly trial: Trial | undefined;
}

export interface SaturationResult extends SaturationPlan {
  readonly sides: readonly { readonly label: string; readonly searches: readonly Saturation[] }[];
  readonly ratios: readonly SaturationRatio[];
}

/** The base compared with one opponent. */
interface SaturationRatio {
  readonly opponent: string;
  /** The base's deliveries per second divided by the opponent's. */
  readonly deliveries: RatioSummary;
  /** The reciprocal if the opponent is another checkout's edge; undefined otherwise. */
  readonly slowdown: RatioSummary | undefined;
  readonly verdicts: readonly Verdict[];
}

/** The first rate is the one that the slowest contender carries. */
export const USUAL_SEARCH: SearchTerms = { firstRate: 50, resolution: 1.05 };

/** A search with a resolution of 5 % could not tell two edges apart that are within 2 %. */
export const FINE_SEARCH: SearchTerms = { firstRate: 50, resolution: 1.02 };

/** How long a try of a search lasts, in s. */
const SHORT_SECONDS = 3;

/**
 * How long a new server is warmed up at half the rate before its first try, in s. V8 compiles for 3 to 5 s under a load
 * that takes all of a core, and a server that still compiles would fail at rates that it carries.
 */
const WARM_UP_SECONDS = 5;

/**
 * The backlog that a short try tolerates, in ms: 7 % of the try. A backlog of 2 s would pass two thirds more than the
 * server carries; it is 7 % of a long try, which would then have to find the rate step by step.
 */
const SHORT_BACKLOG_MS = 250;

/** Above this share the load's core has no reserve. */
const LOAD_CORE_IS_FULL = 0.97;

/**
 * The searches of one subject. A server that failed a try is replaced, because its backlog would count against its next
 * try.
 */
export class SaturationFinder implements AsyncDisposable {
  readonly #subject: Subject;
  readonly #shape: LoadShape;
  readonly #redisUrl: string;
  readonly #report: (line: string) => void;
  readonly #resolution: number;
  #arena: Arena | undefined;
  #start: number;

  constructor(
    subject: Subject,
    shape: LoadShape,
    { firstRate, resolution }: SearchTerms,
    redisUrl: string,
    report: (line: string) => void,
  ) {
    this.#subject = subject;
    this.#shape = shape;
    this.#redisUrl = redisUrl;
    this.#report = report;
    this.#resolution = resolution;
    this.#start = firstRate;
  }

  /** @param seconds how long the rate must hold. */
  async find(seconds: number): Promise<Saturation> {
    let held: Trial | undefined;
    const rate = await searchSaturation({
      start: this.#start,
      resolution: this.#resolution,
      tryShort: async (tried) => (await this.#try(tried, SHORT_SECONDS, SHORT_BACKLOG_MS)).whole,
      tryLong: async (tried) => {
        held = await this.#try(tried, seconds, BACKLOG_LIMIT_MS);
        return held.whole;
      },
      report: () => {},
    });
    await this[Symbol.asyncDispose]();
    if (rate !== undefined) this.#start = rate;
    return { subject: this.#subject.label, trial: rate === undefined ? undefined : held };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const arena = this.#arena;
    this.#arena = undefined;
    await arena?.[Symbol.asyncDispose]();
  }

  async #try(rate: number, seconds: number, backlogMs: number): Promise<Trial> {
    if (this.#arena === undefined) {
      this.#arena = await openArena(this.#subject, this.#shape, this.#redisUrl);
      await this.#arena.trial(rate / 2, WARM_UP_SECONDS);
    }
    const trial = await this.#arena.trial(rate, seconds, backlogMs);
    this.#report(
      `${this.#subject.label}: ${formatNumber(trial.rate)}/s for ${seconds} s, ` +
        `${trial.whole ? 'whole' : describeFailure(trial)}`,
    );
    if (!trial.whole) await this[Symbol.asyncDispose]();
    return trial;
  }
}

function describeFailure(trial: Trial): string {
  if (trial.disconnected > 0) return `${trial.disconnected} clients disconnected`;
  const missing = formatNumber(trial.expected - trial.received);
  return trial.received < trial.expected ? `${missing} deliveries missing` : 'seq not unbroken';
}

export async function compareSaturation(
  plan: SaturationPlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<SaturationResult> {
  const { base, opponents, shape } = plan;
  await using stack = new AsyncDisposableStack();
  const finders = new Map(
    [base, ...opponents].map((subject) => [
      subject,
      stack.use(new SaturationFinder(subject, shape, plan.search, redisUrl, report)),
    ]),
  );
  const pairs = await measurePairs(base, opponents, plan.pairs, (subject) =>
    finders.get(subject)!.find(plan.seconds),
  );
  return {
    ...plan,
    sides: [base, ...opponents].map((subject) => ({
      label: subject.label,
      searches: measurementsOf(pairs, base, subject),
    })),
    ratios: opponents.map((opponent) => ratioOf(pairs, opponent)),
  };
}

function ratioOf(pairs: readonly Pair<Subject, Saturation>[], opponent: Subject): SaturationRatio {
  const carried = ({ trial }: Saturation): number => trial?.deliveriesPerSecond ?? 0;
  const shared = { opponent: opponent.label, deliveries: compare(pairs, opponent, carried) };
  if (!isOtherEdge(opponent)) return { ...shared, slowdown: undefined, verdicts: [] };
  // From the reciprocals, because a pair's ratio is that of its base to its opponent.
  const slowdown = compare(pairs, opponent, (found) => 1 / carried(found));
  return { ...shared, slowdown, verdicts: [judge('deliveries/s', slowdown, AT_MOST_SLOWER)] };
}

/** The verdicts that failed. */
export function saturationFailures({ ratios }: SaturationResult): readonly string[] {
  return failuresOf(ratios.flatMap(({ verdicts }) => verdicts));
}

/** The result as lines for people. */
export function describeSaturation(result: SaturationResult): string {
  const { shape, base, sides, ratios, seconds, search } = result;
  const rows = sides.map(({ label, searches }) => {
    const held = searches.flatMap(({ trial }) => (trial === undefined ? [] : [trial]));
    const rates = held.map((trial) => trial.deliveriesPerSecond);
    const middle = (quantity: (trial: Trial) => number) => median(held.map(quantity));
    return [
      label,
      formatNumber(median(rates)),
      `${formatNumber(Math.min(...rates))} to ${formatNumber(Math.max(...rates))}`,
      formatNumber(middle((trial) => trial.cpuMicrosPerDelivery)),
      formatNumber(middle((trial) => trial.latency?.p99 ?? Number.NaN)),
      formatShare(middle((trial) => trial.serverCore)),
      formatShare(middle((trial) => trial.loadCore)),
    ];
  });
  const header = ['', 'deliveries/s', 'range', 'CPU µs', 'p99 ms', 'server core', 'load core'];
  const loadBound = sides.filter(({ searches }) =>
    searches.some(({ trial }) => trial !== undefined && trial.loadCore > LOAD_CORE_IS_FULL),
  );
  return [
    `Saturation: ${shape.clients} clients on ${shape.channels} channel, ${shape.payloadBytes} bytes`,
    `the highest rate that is delivered whole for ${seconds} s, to a factor of ${search.resolution}; ` +
      'medians; CPU per delivery',
    '',
    formatTable(header, rows),
    '',
    ...ratios.flatMap(({ opponent, deliveries, slowdown, verdicts }) => [
      slowdown === undefined
        ? formatRatio(`deliveries/s, ${base.label} / ${opponent}`, deliveries)
        : formatRatio(
            `deliveries/s, ${opponent} / ${base.label} (above 1 ${base.label} is slower)`,
            slowdown,
          ),
      ...verdicts.map(({ line }) => line),
    ]),
    ...loadBound.map(({ label }) => `${label}: the load's core was full too; it may carry more`),
  ].join('\n');
}
