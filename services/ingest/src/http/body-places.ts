/** Limits of the bodies that are read at the same time. */
export interface BodyLimits {
  /** Bodies of all holders. */
  readonly maxInFlight: number;
  /** Bodies of one holder. */
  readonly maxInFlightPerToken: number;
}

/**
 * Counts the bodies that are read, by their holder: a token, or an address if there are no tokens. One holder gets only a
 * part of the places, so it cannot keep the others from publishing.
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

  /** Takes a place, or returns the limit that leaves none. The caller must give a place back. */
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
