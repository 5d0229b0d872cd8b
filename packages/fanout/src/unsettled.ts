/**
 * What became of a publication that was offered, where it did not come to wait behind others:
 * - `first`: it waits, and nothing did before.
 * - `brim`: it waits, and the next one may find no room although the socket takes bytes.
 * - `refused`: there was no room, or there were refusals before that are not settled.
 */
export type Offered = 'first' | 'brim' | 'refused';

/**
 * What is to be settled of an offer to several queues. Its owner clears it. The arrays are never made shorter: V8
 * gives up the memory of one that is emptied.
 */
export class Unsettled {
  /** How many there are; what the arrays hold behind that has no meaning. */
  count = 0;
  /** Which of the places that were offered to. */
  readonly positions: number[] = [];
  /** Next to each what became of the offer. */
  readonly offers: Offered[] = [];

  add(position: number, offered: Offered): void {
    this.positions[this.count] = position;
    this.offers[this.count] = offered;
    this.count += 1;
  }

  clear(): void {
    this.count = 0;
  }
}
