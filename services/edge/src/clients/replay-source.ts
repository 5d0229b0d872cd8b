import {
  costOfItem,
  Excerpt,
  firstOffsetOf,
  Gaps,
  type Hole,
  isHole,
  lastOffsetOf,
  type PastItem,
  type Publication,
  type PublicationLog,
  type Replay,
  type ReplayMemory,
} from '@tradewind/fanout';
import type { ErrorCode, Position } from '@tradewind/protocol';
import { HistoryBounds } from './history-bounds.ts';

/** Where a channel's publications from some offset up to the present one are. */
export type Availability =
  /** Here, all of them: see {@link ChannelHistory.takeLatest}. */
  | { readonly kind: 'held' }
  /** The node has to be asked; here are only those from `oldest` on. */
  | { readonly kind: 'unread'; readonly oldest: number }
  /** The node was asked, and has not got all of them either. */
  | { readonly kind: 'gone'; readonly oldest: number; readonly reason: ErrorCode };

/** What was asked of the node, and is not answered yet. */
interface PendingRead {
  /** The first offset that was asked for. */
  readonly from: number;
  /** Where the channel stood then. */
  readonly requestedAt: number;
  /** What came since: it may be newer than the answer, and must not depend on the log. */
  readonly arrived: PastItem[];
  arrivedBytes: number;
}

/**
 * One replay may hold this share of the memory for replays at most. A single channel could keep all others
 * from being continued otherwise.
 */
const MAX_REPLAY_SHARE = 0.5;

/** What may be replayed of one channel at once by a worker that keeps so many bytes, in bytes. */
export function maxReplayBytes(logBytes: number): number {
  return logBytes * MAX_REPLAY_SHARE;
}

/**
 * Gaps on the feed of one channel that are remembered at most. A client that comes back misses few of them; beyond
 * that the node is asked. 2 KB a channel at most.
 */
const MAX_GAPS = 32;

/**
 * What a worker knows of a channel's past: where it stands, and which of its publications are at hand. They
 * come from the log, which holds what came on the feed, or from an answer of the node. What clients are to
 * be replayed is put together from both into one excerpt, which they share.
 */
export class ReplaySource {
  readonly #channel: string;
  readonly #log: PublicationLog;
  readonly #memory: ReplayMemory;
  readonly #bounds: HistoryBounds;
  #epoch = '';
  #offset = 0;
  /** The log's number from which on its publications of the channel are of this epoch. */
  #epochBegin = 0;
  /** What clients were promised last; it is empty once all of them have had it. */
  #excerpt: Excerpt;
  #pendingRead: PendingRead | undefined;
  /** Gaps on the feed that nobody can fill, the latest ones: the log has only publications. */
  readonly #gaps = new Gaps();
  /** What is answered: nothing but what is at hand can be had from this offset on, for this reason. */
  #lastRead: { readonly from: number; readonly reason: ErrorCode } | undefined;

  /**
   * @param memory counts what the excerpts hold.
   * @param bounds what is known of the histories of all channels.
   */
  constructor(
    channel: string,
    log: PublicationLog,
    memory: ReplayMemory,
    bounds = new HistoryBounds(),
  ) {
    this.#bounds = bounds;
    this.#channel = channel;
    this.#log = log;
    this.#memory = memory;
    this.#excerpt = new Excerpt(channel, memory);
  }

  /** Where the channel stands; undefined while it has no history. */
  get position(): Position | undefined {
    return this.#epoch === '' ? undefined : { epoch: this.#epoch, offset: this.#offset };
  }

  /** The channel flows from this position on. What was asked of its past before has lost its meaning. */
  beginAt(position: Position | undefined): void {
    this.#epoch = position?.epoch ?? '';
    this.#offset = position?.offset ?? 0;
    this.#epochBegin = this.#log.next;
    this.#gaps.clear();
    this.#excerpt = new Excerpt(this.#channel, this.#memory);
    this.#pendingRead = undefined;
    this.#lastRead = undefined;
  }

  /** A publication with an offset came on the feed, and is in the log. */
  addPublication(publication: Publication): void {
    this.#moveTo(publication);
  }

