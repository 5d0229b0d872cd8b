/**
 * Divides time into windows of one length for all who take part, with one timer. While nobody takes part there is no timer.
 * The windows begin at multiples of their length on the monotonic clock, or later by a constant. So those of a longer length begin
 * together with some of a shorter one: what a client is sent of many channels at one moment leaves in one write.
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
   * @param phaseMs how much later than at multiples of its length a window begins.
   * @param serve called for each party when a window ends. Returns whether the party takes part in the next one. It may remove
   *   parties and add none.
   */
  constructor(lengthMs: number, phaseMs: number, serve: (one: T) => boolean) {
    this.#lengthMs = lengthMs;
    this.#phaseMs = phaseMs;
    this.#serve = serve;
  }

  has(one: T): boolean {
    return this.#parties.has(one);
  }

  /** Takes part from now on: it is served when the present window ends. */
  add(one: T): void {
    this.#parties.add(one);
    if (this.#timer !== undefined) return;
    const now = performance.now();
    const begun = Math.floor((now - this.#phaseMs) / this.#lengthMs);
    this.#endsAt = (begun + 1) * this.#lengthMs + this.#phaseMs;
    this.#arm(now);
  }

  remove(one: T): void {
    this.#parties.delete(one);
    if (this.#parties.size === 0) this.stop();
  }

  /** Ends the timer. */
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
