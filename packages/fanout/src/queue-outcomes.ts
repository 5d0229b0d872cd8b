/**
 * What the caller of an offer must do, where the publication does not simply wait behind others:
 * - `wasIdle`: the publication waits, and nothing did before it. Flush the client at the end of the turn.
 * - `nearlyFull`: the publication waits, and the next one may find no room although the socket takes bytes. Flush now.
 * - `refused`: the publication does not wait. There was no room, or the client is behind. Count it as refused.
 */
export type QueueVerdict = 'wasIdle' | 'nearlyFull' | 'refused';

/**
 * The verdicts of one offer to several queues. Its owner clears it before each offer. The arrays never get shorter: V8
 * gives up the memory of an array that is emptied.
 */
export class QueueOutcomes {
  /** How many verdicts there are. What the arrays hold behind that has no meaning. */
  count = 0;
  /** The index of each verdict's queue among those that were offered to. */
  readonly positions: number[] = [];
  /** The verdict beside each position. */
  readonly verdicts: QueueVerdict[] = [];

  add(position: number, verdict: QueueVerdict): void {
    this.positions[this.count] = position;
    this.verdicts[this.count] = verdict;
    this.count += 1;
  }

  clear(): void {
    this.count = 0;
  }
}
