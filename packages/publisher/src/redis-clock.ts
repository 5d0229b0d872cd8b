import type { RedisConnection } from './redis-connection.ts';

/** How often Redis is asked for its time; the quickest answer counts, since it leaves the least doubt. */
const MEASUREMENTS = 5;

/** How long a measurement counts, in ms. A quartz that is 100 ppm off has moved by 6 ms then. */
const MEASURED_FOR_MS = 60_000;

/**
 * Redis' clock, measured against this process' monotonic one, so that no wall clock is compared. Its error is at most half of the
 * quickest round trip.
 */
export class RedisClock {
  readonly #connection: RedisConnection;
  #measurement: { readonly at: number; readonly offsetMs: Promise<number> } | undefined;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** The moment `monotonicMs` of `performance.now()` on Redis' clock, in ms since 1970. Rejects as the caller's client does. */
  async at(monotonicMs: number): Promise<number> {
    const now = performance.now();
    if (this.#measurement === undefined || now - this.#measurement.at > MEASURED_FOR_MS) {
      const measurement = { at: now, offsetMs: this.#measure() };
      this.#measurement = measurement;
      measurement.offsetMs.catch(() => {
        if (this.#measurement === measurement) this.forget();
      });
    }
    return Math.ceil(monotonicMs + (await this.#measurement.offsetMs));
  }

  /** Measures again before the next use: the next answer may come from another server. */
  forget(): void {
    this.#measurement = undefined;
  }

  async #measure(): Promise<number> {
    let best = { roundTripMs: Number.POSITIVE_INFINITY, offsetMs: 0 };
    for (let i = 0; i < MEASUREMENTS; i += 1) {
      const sent = performance.now();
      const [seconds, microseconds] = (await this.#connection.send(['time'])) as [unknown, unknown];
      const received = performance.now();
      const redisMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
      const roundTripMs = received - sent;
      if (roundTripMs < best.roundTripMs)
        best = { roundTripMs, offsetMs: redisMs - (sent + received) / 2 };
    }
    return best.offsetMs;
  }
}
