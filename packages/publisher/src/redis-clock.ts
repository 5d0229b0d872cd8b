import type { RedisConnection, Server } from './redis-connection.ts';

/** How often Redis is asked for its time; the quickest answer counts, since it leaves the least doubt. */
const MEASUREMENTS = 5;

/** How long a measurement counts, in ms. A quartz that is 100 ppm off has moved by 6 ms then. */
const MEASURED_FOR_MS = 60_000;

interface Measurement {
  readonly at: number;
  readonly offsetMs: Promise<number>;
}

/**
 * Redis' clock, measured against this process' monotonic one, so that no wall clock is compared. Its error is at most half of the
 * quickest round trip. Each server of a Cluster has a clock of its own.
 */
export class RedisClock {
  readonly #connection: RedisConnection;
  readonly #measurements = new WeakMap<object, Measurement>();

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** The moment `monotonicMs` of `performance.now()` on a server's clock, in ms since 1970. Rejects as the caller's client does. */
  async at(monotonicMs: number, server: Server): Promise<number> {
    const now = performance.now();
    let measurement = this.#measurements.get(server.client);
    if (measurement === undefined || now - measurement.at > MEASURED_FOR_MS) {
      const measured = { at: now, offsetMs: this.#measure(server) };
      measurement = measured;
      this.#measurements.set(server.client, measured);
      measured.offsetMs.catch(() => {
        if (this.#measurements.get(server.client) === measured) this.forget(server);
      });
    }
    return Math.ceil(monotonicMs + (await measurement.offsetMs));
  }

  /** Measures again before the next use: the next answer may come from another server. */
  forget(server: Server): void {
    this.#measurements.delete(server.client);
  }

  async #measure({ client }: Server): Promise<number> {
    let best = { roundTripMs: Number.POSITIVE_INFINITY, offsetMs: 0 };
    for (let i = 0; i < MEASUREMENTS; i += 1) {
      const sent = performance.now();
      const answer = await this.#connection.send(['time'], client);
      const [seconds, microseconds] = answer as [unknown, unknown];
      const received = performance.now();
      const redisMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
      const roundTripMs = received - sent;
      if (roundTripMs < best.roundTripMs)
        best = { roundTripMs, offsetMs: redisMs - (sent + received) / 2 };
    }
    return best.offsetMs;
  }
}
