/** One try at an offered rate. */
export interface Attempt {
  /** The offered rate, in publications per second. */
  readonly rate: number;
  /** Whether every client received everything in time. */
  readonly whole: boolean;
}

export interface SearchOptions {
  /** The first rate to try, in publications per second. */
  readonly start: number;
  /** The search ends when the highest rate that passed and the lowest that failed are this near: 1.05. */
  readonly resolution: number;
  /** Tries a rate for a short time. */
  tryShort(rate: number): Promise<boolean>;
  /** Tries a rate for as long as it must hold. */
  tryLong(rate: number): Promise<boolean>;
  report(attempt: Attempt & { readonly kind: 'short' | 'long' }): void;
}

/** Below this rate the search gives up, in publications per second: the server carries nothing. */
const LEAST_RATE = 0.5;

/**
 * Returns the highest rate that is delivered whole in `tryLong`. It doubles and then bisects with short tries; each
 * long try that fails lowers the rate by one step of the resolution. Undefined if not even the lowest rate holds.
 */
export async function searchSaturation(options: SearchOptions): Promise<number | undefined> {
  const { resolution, report } = options;

  async function tryShort(rate: number): Promise<boolean> {
    const whole = await options.tryShort(rate);
    report({ kind: 'short', rate, whole });
    return whole;
  }

  let passed: number | undefined;
  let failed: number | undefined;
  for (let rate = options.start; passed === undefined || failed === undefined; ) {
    if (rate < LEAST_RATE) return undefined;
    if (await tryShort(rate)) {
      passed = rate;
      rate *= 2;
    } else {
      failed = rate;
      rate /= 2;
    }
  }
  while (failed / passed > resolution) {
    const middle = Math.sqrt(passed * failed);
    if (await tryShort(middle)) passed = middle;
    else failed = middle;
  }
  for (let rate = passed; rate >= LEAST_RATE; rate /= resolution) {
    const whole = await options.tryLong(rate);
    report({ kind: 'long', rate, whole });
    if (whole) return rate;
  }
  return undefined;
}
