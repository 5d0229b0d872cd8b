import type { Publication } from '@tradewind/fanout';

/** What a worker was not told of one channel. */
export class MissedPublications {
  /** The epoch of the offsets; empty while there are none. */
  readonly epoch: string;
  /** Publications without offsets; NaN when nobody knows how many. */
  #plain = 0;
  #from = 0;
  #to = 0;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  /** The first offset, or 0 if none is missing. */
  get from(): number {
    return this.#from;
  }

  /** The last offset, inclusive. */
  get to(): number {
    return this.#to;
  }

  add({ offset }: Pick<Publication, 'offset'>): void {
    if (offset === 0) this.#plain += 1;
    else this.addRange(offset, offset);
  }

  /** Offsets that follow those which are missing already, both inclusive. */
  addRange(from: number, to: number): void {
    this.#from ||= from;
    this.#to = Math.max(this.#to, to);
  }

  /** @param count NaN when nobody knows how many. */
  addPlain(count: number): void {
    this.#plain += count;
  }

  /** Those without offsets, which nobody can fill in; they are counted from 0 again. */
  takePlain(): number {
    const plain = this.#plain;
    this.#plain = 0;
    return plain;
  }

  /** Everything before this offset has been told. */
  toldBefore(offset: number): void {
    this.#from = offset > this.#to ? 0 : offset;
    if (this.#from === 0) this.#to = 0;
  }
}
