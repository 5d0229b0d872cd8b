import { Series } from './series.ts';

/** The figures of all nodes together, second by second. */
export interface FleetPoint {
  readonly clients: number;
  /** A second. */
  readonly deliveries: number;
  readonly sentBytes: number;
  /** NaN where nothing was sampled. */
  readonly p99Ms: number;
  /** Clients closed as slow within the last minute. */
  readonly slow: number;
  /** Losses that clients were told, and publications repaired from history, in this second. */
  readonly lost: number;
  readonly repaired: number;
}

export const POINT_FIGURES = [
  'clients',
  'deliveries',
  'sentBytes',
  'p99Ms',
  'slow',
  'lost',
  'repaired',
] as const satisfies readonly (keyof FleetPoint)[];

/** 15 minutes by the second, and 24 hours by the minute. */
export const HISTORY_SECONDS = 900;
export const HISTORY_MINUTES = 1_440;

const SECONDS_A_MINUTE = 60;

/** The most unknown seconds that are pushed at once: all of them. A clock that is put forward must not cost more. */
const MOST_SKIPPED = HISTORY_MINUTES * SECONDS_A_MINUTE;

/** A second of which nothing is known. */
const UNKNOWN = Object.fromEntries(
  POINT_FIGURES.map((name) => [name, Number.NaN]),
) as unknown as FleetPoint;

/** Figures that a minute adds up; it keeps the largest value of the others. */
const SUMMED: ReadonlySet<keyof FleetPoint> = new Set(['lost', 'repaired']);

/** The figures of a minute that is not over yet. */
type Minute = Record<keyof FleetPoint, number>;

/** One number for each second and minute, the oldest first; null where nothing is known. */
export interface HistoryColumns {
  /** ms of the wall clock at the newest second. */
  readonly at: number;
  /** The same at the end of the newest minute; 0 before the first. */
  readonly minuteAt: number;
  readonly seconds: Readonly<Record<string, readonly (number | null)[]>>;
  readonly minutes: Readonly<Record<string, readonly (number | null)[]>>;
}

/** A minute that is over. */
export interface HistoryMinute {
  /** ms of the wall clock at its end; 0 before the first. */
  readonly at: number;
  readonly figures: FleetPoint | undefined;
}

/** The figures that the charts show. The process keeps them, so that a reloaded page has them. They always take 131 KB. */
export class FleetHistory {
  readonly #seconds = new Map(POINT_FIGURES.map((name) => [name, new Series(HISTORY_SECONDS)]));
  readonly #minutes = new Map(POINT_FIGURES.map((name) => [name, new Series(HISTORY_MINUTES)]));
  #minute: Minute | undefined;
  #secondsOfMinute = 0;
  #at = 0;
  #newest: HistoryMinute = { at: 0, figures: undefined };

  /** The newest minute that is over. */
  get newestMinute(): HistoryMinute {
    return this.#newest;
  }

  /**
   * Appends a second. The seconds that were skipped since the last call stay unknown.
   *
   * @param point undefined for a second of which nothing is known.
   * @param at ms of the wall clock.
   */
  push(point: FleetPoint | undefined, at: number): void {
    const skipped = this.#at === 0 ? 0 : Math.round((at - this.#at) / 1_000) - 1;
    for (let i = 0; i < Math.min(skipped, MOST_SKIPPED); i += 1) this.#push(UNKNOWN, at);
    this.#push(point ?? UNKNOWN, at);
  }

  #push(point: FleetPoint, at: number): void {
    this.#at = at;
    this.#minute = this.#minute === undefined ? { ...point } : merged(this.#minute, point);
    for (const [name, series] of this.#seconds) series.push(point[name]);
    this.#secondsOfMinute += 1;
    if (this.#secondsOfMinute < SECONDS_A_MINUTE) return;
    for (const [name, series] of this.#minutes) series.push(this.#minute[name]);
    this.#newest = { at, figures: this.#minute };
    this.#minute = undefined;
    this.#secondsOfMinute = 0;
  }

  /** The sum of a figure over the last hour, or since the start. */
  sumOfLastHour(name: 'lost' | 'repaired'): number {
    const present = this.#minute?.[name] ?? 0;
    let sum = Number.isNaN(present) ? 0 : present;
    for (let back = 0; back < 60; back += 1) {
      const value = this.#minutes.get(name)?.at(back) ?? Number.NaN;
      if (!Number.isNaN(value)) sum += value;
    }
    return sum;
  }

  columns(): HistoryColumns {
    return {
      at: this.#at,
      minuteAt: this.#newest.at,
      seconds: toColumns(this.#seconds),
      minutes: toColumns(this.#minutes),
    };
  }
}

function merged(minute: Minute, point: FleetPoint): Minute {
  const figures = POINT_FIGURES.map((name): [keyof FleetPoint, number] => {
    if (SUMMED.has(name) && !Number.isNaN(minute[name] + point[name])) {
      return [name, minute[name] + point[name]];
    }
    const larger = Number.isNaN(point[name]) || minute[name] > point[name];
    return [name, larger ? minute[name] : point[name]];
  });
  return Object.fromEntries(figures) as Minute;
}

function toColumns(
  series: ReadonlyMap<string, Series>,
): Readonly<Record<string, readonly (number | null)[]>> {
  return Object.fromEntries([...series].map(([name, each]) => [name, each.toArray()]));
}
