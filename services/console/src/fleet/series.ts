/** A ring of numbers, the oldest of which is overwritten. A place without a number holds NaN. */
export class Series {
  readonly #values: Float64Array;
  #next = 0;

  /** @param length how many numbers it keeps. */
  constructor(length: number) {
    this.#values = new Float64Array(length).fill(Number.NaN);
  }

  push(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#values.length;
  }

  /** The number that was pushed `back` pushes before the newest; NaN if there is none. */
  at(back: number): number {
    const { length } = this.#values;
    if (back < 0 || back >= length) return Number.NaN;
    return this.#values[(this.#next - 1 - back + 2 * length) % length] ?? Number.NaN;
  }

  /** All numbers, the oldest first; null where there is none. */
  toArray(): (number | null)[] {
    const { length } = this.#values;
    return Array.from({ length }, (_, i) => {
      const value = this.at(length - 1 - i);
      return Number.isNaN(value) ? null : value;
    });
  }
}
