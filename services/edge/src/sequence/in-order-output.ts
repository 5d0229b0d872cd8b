import type { GapReason, Position } from '@tradewind/protocol';
import type { HistoryEntry, Message } from './message.ts';
import { RecentlyDelivered } from './recently-delivered.ts';
import type { HeaderFault, SequenceListener } from './sequence-listener.ts';
import { type WaitingLimits, WaitingMessages } from './waiting-messages.ts';

/** What the output must be brought before it can deliver what follows. */
export type Lack = 'nothing' | 'position' | 'history';

/** What a page of history says of what was delivered: the same, something else, or too little to tell. */
export type ComparisonVerdict = 'same' | 'different' | 'not-shown';

/** Delivers one channel in the order of its offsets: what arrives, what waits, and what history holds of the rest. */
export class InOrderOutput {
  readonly #listener: SequenceListener;
  readonly #waiting: WaitingMessages;
  readonly #recent = new RecentlyDelivered();
  /** Whether everything is delivered as it comes, without its offset. */
  #withoutOffsets = false;
  #epoch = '';
  #offset = 0;
  /** The last offset of the epoch that is known to exist: from `meta`, or from a header that followed. */
  #confirmedOffset = 0;
  /** Our last offset when an older one came that says it is younger; undefined when none has. */
  #suspectedAt: number | undefined;

  constructor(limits: WaitingLimits, listener: SequenceListener) {
    this.#waiting = new WaitingMessages(limits);
    this.#listener = listener;
  }

  /** Empty while the channel has no history. */
  get epoch(): string {
    return this.#epoch;
  }

  /** Up to where everything was delivered or told as lost. */
  get offset(): number {
    return this.#offset;
  }

  get confirmedOffset(): number {
    return this.#confirmedOffset;
  }

  /** The number of messages that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether an offset seems to have been handed out twice. Any publisher of the channel can make it seem so. */
  get isSuspicious(): boolean {
    return this.#suspectedAt !== undefined;
  }

  /** The first offset that a read of history must cover to fill the hole and to settle a suspicion. */
  get historyFrom(): number {
    return this.#suspectedAt ?? this.#offset + 1;
  }

  /** Delivers a message, or drops it, if that takes no read of Redis. Otherwise it waits, and the answer is false. */
  offer(message: Message): boolean {
    if (this.#waiting.length === 0 && this.#deliverOrDrop(message)) return true;
    this.#waiting.add(message);
    return false;
  }

  /** Keeps a message until {@link release} or {@link merge}. */
  hold(message: Message): void {
    this.#waiting.add(message);
  }

  /** Drops all that waits. */
  dropWaiting(): void {
    this.#waiting.clear();
  }

  /** Forgets the plain messages that were dropped: the listener is told of their loss in another way. */
  forgetDroppedPlain(): void {
    this.#waiting.takeDroppedPlain();
  }

  /** The request for the position is being sent. */
  markRequest(): void {
    this.#waiting.markRequest();
  }

  /** The last request was answered, or refused. */
  markAnswer(): void {
    this.#waiting.markAnswer();
  }

  /**
   * Begins where the channel stands, or without an epoch.
   *
   * @param askedAt when that was asked, in ms since the Unix epoch.
   */
  startAt(position: Position | undefined, askedAt: number): void {
    this.#recent.reset(askedAt);
    if (position !== undefined) this.#moveTo(position);
  }

  /** From now on everything is delivered as it comes, without its offset; or no longer. */
  deliverWithoutOffsets(isOn: boolean): void {
    this.#withoutOffsets = isOn;
  }

  /** `meta` has told that the epoch reaches to this offset. */
  confirmUpTo(offset: number): void {
    this.#confirmedOffset = Math.max(this.#offset, offset);
  }

  /** Enters an epoch, or none, of which nothing was delivered before; it tells all but the latter. */
  enterEpoch(position: Position): void {
    this.#suspectedAt = undefined;
    this.#moveTo(position);
    if (position.epoch !== '') this.#listener.onResync(position);
  }

  /**
   * Enters an epoch that takes over what was published under others. Publications of it that may have been delivered
   * under those are not delivered again.
   *
   * @param end where the epoch stands.
   * @param askedAt when that was asked, in ms since the Unix epoch.
   * @param history what Redis holds of it.
   * @param replaced the epochs that it takes over.
   */
  takeOverEpoch(
    end: Position,
    askedAt: number,
    history: readonly HistoryEntry[],
    replaced: readonly (string | undefined)[],
  ): void {
    this.#waiting.moveToEpoch(replaced, end.epoch);
    const offset = this.#startOf(end, history);
    this.#recent.reset(
      askedAt,
      history.filter((entry) => entry.offset <= offset),
    );
    this.enterEpoch({ epoch: end.epoch, offset });
    this.#confirmedOffset = end.offset;
  }

