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
  /** How far `meta` has confirmed the epoch. */
  tail = 0;
  /** Our last offset when an older one came that says it is younger; undefined when none has. */
  suspectedAt: number | undefined;
  readonly #trustsHeaders: boolean;
  readonly #output: SequenceOutput;
  #epoch = '';
  #offset = 0;

  /** @param trustsHeaders whether the next offset is passed on before `meta` has confirmed it. */
  constructor(limits: PendingLimits, trustsHeaders: boolean, output: SequenceOutput) {
    this.pending = new PendingArrivals(limits);
    this.#trustsHeaders = trustsHeaders;
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
    if (offset > this.tail && !this.#trustsHeaders) return false;
    this.#deliver(arrival);
    return true;
  }

  /** Passes on what waits, as far as it follows without a hole. */
  passPending(): void {
    this.#passPending(undefined);
  }

  /** Passes on what history holds and what waits, in one order; what neither has is told as lost. */
  repair(past: HistoryCursor): void {
    // A forged message may stand before those whose offsets come before its own.
    if (this.pending.isUnordered) past.add(this.pending.claims(this.#epoch).values());
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
    const claims = this.pending.claims(next.epoch);
    let start = seen.offset > 0 ? seen.offset : (held[0]?.offset ?? next.offset + 1) - 1;
    const floor = seen.isCertain ? seen.offset : 0;
    while (start > floor && claims.get(start) !== undefined) start -= 1;
    return start;
  }

  #passPending(past: HistoryCursor | undefined): void {
    const dropped = this.pending.takeDroppedPlain();
    if (dropped > 0) this.#output.lostPlain(dropped);
    const { answered } = this.pending;
    let confirmable: number | undefined;
    const claims = this.pending.isUnordered ? this.pending.claims(this.#epoch) : undefined;
    this.pending.takeWhile((arrival, place) => {
      // What came behind the answer is newer than all that the answer told of.
      if (past !== undefined && place >= answered && !this.#fillUpTo(this.tail, past)) return false;
      if (this.#isOpen(arrival)) {
        const isContested = claims !== undefined && claims.get(arrival.offset) === undefined;
        return this.#passOpen(arrival, isContested, past);
      }
      if (this.pass(arrival)) return true;
      confirmable ??= this.#confirmable;
      if (place >= confirmable) return false;
      this.#output.rejected(this.#faultOf(arrival));
      return true;
    });
  }

  /**
   * Of the first so many of what waits, `meta` has told all: they had arrived when it was asked for, or
   * arrived before one that it told of; but where anything is forged, that may be.
   */
  get #confirmable(): number {
    const { pending } = this;
    if (pending.isUnordered) return pending.confirmable;
    return Math.max(
      pending.confirmable,
      1 + pending.lastPlaceOf((arrival) => this.#isOpen(arrival)),
    );
  }

  /** Whether it is to be passed on, by what `meta` has confirmed. */
  #isOpen({ epoch, offset }: Arrival): boolean {
    return epoch === this.#epoch && offset > this.#offset && offset <= this.tail;
  }

  /** Why what `meta` has not confirmed is not passed on. */
  #faultOf({ epoch }: Arrival): HeaderFault {
    if (this.#epoch === '') return 'no_meta';
    return epoch === this.#epoch ? 'unconfirmed' : 'foreign_epoch';
  }

  /** Passes on what `meta` has confirmed. Where several claim to be it, history alone can say which one is. */
  #passOpen(arrival: Arrival, isContested: boolean, past: HistoryCursor | undefined): boolean {
    const { offset } = arrival;
    if (past === undefined) {
      if (isContested || offset !== this.#offset + 1) return false;
      this.#deliver(arrival);
      return true;
    }
    if (offset > past.until) return false;
    const held = past.find(offset);
    if (held === undefined ? isContested : !isSame(held, arrival)) {
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
