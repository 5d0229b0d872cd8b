const LEAST_CAPACITY = 1_024;

/**
 * What waits in the outboxes of one worker, each frame once, under a small number. An outbox holds numbers
 * alone: at a million deliveries a second the collector would otherwise have to look through a million new
 * references from old memory to young, every second, and each of them would cost a barrier when it is made.
 */
export class WaitingFrames {
  #frames: (Uint8Array | undefined)[] = new Array(LEAST_CAPACITY).fill(undefined);
  /** How many entries of outboxes refer to each number; of a free one, the next free one (or -1). */
  #references = new Int32Array(LEAST_CAPACITY);
  #free = -1;
  /** Numbers from here on were never given out. */
  #unused = 0;
  #size = 0;
  /** The number that was given out last, while it is held. */
  #last = -1;
  #lastFrame: Uint8Array | undefined;

  /** Frames that are held. */
  get size(): number {
    return this.#size;
  }

  /**
   * Holds a frame for one more entry, or so many, and returns its number. The same frame again right away
   * gets the same number: one publication goes to many outboxes in a row.
   */
  hold(frame: Uint8Array, entries = 1): number {
    if (frame !== this.#lastFrame) this.#take(frame);
    this.#references[this.#last] = (this.#references[this.#last] as number) + entries;
    return this.#last;
  }

  /** The frame with this number. Only meaningful while it is held. */
  at(number: number): Uint8Array {
    return this.#frames[number] as Uint8Array;
  }

  /** An entry no longer refers to it. */
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
