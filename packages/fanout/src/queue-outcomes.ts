/**
 * What the caller of an offer must do, unless the publication simply waits behind others:
 * - `wasIdle`: the publication waits, and the queue was empty before. Flush the client at the end of the turn.
 * - `nearlyFull`: the publication waits, and the next one may find no room although the socket takes bytes. Flush now.
 * - `refused`: the publication does not wait. There was no room, or the client is behind. Count it as refused.
 */
export type QueueVerdict = 'wasIdle' | 'nearlyFull' | 'refused';

/**
 * The verdicts of one offer to several queues. Its owner clears it before each offer. The arrays never get shorter: V8
 * gives up the memory of an array that is emptied.
 */
export class QueueOutcomes {
  /** How many verdicts there are. Elements of the arrays from this index on are stale. */
  count = 0;
  /** The index of each verdict's queue among those that were offered to. */
  readonly positions: number[] = [];
  /** The verdict beside each position. */
  readonly verdicts: QueueVerdict[] = [];

  /** Adds the verdict of the queue at this index. */
  add(position: number, verdict: QueueVerdict): void {
    this.positions[this.count] = position;
    this.verdicts[this.count] = verdict;
    this.count += 1;
  }

  /** Drops all verdicts. */
  clear(): void {
    this.count = 0;
  }
}