  /** Compares what was delivered with what Redis holds, up to our last offset. This settles a suspicion. */
  compareWith(history: readonly HistoryEntry[]): ComparisonVerdict {
    this.#suspectedAt = undefined;
    const ours = history.filter(({ offset }) => offset <= this.#offset);
    if (ours.some((entry) => this.#recent.differsFrom(entry))) return 'different';
    return ours.at(-1)?.offset === this.#offset ? 'same' : 'not-shown';
  }

  /** There is nothing to compare with: a suspicion is dropped. */
  dropSuspicion(): void {
    this.#suspectedAt = undefined;
  }

  /** Delivers what waits, as far as it follows. Returns what is lacking for the rest. */
  release(): Lack {
    this.#release(undefined);
    return this.#lack;
  }

  /**
   * Delivers what history holds and what waits, in one order. What neither holds is told as lost.
   *
   * @param history in ascending order of offsets.
   * @param until the last offset that the history speaks of, inclusive.
   * @param reason why an offset up to there that the history does not hold cannot be delivered.
   */
  merge(history: readonly HistoryEntry[], until: number, reason: GapReason): void {
    // A message that does not follow may stand before those that it claims to come after.
    const waiting = this.#waiting.ofEpoch(this.#epoch).values();
    const cursor = new HistoryCursor(history, until, reason, waiting);
    this.#release(cursor);
    this.#fillUpTo(until, cursor);
    if (cursor.repaired > 0) this.#listener.onRepaired(cursor.repaired);
  }

  get #lack(): Lack {
    if (this.#offset < this.#confirmedOffset) return 'history';
    if (this.#waiting.length > 0 || this.#waiting.hasDroppedOffsets) return 'position';
    return 'nothing';
  }

  #moveTo({ epoch, offset }: Position): void {
    this.#epoch = epoch;
    this.#offset = offset;
    this.#confirmedOffset = offset;
  }

  /** Delivers a message that follows, and drops one that came before. Returns false for any other. */
  #deliverOrDrop(message: Message): boolean {
    const { epoch, offset } = message;
    if (offset === 0) {
      this.#listener.onPublication(message);
      return true;
    }
    if (this.#withoutOffsets) {
      this.#listener.onPublication({ ...message, epoch: '', offset: 0 });
      return true;
    }
    if (epoch !== this.#epoch || offset > this.#offset + 1) return false;
    if (offset === this.#offset + 1) {
      this.#deliver(message);
    } else {
      this.#listener.onHeaderRejected('old');
      if (this.#recent.isOlderThan(message)) this.#suspectedAt ??= this.#offset;
    }
    return true;
  }

  #release(cursor: HistoryCursor | undefined): void {
    const dropped = this.#waiting.takeDroppedPlain();
    if (dropped > 0) this.#listener.onPlainLost(dropped);
    this.#waiting.takeWhile((message, arrival) => {
      if (cursor !== undefined) {
        const isNewer = arrival === 'after-answer';
        if (isNewer && !this.#fillUpTo(this.#confirmedOffset, cursor)) return false;
        if (this.#isConfirmed(message)) return this.#deliverAmong(cursor, message);
      }
      if (this.#deliverOrDrop(message)) return true;
      if (arrival !== 'before-request' || this.#isConfirmed(message)) return false;
      this.#listener.onHeaderRejected(this.#faultOf(message));
      return true;
    });
  }

  /** Whether its offset is known to exist and was not delivered yet. */
  #isConfirmed({ epoch, offset }: Message): boolean {
    return epoch === this.#epoch && offset > this.#offset && offset <= this.#confirmedOffset;
  }

  /** Why a message is dropped that does not follow, and that `meta` did not tell of. */
  #faultOf({ epoch }: Message): HeaderFault {
    if (this.#epoch === '') return 'no_meta';
    return epoch === this.#epoch ? 'unconfirmed' : 'foreign_epoch';
  }

  /**
   * Delivers a message in its place among the history, or drops it if history holds another one under its offset. Returns
   * false if the history does not reach so far.
   */
  #deliverAmong(cursor: HistoryCursor, message: Message): boolean {
    const { offset } = message;
    if (offset > cursor.until) return false;
    const entry = cursor.find(offset);
    if (entry !== undefined && !isSame(entry, message)) {
      this.#listener.onHeaderRejected('unconfirmed');
      return true;
    }
    this.#fillUpTo(offset - 1, cursor);
    this.#deliver(message);
    return true;
  }

  /** Returns whether the history reaches so far. */
  #fillUpTo(offset: number, cursor: HistoryCursor): boolean {
    if (offset > cursor.until) return false;
    for (let entry = cursor.takeUpTo(offset); entry; entry = cursor.takeUpTo(offset)) {
      if (entry.offset <= this.#offset) continue;
      this.#tellGapUpTo(entry.offset - 1, cursor.reason);
      this.#deliver({ ...entry, epoch: this.#epoch });
      cursor.repaired += 1;
    }
    this.#tellGapUpTo(offset, cursor.reason);
    return true;
  }

  #tellGapUpTo(to: number, reason: GapReason): void {
    if (to <= this.#offset) return;
    this.#listener.onGap(this.#offset + 1, to, reason);
    this.#offset = to;
  }

  #deliver(message: Message): void {
    this.#offset = message.offset;
    this.#confirmedOffset = Math.max(this.#confirmedOffset, message.offset);
    this.#recent.remember(message);
    this.#listener.onPublication(message);
  }

  /**
   * The last offset of an epoch that must not be delivered under it. What waits was delivered under no epoch: as far back
   * as it joins what follows without a hole, it is delivered under the new one.
   */
  #startOf(end: Position, history: readonly HistoryEntry[]): number {
    const delivered = this.#recent.partIn(history);
    const waiting = this.#waiting.ofEpoch(end.epoch);
    const before = (history[0]?.offset ?? end.offset + 1) - 1;
    const floor = delivered.isCertain ? delivered.offset : 0;
    let start = delivered.offset > 0 ? delivered.offset : before;
    while (start > floor && waiting.has(start)) start -= 1;
    return start;
  }
}

function isSame(one: HistoryEntry, other: HistoryEntry): boolean {
  return one.publishedAt === other.publishedAt && one.payload.equals(other.payload);
}

/** Goes once through what is known of a channel's past, and says why the rest cannot be had. */
class HistoryCursor {
  readonly #entries: readonly HistoryEntry[];
  #next = 0;
  /** The last offset that the history speaks of, inclusive. */
  readonly until: number;
  /** Why an offset that the history does not hold cannot be delivered. */
  readonly reason: GapReason;
  /** The number of publications from history that had been missed. */
  repaired = 0;

  /**
   * @param history in ascending order of offsets.
   * @param waiting messages that fill holes of the history.
   */
  constructor(
    history: readonly HistoryEntry[],
    until: number,
    reason: GapReason,
    waiting: Iterable<HistoryEntry>,
  ) {
    const entries = new Map(history.map((entry) => [entry.offset, entry]));
    for (const entry of waiting) if (!entries.has(entry.offset)) entries.set(entry.offset, entry);
    this.#entries = [...entries.values()].sort((one, other) => one.offset - other.offset);
    this.until = until;
    this.reason = reason;
  }

  /** The entry under an offset, if {@link takeUpTo} has not gone past it. */
  find(offset: number): HistoryEntry | undefined {
    for (let index = this.#next; index < this.#entries.length; index += 1) {
      const entry = this.#entries[index]!;
      if (entry.offset >= offset) return entry.offset === offset ? entry : undefined;
    }
    return undefined;
  }

  /** The next entry up to this offset, if there is one. */
  takeUpTo(offset: number): HistoryEntry | undefined {
    const next = this.#entries[this.#next];
    if (next === undefined || next.offset > offset) return undefined;
    this.#next += 1;
    return next;
  }
}
