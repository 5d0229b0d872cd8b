/**
 * A round of flushes is followed by a pause as long as itself: so under load half of a core's time goes
 * into writes at most, and the next writes carry more.
 */
const ROUND_SPACING_ON_A_CORE = 2;

/**
 * How many times its own length a round begins after the last one. Where more threads write than there are cores,
 * so many times more: each has but a part of a core, and its rounds are as much shorter as there are fewer clients
 * in them.
 */
export function roundSpacing(threads: number, cores: number): number {
  return ROUND_SPACING_ON_A_CORE * Math.max(1, threads / cores);
}

/** A timer is no more exact than this, in ms; what is due sooner is due at once. */
const TIMER_RESOLUTION_MS = 1;

/**
 * Decides when the sockets of a worker are written to: at the end of the turn of the event loop in
 * which something was queued, unless writing is what the worker spends its time on. Then the next
 * round of flushes begins some lengths of a round after the last began (`roundSpacing`), but `intervalMs` after it at the
 * latest. So nothing is delayed while rounds are short, whatever is published, and the busier the
 * worker, the more leaves in one write.
 */
export class FlushScheduler {
  readonly #intervalMs: number;
  readonly #roundSpacing: number;
  readonly #flush: () => boolean;
  #isUnderWay = false;
  #isRunning = false;
  /** Whether a flush was asked for while one was running. */
  #isAsked = false;
  #roundMs = 0;
  #startedAt = Number.NEGATIVE_INFINITY;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param intervalMs the longest time from the beginning of a round to that of the next; 0 for a round in
   *   every turn in which something was queued.
   * @param roundSpacing see {@link roundSpacing}.
   * @param flush may schedule the next one; returns whether it is to go on in the next turn, interval or
   *   not: then it has not done all that it was to do.
   */
  constructor(intervalMs: number, roundSpacing: number, flush: () => boolean) {
    this.#intervalMs = intervalMs;
    this.#roundSpacing = roundSpacing;
    this.#flush = flush;
  }

  /** Whether a flush is to come. */
  get isScheduled(): boolean {
    return this.#immediate !== undefined || this.#timer !== undefined;
  }

  /** Makes sure that a flush is to come. */
  schedule(): void {
    if (this.#isRunning) this.#isAsked = true;
    if (this.#isRunning || this.isScheduled) return;
    const pauseMs = Math.min(this.#intervalMs, this.#roundSpacing * this.#roundMs);
    const waitMs = pauseMs === 0 ? 0 : this.#startedAt + pauseMs - performance.now();
    if (waitMs < TIMER_RESOLUTION_MS) this.#immediate = setImmediate(this.#run);
    else this.#timer = setTimeout(this.#run, waitMs);
  }

  stop(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    this.#immediate = undefined;
    this.#timer = undefined;
  }

  readonly #run = (): void => {
    this.stop();
    if (!this.#isUnderWay) this.#startedAt = performance.now();
    this.#isAsked = false;
    this.#isRunning = true;
    this.#isUnderWay = this.#flush();
    this.#isRunning = false;
    if (this.#isUnderWay) {
      this.#immediate = setImmediate(this.#run);
    } else {
      this.#roundMs = performance.now() - this.#startedAt;
      if (this.#isAsked) this.schedule();
    }
  };
}
