/**
 * Decides when the sockets of a worker are written to. While little happens, at the end of the turn
 * of the event loop in which something did: all that came in one turn leaves in one write, and
 * nothing is delayed. When the last flush began less than `intervalMs` ago, at the end of that
 * interval: the busier the worker, the more leaves in one write.
 */
export class Flusher {
  readonly #intervalMs: number;
  readonly #flush: () => boolean;
  #isUnderWay = false;
  #startedAt = Number.NEGATIVE_INFINITY;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param intervalMs 0 for a flush in every turn.
   * @param flush may schedule the next one; returns whether it is to go on in the next turn, interval or
   *   not: then it has not done all that it was to do.
   */
  constructor(intervalMs: number, flush: () => boolean) {
    this.#intervalMs = intervalMs;
    this.#flush = flush;
  }

  /** Whether a flush is to come. */
  get isScheduled(): boolean {
    return this.#immediate !== undefined || this.#timer !== undefined;
  }

  /** Makes sure that a flush is to come. */
  schedule(): void {
    if (this.isScheduled) return;
    const waitMs =
      this.#intervalMs === 0 ? 0 : this.#startedAt + this.#intervalMs - performance.now();
    if (waitMs <= 0) this.#immediate = setImmediate(this.#run);
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
    this.#isUnderWay = this.#flush();
    if (this.#isUnderWay) this.#immediate ??= setImmediate(this.#run);
  };
}
