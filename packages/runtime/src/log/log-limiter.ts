import { type Rate, TokenBucket } from '../token-bucket.ts';
import type { Logger } from './logger.ts';

/** The most event names that are remembered. Further ones share one allowance, so that memory stays bounded. */
const MAX_EVENTS = 256;
const OVERFLOW = '';

/** Lines of one event by default: one in ten seconds. A flood stays readable and a fault stays visible. */
const DEFAULT_LOG_RATE: Rate = { perSecond: 0.1, burst: 1 };

interface Allowance {
  readonly lines: TokenBucket;
  suppressed: number;
}

/**
 * Logs an event that may occur thousands of times a second, at a bounded rate. The next line tells in `suppressed` how
 * many were left out; metrics have the exact counts.
 */
export class LogLimiter {
  readonly #logger: Logger;
  readonly #rate: Rate;
  readonly #now: () => number;
  readonly #allowances = new Map<string, Allowance>();

  /**
   * @param rate lines of one event.
   * @param now a clock in ms that never goes back.
   */
  constructor(logger: Logger, rate = DEFAULT_LOG_RATE, now = (): number => performance.now()) {
    this.#logger = logger;
    this.#rate = rate;
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
    const allowance = this.#allowanceOf(event, now);
    if (!allowance.lines.take(now)) {
      allowance.suppressed += 1;
      return;
    }
    const { suppressed } = allowance;
    allowance.suppressed = 0;
    this.#logger[level](suppressed === 0 ? fields : { ...fields, suppressed }, event);
  }

  #allowanceOf(event: string, now: number): Allowance {
    const key =
      this.#allowances.has(event) || this.#allowances.size < MAX_EVENTS ? event : OVERFLOW;
    let allowance = this.#allowances.get(key);
    if (allowance === undefined) {
      allowance = { lines: new TokenBucket(this.#rate, now), suppressed: 0 };
      this.#allowances.set(key, allowance);
    }
    return allowance;
  }
}
