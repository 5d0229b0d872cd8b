import type { GapReason, Position } from '@tradewind/protocol';
import type { HistoryCursor } from './history-cursor.ts';
import type { Arrival, HistoryEntry } from './message.ts';
import { PassedOn } from './recently-delivered.ts';
import type { HeaderFault, SequenceOutput } from './sequence-output.ts';
import { PendingArrivals, type PendingLimits } from './waiting-messages.ts';

/**
 * Where a channel stands here, and what of it is passed on in which order: what arrives, what waits, and
 * what history holds of that which did not arrive.
 */
export class ChannelPassage {
  readonly pending: PendingArrivals;
  readonly passedOn = new PassedOn();
  /** Whether everything is passed on as it comes, without its offset. */
  isBlind = false;
  /** The last offset of the epoch that is known to exist: from `meta`, or from a header. */
  tail = 0;
  /** Our last offset when an older one came that says it is younger; undefined when none has. */
  suspectedAt: number | undefined;
  readonly #output: SequenceOutput;
  #epoch = '';
  #offset = 0;

  constructor(limits: PendingLimits, output: SequenceOutput) {
    this.pending = new PendingArrivals(limits);
    this.#output = output;
  }

  /** Empty while the channel has no history. */
  get epoch(): string {
    return this.#epoch;
  }

  /** Up to where everything was passed on or told as lost. */
  get offset(): number {
    return this.#offset;
  }

  moveTo({ epoch, offset }: Position): void {
    this.#epoch = epoch;
    this.#offset = offset;
    this.tail = offset;
  }

  /** Passes a message on, or rejects it, where that takes no further look at Redis. Returns whether it did. */
  pass(arrival: Arrival): boolean {
    const { epoch, offset } = arrival;
    if (offset === 0 || this.isBlind) {
      this.#output.publish(offset === 0 ? arrival : { ...arrival, epoch: '', offset: 0 });
      return true;
    }
    if (epoch !== this.#epoch) return false;
    if (offset <= this.#offset) {
      this.#output.rejected('old');
      // It was handed out twice, or is forged.
      if (this.passedOn.isOutrunBy(arrival)) this.suspectedAt ??= this.#offset;
      return true;
    }
    if (offset !== this.#offset + 1) return false;
    this.#deliver(arrival);
    return true;
  }

  /** Passes on what waits, as far as it follows without a hole. */
  passPending(): void {
    this.#passPending(undefined);
  }

  /** Passes on what history holds and what waits, in one order; what neither has is told as lost. */
  repair(past: HistoryCursor): void {
    // A message that nothing confirms may stand before those whose offsets come before its own.
    past.add(this.pending.of(this.#epoch).values());
    this.#passPending(past);
    this.#fillUpTo(past.until, past);
    if (past.repaired > 0) this.#output.repaired(past.repaired);
  }

  /**
   * The last offset of a new epoch that is not to be passed on under it. What waits was passed on under no
   * epoch: as far as it joins on to what follows without a hole, it belongs to the new one.
   *
   * @param held what history holds of the epoch.
   */
  startOf(next: Position, held: readonly HistoryEntry[]): number {
    const seen = this.passedOn.seenIn(held);
    const waiting = this.pending.of(next.epoch);
    let start = seen.offset > 0 ? seen.offset : (held[0]?.offset ?? next.offset + 1) - 1;
    const floor = seen.isCertain ? seen.offset : 0;
    while (start > floor && waiting.has(start)) start -= 1;
    return start;
  }

  #passPending(past: HistoryCursor | undefined): void {
    const dropped = this.pending.takeDroppedPlain();
    if (dropped > 0) this.#output.lostPlain(dropped);
    const { judged, answered } = this.pending;
    this.pending.takeWhile((arrival, place) => {
      if (past !== undefined) {
        // What came behind the answer is newer than all that the answer told of.
        if (place >= answered && !this.#fillUpTo(this.tail, past)) return false;
        if (this.#isTold(arrival)) return this.#merge(arrival, past);
      }
      if (this.pass(arrival)) return true;
      if (place >= judged || this.#isTold(arrival)) return false;
      this.#output.rejected(this.#faultOf(arrival));
      return true;
    });
  }

  /** Whether `meta` tells of this offset, and it was not passed on yet. */
  #isTold({ epoch, offset }: Arrival): boolean {
    return epoch === this.#epoch && offset > this.#offset && offset <= this.tail;
  }

  /** Why a message is rejected that neither follows nor is told of by `meta`. */
  #faultOf({ epoch }: Arrival): HeaderFault {
    if (this.#epoch === '') return 'no_meta';
    return epoch === this.#epoch ? 'unconfirmed' : 'foreign_epoch';
  }

  /**
   * Passes a message on in its place among what history holds, or rejects it where history holds another one under its
   * offset. Returns false if history does not reach so far.
   */
  #merge(arrival: Arrival, past: HistoryCursor): boolean {
    const { offset } = arrival;
    if (offset > past.until) return false;
    const held = past.find(offset);
    if (held !== undefined && !isSame(held, arrival)) {
      this.#output.rejected('unconfirmed');
      return true;
    }
    this.#fillUpTo(offset - 1, past);
    this.#deliver(arrival);
    return true;
  }

  /** Returns whether history reaches so far. */
  #fillUpTo(offset: number, past: HistoryCursor): boolean {
    if (offset > past.until) return false;
    for (let one = past.takeUpTo(offset); one !== undefined; one = past.takeUpTo(offset)) {
      if (one.offset <= this.#offset) continue;
      this.#tellGap(one.offset - 1, past.reason);
      this.#deliver({ ...one, epoch: this.#epoch });
      past.repaired += 1;
    }
    this.#tellGap(offset, past.reason);
    return true;
  }

  #tellGap(to: number, reason: GapReason): void {
    if (to <= this.#offset) return;
    this.#output.gap(this.#offset + 1, to, reason);
    this.#offset = to;
  }

  #deliver(arrival: Arrival): void {
    this.#offset = arrival.offset;
    this.tail = Math.max(this.tail, arrival.offset);
    this.passedOn.remember(arrival);
    this.#output.publish(arrival);
  }
}

function isSame(one: HistoryEntry, other: HistoryEntry): boolean {
  return one.publishedAt === other.publishedAt && one.payload.equals(other.payload);
}
