/** How many bodies may be read at the same time. */
export interface BodyLimits {
  /** All of them. */
  readonly maxInFlight: number;
  /** Those of one holder. */
  readonly maxInFlightPerToken: number;
}

/**
 * The bodies that are being read, by who sends them: a token, or an address where there are no tokens. One
 * holder has only a part of the places, so it cannot keep the others from publishing.
 */
export class BodyPlaces {
  readonly #limits: BodyLimits;
  readonly #held = new Map<string, number>();
  #total = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** Bodies that are being read. */
  get total(): number {
    return this.#total;
  }

  /** Takes a place, or says which limit leaves none. Whoever takes one gives it back. */
  take(holder: string): 'in_flight' | 'in_flight_per_token' | undefined {
    const held = this.#held.get(holder) ?? 0;
    if (held >= this.#limits.maxInFlightPerToken) return 'in_flight_per_token';
    if (this.#total >= this.#limits.maxInFlight) return 'in_flight';
    this.#held.set(holder, held + 1);
    this.#total += 1;
    return undefined;
  }

  giveBack(holder: string): void {
    const held = this.#held.get(holder) ?? 0;
    if (held <= 1) this.#held.delete(holder);
    else this.#held.set(holder, held - 1);
    this.#total -= 1;
  }
}
