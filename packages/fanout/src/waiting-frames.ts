const LEAST_CAPACITY = 1_024;

/**
 * The frames that wait in the outboxes of one worker: each is held once, under a small number. Outboxes hold only the
 * numbers. At a million deliveries a second, references would be a million new pointers from old to young memory a second.
 * Each would cost a write barrier, and the collector would have to look through all of them.
 */
export class WaitingFrames {
  #frames: (Uint8Array | undefined)[] = new Array(LEAST_CAPACITY).fill(undefined);
  /** How many entries of outboxes refer to each number. For a free number: the next free one, or -1. */
  #references = new Int32Array(LEAST_CAPACITY);
  #free = -1;
  /** Numbers from here on were never in use. */
  #unused = 0;
  #size = 0;
  /** The number that was handed out last, while its frame is held. */
  #last = -1;
  #lastFrame: Uint8Array | undefined;

  /** How many frames are held. */
  get size(): number {
    return this.#size;
  }

  /**
   * Holds a frame for more entries and returns its number. A frame that is held again right away keeps its number, because one
   * publication goes to many outboxes.
   *
   * @param entries how many entries refer to it from now on, besides those before.
   */
  hold(frame: Uint8Array, entries = 1): number {
    if (frame !== this.#lastFrame) this.#take(frame);
    this.#references[this.#last] = (this.#references[this.#last] as number) + entries;
    return this.#last;
  }

  /** The frame with this number, which must be held. */
  at(number: number): Uint8Array {
    return this.#frames[number] as Uint8Array;
  }

  /** Counts one entry less that refers to this number. The last one frees the number. */
  release(number: number): void {
    const left = (this.#references[number] as number) - 1;
    this.#references[number] = left;
    if (left === 0) this.#giveBack(number);
  }

  #take(frame: Uint8Array): void {
    let number = this.#free;
    if (number !== -1) {
      this.#free = this.#references[number] as number;
    } else {
      if (this.#unused === this.#frames.length) this.#grow();
      number = this.#unused;
      this.#unused += 1;
    }
    this.#frames[number] = frame;
    this.#references[number] = 0;
    this.#size += 1;
    this.#last = number;
    this.#lastFrame = frame;
  }

  #giveBack(number: number): void {
    this.#frames[number] = undefined;
    this.#references[number] = this.#free;
    this.#free = number;
    this.#size -= 1;
    if (number === this.#last) this.#lastFrame = undefined;
  }

  #grow(): void {
    const references = new Int32Array(2 * this.#references.length);
    references.set(this.#references);
    this.#references = references;
    const frames = new Array<Uint8Array | undefined>(references.length).fill(undefined);
    for (let i = 0; i < this.#unused; i += 1) frames[i] = this.#frames[i];
    this.#frames = frames;
  }
}
