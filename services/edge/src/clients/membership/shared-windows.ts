/**
 * Divides time into windows of one length for all parties, with one timer. Without a party there is no timer. The windows begin
 * at multiples of their length on the monotonic clock, plus the phase. So longer windows begin together with some of the shorter
 * ones, and what a client is sent of many channels at one moment leaves in one write.
 */
export class SharedWindows<T> {
  readonly #lengthMs: number;
  readonly #phaseMs: number;
  readonly #serve: (one: T) => boolean;
  readonly #parties = new Set<T>();
  /** When the present window ends, in ms on the monotonic clock. */
  #endsAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param lengthMs of a window.
   * @param phaseMs how long after a multiple of its length a window begins.
   * @param serve called for each party when a window ends. Returns whether the party takes part in the next one. It may remove
   *   parties and add none.
   */
  constructor(lengthMs: number, phaseMs: number, serve: (one: T) => boolean) {
    this.#lengthMs = lengthMs;
    this.#phaseMs = phaseMs;
    this.#serve = serve;
  }

  /** Whether a party takes part in the present window. */
  has(one: T): boolean {
    return this.#parties.has(one);
  }

  /** Adds a party, which is served when the present window ends. */
  add(one: T): void {
    this.#parties.add(one);
    if (this.#timer !== undefined) return;
    const now = performance.now();
    const begun = Math.floor((now - this.#phaseMs) / this.#lengthMs);
    this.#endsAt = (begun + 1) * this.#lengthMs + this.#phaseMs;
    this.#arm(now);
  }

  /** Removes a party. Does nothing if it takes no part. */
  remove(one: T): void {
    this.#parties.delete(one);
    if (this.#parties.size === 0) this.stop();
  }

  /** Removes all parties and ends the timer. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#parties.clear();
  }

  #arm(now: number): void {
    this.#timer = setTimeout(this.#end, Math.ceil(this.#endsAt - now));
  }

  readonly #end = (): void => {
    for (const one of this.#parties) if (!this.#serve(one)) this.#parties.delete(one);
    this.#timer = undefined;
    if (this.#parties.size === 0) return;
    const now = performance.now();
    const missed = Math.max(0, Math.floor((now - this.#endsAt) / this.#lengthMs));
    this.#endsAt += (missed + 1) * this.#lengthMs;
    this.#arm(now);
  };
}
