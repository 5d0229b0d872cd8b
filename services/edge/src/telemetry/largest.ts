/** How many times the wanted number are kept before the smallest are dropped, so that each item is compared only some times. */
const SLACK = 4;

/** The largest of many, the largest first, without sorting all of them. */
export class Largest<T> {
  readonly #most: number;
  readonly #sizeOf: (item: T) => number;
  #kept: T[] = [];

  /** @param most how many are wanted. `sizeOf` must return the same size for the same item each time. */
  constructor(most: number, sizeOf: (item: T) => number) {
    this.#most = most;
    this.#sizeOf = sizeOf;
  }

  /** Adds an item, and drops some of the smallest from time to time. */
  add(item: T): void {
    this.#kept.push(item);
    if (this.#kept.length >= this.#most * SLACK) this.#trim();
  }

  /** The largest items, at most as many as wanted, the largest first. */
  get all(): readonly T[] {
    this.#trim();
    return this.#kept;
  }

  #trim(): void {
    this.#kept.sort((a, b) => this.#sizeOf(b) - this.#sizeOf(a));
    this.#kept = this.#kept.slice(0, this.#most);
  }
}
