/**
 * How long after the beginning of one round the next one begins if a thread has a core to itself, in lengths of a round. So under
 * load at most half of a core's time goes into writes, and each write carries more.
 */
const ROUND_SPACING_ON_A_CORE = 2;

/**
 * How long after the beginning of one round the next one begins, in lengths of a round. With more threads than cores each
 * gets a fraction of a core and fewer clients, so its rounds are shorter, and the spacing is proportionally wider.
 */
export function roundSpacing(threads: number, cores: number): number {
  return ROUND_SPACING_ON_A_CORE * Math.max(1, threads / cores);
}

/** The resolution of timers, in ms. A flush that is due sooner is due at once. */
const TIMER_RESOLUTION_MS = 1;

/**
 * Decides when the sockets of a worker are written to. Usually that is at the end of the turn of the event loop in which
 * something was queued. If rounds of flushes take long, the next round begins some lengths of a round after the last one began
 * ({@link roundSpacing}), but at most `intervalMs` after it. So nothing is delayed while rounds are short, and the busier the
 * worker is, the more leaves in one write.
 */
export class FlushScheduler {
  readonly #intervalMs: number;
  readonly #roundSpacing: number;
  readonly #flush: () => boolean;
  #isUnderWay = false;
  #isRunning = false;
  /** Whether a flush was requested while one was running. */
  #isRequested = false;
  #roundMs = 0;
  #startedAt = Number.NEGATIVE_INFINITY;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param intervalMs the longest time from the beginning of one round to that of the next. With 0 there is a round in every
   *   turn in which something was queued.
   * @param roundSpacing see {@link roundSpacing}.
   * @param flush does a part of a round. Returns whether it must be called again in the next turn, whatever the interval. It may
   *   call {@link schedule}.
   */
  constructor(intervalMs: number, roundSpacing: number, flush: () => boolean) {
    this.#intervalMs = intervalMs;
    this.#roundSpacing = roundSpacing;
    this.#flush = flush;
  }

  /** Whether a flush is scheduled. */
  get isScheduled(): boolean {
    return this.#immediate !== undefined || this.#timer !== undefined;
  }

  /** Schedules a flush, unless one is scheduled. */
  schedule(): void {
    if (this.#isRunning) this.#isRequested = true;
    if (this.#isRunning || this.isScheduled) return;
    const pauseMs = Math.min(this.#intervalMs, this.#roundSpacing * this.#roundMs);
    const waitMs = pauseMs === 0 ? 0 : this.#startedAt + pauseMs - performance.now();
    if (waitMs < TIMER_RESOLUTION_MS) this.#immediate = setImmediate(this.#run);
    else this.#timer = setTimeout(this.#run, waitMs);
  }

  /** Cancels a flush that is scheduled. */
  stop(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    this.#immediate = undefined;
    this.#timer = undefined;
  }

  readonly #run = (): void => {
    this.stop();
    if (!this.#isUnderWay) this.#startedAt = performance.now();
    this.#isRequested = false;
    this.#isRunning = true;
    this.#isUnderWay = this.#flush();
    this.#isRunning = false;
    if (this.#isUnderWay) {
      this.#immediate = setImmediate(this.#run);
    } else {
      this.#roundMs = performance.now() - this.#startedAt;
      if (this.#isRequested) this.schedule();
    }
  };
}
