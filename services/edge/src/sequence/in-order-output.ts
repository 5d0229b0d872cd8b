import type { GapReason, Position } from '@tradewind/protocol';
import type { HistoryEntry, Message } from './message.ts';
import { RecentlyDelivered } from './recently-delivered.ts';
import type { HeaderFault, SequenceListener } from './sequence-listener.ts';
import { type WaitingLimits, WaitingMessages } from './waiting-messages.ts';

/** What must be read before the messages that wait can be delivered. */
export type Lack = 'nothing' | 'position' | 'history';

/** Whether a page of history holds what was delivered: the same, something else, or too little to tell. */
export type ComparisonVerdict = 'same' | 'different' | 'not-shown';

/** Delivers one channel in the order of its offsets: messages that arrive, messages that wait, and entries of history. */
export class InOrderOutput {
  readonly #listener: SequenceListener;
  readonly #waiting: WaitingMessages;
  readonly #recent = new RecentlyDelivered();
  /** Whether all messages are delivered as they come, without their offsets. */
  #withoutOffsets = false;
  #epoch = '';
  #offset = 0;
  /** The last offset of the epoch that is known to exist: by `meta`, or by a header that followed. */
  #confirmedOffset = 0;
  /** Our last offset when an older offset came with a later time; undefined if none did. */
  #suspectedAt: number | undefined;

  constructor(limits: WaitingLimits, listener: SequenceListener) {
    this.#waiting = new WaitingMessages(limits);
    this.#listener = listener;
  }

  /** Empty while the channel has no history. */
  get epoch(): string {
    return this.#epoch;
  }

  /** The offset up to which everything was delivered or told as lost. */
  get offset(): number {
    return this.#offset;
  }

  /** The last offset of the epoch that is known to exist. */
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

  /** The first offset that a read of history must cover to fill the hole and to resolve a suspicion. */
  get historyFrom(): number {
    return this.#suspectedAt ?? this.#offset + 1;
  }

  /** Delivers a message, or drops it, if that takes no read of Redis. Otherwise makes it wait, and returns false. */
  offer(message: Message): boolean {
    if (this.#waiting.length === 0 && this.#deliverOrDrop(message)) return true;
    this.#waiting.add(message);
    return false;
  }

  /** Keeps a message until {@link release} or {@link merge}. */
  hold(message: Message): void {
    this.#waiting.add(message);
  }

  /** Drops all messages that wait. */
  dropWaiting(): void {
    this.#waiting.clear();
  }

  /** Forgets the plain messages that were dropped, because the caller tells the listener of their loss itself. */
  forgetDroppedPlain(): void {
    this.#waiting.takeDroppedPlain();
  }

  /** Records that the position is requested now. */
  markRequest(): void {
    this.#waiting.markRequest();
  }

  /** Records that the last request was answered, or refused. */
  markAnswer(): void {
    this.#waiting.markAnswer();
  }

  /**
   * Begins at the channel's position, or without an epoch.
   *
   * @param askedAt when the position was requested, in ms since the Unix epoch.
   */
  startAt(position: Position | undefined, askedAt: number): void {
    this.#recent.reset(askedAt);
    if (position !== undefined) this.#moveTo(position);
  }

  /** Sets whether all messages are delivered as they come, without their offsets. */
  deliverWithoutOffsets(isOn: boolean): void {
    this.#withoutOffsets = isOn;
  }

  /** Records that offsets up to this one exist, by `meta`. */
  confirmUpTo(offset: number): void {
    this.#confirmedOffset = Math.max(this.#offset, offset);
  }

  /** Enters an epoch of which nothing was delivered before, and tells the listener; or no epoch, of which it tells nothing. */
  enterEpoch(position: Position): void {
    this.#suspectedAt = undefined;
    this.#moveTo(position);
    if (position.epoch !== '') this.#listener.onResync(position);
  }

  /**
   * Enters an epoch that takes over what was published under others. Publications of it that may have been delivered
   * under those are not delivered again.
   *
   * @param end the latest position of the epoch.
   * @param askedAt when that was requested, in ms since the Unix epoch.
   * @param history the entries of the epoch that Redis holds.
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

  /** Compares what was delivered with what Redis holds, up to our last offset. This ends a suspicion. */
  compareWith(history: readonly HistoryEntry[]): ComparisonVerdict {
    this.#suspectedAt = undefined;
    const ours = history.filter(({ offset }) => offset <= this.#offset);
    if (ours.some((entry) => this.#recent.differsFrom(entry))) return 'different';
    return ours.at(-1)?.offset === this.#offset ? 'same' : 'not-shown';
  }

  /** Drops a suspicion, because there is nothing to compare with. */
  dropSuspicion(): void {
    this.#suspectedAt = undefined;
  }

  /** Delivers the waiting messages that follow. Returns what the rest lacks. */
  release(): Lack {
    this.#release(undefined);
    return this.#lack;
  }

  /**
   * Delivers entries of history and waiting messages in one order. Offsets that neither holds are told as lost.
   *
   * @param history in ascending order of offsets.
   * @param until the last offset that the history covers, inclusive.
   * @param reason why an offset up to there that the history does not hold cannot be delivered.
   */
  merge(history: readonly HistoryEntry[], until: number, reason: GapReason): void {
    // A waiting message may come before those whose offsets it follows.
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

  /** Delivers a message that follows, and drops one whose offset was delivered already. Returns false for any other. */
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

  /** Whether the message's offset is known to exist and was not delivered yet. */
  #isConfirmed({ epoch, offset }: Message): boolean {
    return epoch === this.#epoch && offset > this.#offset && offset <= this.#confirmedOffset;
  }

  /** Why a message is dropped that does not follow and whose offset `meta` does not show. */
  #faultOf({ epoch }: Message): HeaderFault {
    if (this.#epoch === '') return 'no_meta';
    return epoch === this.#epoch ? 'unconfirmed' : 'foreign_epoch';
  }

  /**
   * Delivers a message after the entries of history before it, or drops the message if history holds another one under its offset.
   * Returns false if the history does not cover the offset.
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

  /** Delivers the history up to an offset, and tells what it lacks as lost. Returns false if the history does not cover the offset. */
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
   * The last offset of an epoch that must not be delivered under it. Messages that wait were delivered under no epoch: those that
   * precede it without a hole are delivered under the new one.
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

/** Passes once over the known entries of a channel's past, and has the reason why the others are missing. */
class HistoryCursor {
  readonly #entries: readonly HistoryEntry[];
  #next = 0;
  /** The last offset that the history covers, inclusive. */
  readonly until: number;
  /** Why an offset that the history does not hold cannot be delivered. */
  readonly reason: GapReason;
  /** The number of missed publications that were delivered from history. */
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
