import type { Logger } from './logger.ts';

/** The most event names that are remembered. Further ones share one allowance, so that memory stays bounded. */
const MAX_EVENTS = 256;
const OVERFLOW = '';

/** Time between two lines of one event by default, in ms: a flood stays readable and a fault stays visible. */
export const DEFAULT_LOG_INTERVAL_MS = 10_000;

interface Allowance {
  nextAt: number;
  suppressed: number;
}

/**
 * Logs an event that may occur thousands of times a second, at most once in each interval. The next line tells in
 * `suppressed` how many were left out; metrics have the exact counts.
 */
export class LogLimiter {
  readonly #logger: Logger;
  readonly #intervalMs: number;
  readonly #now: () => number;
  readonly #allowances = new Map<string, Allowance>();

  /**
   * @param intervalMs time between two lines of the same event, in ms.
   * @param now a clock in ms that never goes back.
   */
  constructor(
    logger: Logger,
    intervalMs = DEFAULT_LOG_INTERVAL_MS,
    now = (): number => performance.now(),
  ) {
    this.#logger = logger;
    this.#intervalMs = intervalMs;
    this.#now = now;
  }

  /** @param event the event's stable name, out of a small set: never a channel or an address. */
  info(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#log('info', event, fields);
  }

  /** @param event the event's stable name, out of a small set: never a channel or an address. */
  warn(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#log('warn', event, fields);
  }

  /** @param event the event's stable name, out of a small set: never a channel or an address. */
  error(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#log('error', event, fields);
  }

  #log(
    level: 'info' | 'warn' | 'error',
    event: string,
    fields: Readonly<Record<string, unknown>>,
  ): void {
    const now = this.#now();
    const allowance = this.#allowanceOf(event);
    if (now < allowance.nextAt) {
      allowance.suppressed += 1;
      return;
    }
    const { suppressed } = allowance;
    allowance.nextAt = now + this.#intervalMs;
    allowance.suppressed = 0;
    this.#logger[level](suppressed === 0 ? fields : { ...fields, suppressed }, event);
  }

  #allowanceOf(event: string): Allowance {
    const key =
      this.#allowances.has(event) || this.#allowances.size < MAX_EVENTS ? event : OVERFLOW;
    let allowance = this.#allowances.get(key);
    if (allowance === undefined) {
      allowance = { nextAt: Number.NEGATIVE_INFINITY, suppressed: 0 };
      this.#allowances.set(key, allowance);
    }
    return allowance;
  }
}
