import {
  type Arena,
  BACKLOG_LIMIT_MS,
  type LoadShape,
  openArena,
  type Subject,
  type Trial,
} from './arena.ts';
import { compare, measurementsOf, measurePairs } from './pairs.ts';
import { median, type RatioSummary } from './ratio.ts';
import { searchSaturation } from './saturation-search.ts';
import { formatNumber, formatRatio, formatShare, formatTable } from './table.ts';

/** How to look for saturation. */
export interface SaturationPlan {
  readonly shape: LoadShape;
  readonly base: Subject;
  readonly opponents: readonly Subject[];
  readonly pairs: number;
  /** How long the rate has to hold. */
  readonly seconds: number;
}

/** The highest rate of one search, and the run that held it; undefined if nothing got through. */
export interface Saturation {
  readonly subject: string;
  readonly trial: Trial | undefined;
}

export interface SaturationResult extends SaturationPlan {
  readonly sides: readonly { readonly label: string; readonly searches: readonly Saturation[] }[];
  /** The base's deliveries per second divided by an opponent's. */
  readonly ratios: readonly { readonly opponent: string; readonly deliveries: RatioSummary }[];
}

/** Where the first search begins, in publications per second: what the slowest contender carries. */
const FIRST_RATE = 50;

/** A search goes on until it knows its answer to 5 %. */
const RESOLUTION = 1.05;

/** How long the tries of a search are, in s. */
const SHORT_SECONDS = 3;

/**
 * How long a new server is warmed up at half the rate before its first try, in s: V8 goes on to compile for 3 to 5 s
 * under a load that takes all of a core, and a server that still does would fail at rates that it carries.
 */
const WARM_UP_SECONDS = 5;

/**
 * In a short try a backlog of 2 s would hide that two thirds more is offered than carried, and the
 * long one, in which it hides 7 %, would have to find out step by step. The same 7 % here, in ms.
 */
const SHORT_BACKLOG_MS = 250;

/** Above this share, the load's core has nothing left to give. */
const LOAD_CORE_IS_FULL = 0.97;

/**
 * One subject's searches. A server that failed a try is replaced: what it still holds back would
 * count against its next.
 */
export class SaturationFinder implements AsyncDisposable {
  readonly #subject: Subject;
  readonly #shape: LoadShape;
  readonly #redisUrl: string;
  readonly #report: (line: string) => void;
  #arena: Arena | undefined;
  #start = FIRST_RATE;

  constructor(
    subject: Subject,
    shape: LoadShape,
    redisUrl: string,
    report: (line: string) => void,
  ) {
    this.#subject = subject;
    this.#shape = shape;
    this.#redisUrl = redisUrl;
    this.#report = report;
  }

  /** @param seconds how long the rate has to hold. */
  async find(seconds: number): Promise<Saturation> {
    let held: Trial | undefined;
    const rate = await searchSaturation({
      start: this.#start,
      resolution: RESOLUTION,
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
      stack.use(new SaturationFinder(subject, shape, redisUrl, report)),
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
    ratios: opponents.map((opponent) => ({
      opponent: opponent.label,
      deliveries: compare(pairs, opponent, ({ trial }) => trial?.deliveriesPerSecond ?? 0),
    })),
  };
}

/** The lines that a person reads. */
export function describeSaturation(result: SaturationResult): string {
  const { shape, base, sides, ratios, seconds } = result;
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
    `the highest rate that is delivered whole for ${seconds} s; medians; CPU per delivery`,
    '',
    formatTable(header, rows),
    '',
    ...ratios.map(({ opponent, deliveries }) =>
      formatRatio(`deliveries/s, ${base.label} / ${opponent}`, deliveries),
    ),
    ...loadBound.map(({ label }) => `${label}: the load's core was full too; it may carry more`),
  ].join('\n');
}
