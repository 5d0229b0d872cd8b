/** The hub reads the history of no more channels at once. */
const MOST_QUESTIONS = 16;

/** Until an answer has come, this share of what is free counts as large as one may be. */
const FIRST_GUESS_SHARE = 0.25;

/**
 * Questions about channels' pasts whose answers are still to come. An answer takes memory, and how much
 * shows only when it is there; until then each counts as large as the latest ones were. So small ones are
 * awaited many at a time, and large ones hardly together.
 */
export class OpenQuestions {
  #open = 0;
  #expectedBytes: number;

  /** @param bytes what all answers together may take. */
  constructor(bytes: number) {
    this.#expectedBytes = bytes * FIRST_GUESS_SHARE;
  }

  /** Whether one more may be put while so many bytes are free. */
  mayPut(freeBytes: number): boolean {
    if (this.#open === 0) return freeBytes > 0;
    return this.#open < MOST_QUESTIONS && (this.#open + 1) * this.#expectedBytes <= freeBytes;
  }

  put(): void {
    this.#open += 1;
  }

  /** @param bytes what the answer takes; undefined if none comes. */
  ended(bytes: number | undefined): void {
    this.#open -= 1;
    if (bytes !== undefined) this.#expectedBytes = Math.max(bytes, this.#expectedBytes / 2);
  }
}
