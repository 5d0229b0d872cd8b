/** Seconds that are kept: a wide terminal has a column for each. */
const MAX_SECONDS = 200;

/** How often the counter is read, in ms. */
const INTERVAL_MS = 1_000;

/** How far a counter rose in each of the last seconds. */
export class RateHistory implements Disposable {
  readonly #timer: NodeJS.Timeout;
  readonly #rates: number[] = [];

  /** @param count a number that only grows. */
  constructor(count: () => number) {
    let before = count();
    let at = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      const value = count();
      this.#rates.push(((value - before) * 1_000) / (now - at));
      if (this.#rates.length > MAX_SECONDS) this.#rates.shift();
      before = value;
      at = now;
    }, INTERVAL_MS);
  }

  /** Per second, oldest first. Live; do not change it. */
  get rates(): readonly number[] {
    return this.#rates;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
