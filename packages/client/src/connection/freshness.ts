import type { Surroundings } from '../surroundings.ts';
import type { ClientStats } from '../types.ts';

/** The number of clock measurements that are kept. The one with the shortest round trip counts. */
const CLOCK_SAMPLES = 8;

/** The number of publications whose ages are kept for the percentiles. */
const LAG_SAMPLES = 256;

/** Knows the server's clock, and so how old a publication is when it comes. */
export class Freshness {
  readonly #surroundings: Surroundings;
  #clock: { readonly rttMs: number; readonly offsetMs: number }[] = [];
  #offsetMs: number | undefined;
  readonly #lags: number[] = [];
  #next = 0;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Records the server's time from an answer that arrived now, `rttMs` after the question. */
  measured(serverTime: number, rttMs: number): void {
    const offsetMs = serverTime - (this.#surroundings.now() - rttMs / 2);
    this.#clock.push({ rttMs, offsetMs });
    if (this.#clock.length > CLOCK_SAMPLES) this.#clock.shift();
    this.#offsetMs = this.#clock.reduce((best, each) =>
      each.rttMs < best.rttMs ? each : best,
    ).offsetMs;
  }

  /** Drops the measurements, because the wall clock jumped or another node has another clock. */
  forget(): void {
    this.#clock = [];
  }

  /** The age of a publication that arrived now; undefined until the server's clock is known. */
  lagOf(ts: number): number | undefined {
    if (this.#offsetMs === undefined) return undefined;
    const lag = Math.max(0, Math.round(this.#surroundings.now() + this.#offsetMs - ts));
    this.#lags[this.#next] = lag;
    this.#next = (this.#next + 1) % LAG_SAMPLES;
    return lag;
  }

  stats(): Pick<ClientStats, 'rttMs' | 'clockOffsetMs' | 'lagMs'> {
    const sorted = this.#lags.toSorted((a, b) => a - b);
    const at = (share: number): number => sorted[Math.floor(share * sorted.length)]!;
    const latest = this.#clock.at(-1);
    return {
      ...(latest && { rttMs: latest.rttMs }),
      ...(this.#offsetMs !== undefined && { clockOffsetMs: this.#offsetMs }),
      ...(sorted.length > 0 && { lagMs: { p50: at(0.5), p99: at(0.99) } }),
    };
  }
}
