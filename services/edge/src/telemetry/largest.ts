/** How many more than wanted are kept before the smallest are dropped: so each is compared some times only. */
const SLACK = 4;

/** The largest of many, the largest first, without sorting all of them. */
export class Largest<T> {
  readonly #most: number;
  readonly #sizeOf: (item: T) => number;
  #kept: T[] = [];

  /** @param most how many are wanted. */
  constructor(most: number, sizeOf: (item: T) => number) {
    this.#most = most;
    this.#sizeOf = sizeOf;
  }

  add(item: T): void {
    this.#kept.push(item);
    if (this.#kept.length >= this.#most * SLACK) this.#trim();
  }

  /** Those that are wanted. */
  get all(): readonly T[] {
    this.#trim();
    return this.#kept;
  }

  #trim(): void {
    this.#kept.sort((a, b) => this.#sizeOf(b) - this.#sizeOf(a));
    this.#kept = this.#kept.slice(0, this.#most);
  }
}