  /** A gap came on the feed, behind all that came before. What only this node or worker lost may be in history. */
  addGap({ from, to, reason }: Hole): void {
    this.#moveTo({ from, to, reason });
    if (reason === 'slow' || reason === 'link') return;
    this.#gaps.add(from, to, reason);
    this.#gaps.keepLatest(MAX_GAPS);
  }

  /** The node is being asked for publications from this offset on. */
  beginRead(from: number): void {
    this.#pendingRead = { from, requestedAt: this.#offset, arrived: [], arrivedBytes: 0 };
  }

  /** Whether what the node answered is at hand: until {@link forgetRead}. */
  get hasReadAnswer(): boolean {
    return this.#lastRead !== undefined;
  }

  /** The node could not answer. */
  abandonRead(): void {
    this.#pendingRead = undefined;
  }

  /**
   * Takes over what the node answered, together with what came on the feed since it was asked. What it has
   * not brought counts as gone until {@link forgetRead}. Returns how many bytes it is.
   */
  storeRead(epoch: string, past: readonly PastItem[]): number {
    if (this.#pendingRead === undefined) return 0;
    const { from, requestedAt: at, arrived: came, arrivedBytes: cameBytes } = this.#pendingRead;
    this.#pendingRead = undefined;
    if (epoch !== this.#epoch) {
      this.#lastRead = { from: 0, reason: 'epoch_changed' };
      return 0;
    }
    const [oldest] = past;
    const begins = oldest === undefined ? at + 1 : firstOffsetOf(oldest);
    if (begins > from) this.#bounds.recordTrimmed(this.#channel, epoch, begins);
    const whole = wholeUpTo(this.#offset, [...past, ...came]);
    const bytes = whole.reduce((sum, item) => sum + costOfItem(item), 0);
    if (bytes > this.#maxReplayBytes) {
      // Who waits for less of it asks again.
      this.#bounds.recordTooLong(this.#channel, epoch, beginOfLast(this.#maxReplayBytes, whole));
      return bytes;
    }
    const isTooLong = cameBytes > this.#maxReplayBytes;
    this.#lastRead = { from, reason: isTooLong ? 'history_too_long' : 'history_trimmed' };
    if (isTooLong) return bytes;
    this.#excerpt = new Excerpt(this.#channel, this.#memory);
    for (const item of whole) this.#excerpt.append(item);
    return bytes;
  }

  /** The node answered that what begins before this offset of an epoch is more than may be replayed. */
  rejectRead(epoch: string, before: number): void {
    this.#pendingRead = undefined;
    this.#bounds.recordTooLong(this.#channel, epoch, before);
  }

  /** What lies before this offset has left the history; 0 if that is not known. */
  get trimmedBefore(): number {
    return this.#bounds.of(this.#channel, this.#epoch).trimmedBefore;
  }

  /** All who waited for the answer have had it: whoever comes later has to ask anew. */
  forgetRead(): void {
    this.#lastRead = undefined;
    if (!this.#excerpt.isHeld) this.#excerpt = new Excerpt(this.#channel, this.#memory);
  }

  /**
   * Where the publications from this offset up to the present one are.
   *
   * @param from at most one more than the present offset: then there are none.
   */
  find(from: number): Availability {
    const oldest = this.#oldestFrom(from);
    if (oldest <= from) return { kind: 'held' };
    const { trimmedBefore, tooLongBefore } = this.#bounds.of(this.#channel, this.#epoch);
    if (from < tooLongBefore) return { kind: 'gone', oldest, reason: 'history_too_long' };
    if (this.#lastRead === undefined || from < this.#lastRead.from) {
      if (from < trimmedBefore) return { kind: 'gone', oldest, reason: 'history_trimmed' };
      return { kind: 'unread', oldest };
    }
    return { kind: 'gone', oldest, reason: this.#lastRead.reason };
  }

  /**
   * The latest offsets, so many, which are all here; undefined if that is none. They stay only as long as
   * someone holds the excerpt, from right now on.
   */
  takeLatest(count: number): Replay | undefined {
    if (count === 0) return undefined;
    const from = this.#offset - count + 1;
    if (!this.#isWorthExtending(from, count)) {
      this.#excerpt = new Excerpt(this.#channel, this.#memory);
    }
    const excerpt = this.#excerpt;
    const { items } = this.#latest(excerpt.length === 0 ? from : excerpt.lastOffset + 1);
    for (const item of items.reverse()) excerpt.append(item);
    return excerpt.replayFrom(from);
  }

  /** Everything up to the end of this one was published, or told as lost. */
  #moveTo(item: PastItem): void {
    this.#offset = Math.max(this.#offset, lastOffsetOf(item));
    const question = this.#pendingRead;
    if (question === undefined) return;
    question.arrivedBytes += costOfItem(item);
    if (question.arrivedBytes <= this.#maxReplayBytes) question.arrived.push(item);
    else question.arrived.length = 0;
  }

  get #maxReplayBytes(): number {
    return maxReplayBytes(this.#memory.maxBytes);
  }

  /** The first offset, but not before `from`, from which on all up to the present one are here. */
  #oldestFrom(from: number): number {
    const { length, firstOffset, lastOffset } = this.#excerpt;
    const isInside = length > 0 && from >= firstOffset && from <= lastOffset + 1;
    const wanted = isInside ? lastOffset + 1 : from;
    const { oldest } = this.#latest(wanted);
    if (isInside && oldest === wanted) return from;
    const joins = length > 0 && firstOffset > from && oldest <= lastOffset + 1;
    return joins ? firstOffset : oldest;
  }

  /**
   * Whether what is wanted is part of the excerpt, and no small one: an excerpt that is only ever extended
   * would grow as long as anyone holds it. One that was just answered is there for all who waited.
   */
  #isWorthExtending(from: number, count: number): boolean {
    const { length, firstOffset, lastOffset } = this.#excerpt;
    if (length === 0 || from < firstOffset || from > lastOffset + 1) return false;
    if (this.hasReadAnswer) return true;
    const extended = this.#offset - firstOffset + 1;
    return extended <= 2 * count || this.#latest(from).oldest > from;
  }

  /**
   * What came on the feed last, back to this offset, as far as all is known of it; the newest first. And the
   * first offset of that; one more than the present one if it is nothing.
   */
  #latest(from: number): { readonly items: PastItem[]; readonly oldest: number } {
    const items: PastItem[] = [];
    const gaps = [...this.#gaps.all];
    let expected = this.#offset;
    for (let before = 0; expected >= from; ) {
      while ((gaps.at(-1)?.from ?? 0) > expected) gaps.pop();
      const gap = gaps.at(-1);
      if (gap !== undefined && gap.to >= expected) {
        const first = Math.max(gap.from, from);
        items.push({ ...gap, from: first, to: expected });
        expected = first - 1;
        continue;
      }
      const number = this.#log.fromEnd(this.#channel, before);
      if (number === undefined || number < this.#epochBegin) break;
      const publication = this.#log.at(number);
      if (publication === undefined) break;
      before += 1;
      if (publication.offset === 0) continue;
      if (publication.offset !== expected) break;
      items.push(publication);
      expected -= 1;
    }
    return { items, oldest: expected + 1 };
  }
}

/** Of these, the last ones whose offsets follow one another, if they end with this offset. */
function wholeUpTo(offset: number, items: readonly PastItem[]): readonly PastItem[] {
  const whole: PastItem[] = [];
  let expected: number | undefined;
  for (const item of items) {
    const first = firstOffsetOf(item);
    const last = Math.min(offset, lastOffsetOf(item));
    if (first > offset || (expected !== undefined && last < expected)) continue;
    if (expected === undefined || first > expected) {
      whole.length = 0;
      expected = first;
    }
    whole.push(isHole(item) ? { ...item, from: expected, to: last } : item);
    expected = last + 1;
  }
  return expected === offset + 1 ? whole : [];
}

/** The first offset of the last of these items that take no more bytes together. */
function beginOfLast(bytes: number, items: readonly PastItem[]): number {
  let left = bytes;
  for (const item of items.toReversed()) {
    left -= costOfItem(item);
    if (left < 0) return lastOffsetOf(item) + 1;
  }
  return 0;
}
