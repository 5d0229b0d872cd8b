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

/** Where the publications from an offset up to the latest one are. */
export type Availability =
  /** The worker has all of them: see {@link ReplaySource.takeLatest}. */
  | { readonly kind: 'held' }
  /** The worker has only those from `oldest` on. The others must be read. */
  | { readonly kind: 'unread'; readonly oldest: number }
  /** The worker has only those from `oldest` on. The others cannot be had, for this reason. */
  | { readonly kind: 'gone'; readonly oldest: number; readonly reason: ErrorCode };

/** A read that the hub has not answered. */
interface PendingRead {
  /** The first offset to read. */
  readonly from: number;
  /** The channel's latest offset when the read began. */
  readonly endOffset: number;
  /** The items that arrived since. They may be newer than the answer, and the log may drop them before the answer comes. */
  readonly arrived: PastItem[];
  arrivedBytes: number;
}

/**
 * The largest share of the replay memory that one replay may hold. With more, a single channel could keep clients of all others
 * from resuming.
 */
const MAX_REPLAY_SHARE = 0.5;

/** The largest replay of one channel, in bytes, on a worker whose log holds `logBytes`. */
export function maxReplayBytes(logBytes: number): number {
  return logBytes * MAX_REPLAY_SHARE;
}

/**
 * How many of the latest gaps of one channel are remembered: at most 2 KB. A client that comes back misses few of them. The
 * history knows the older ones.
 */
const MAX_GAPS = 32;

/**
 * What a worker can replay of one channel. Publications come from the log, which holds what arrived on the feed, or from
 * a read. Both are joined into one excerpt, which all clients share that are replayed any of it.
 */
export class ReplaySource {
  readonly #channel: string;
  readonly #publicationLog: PublicationLog;
  readonly #memory: ReplayMemory;
  readonly #bounds: HistoryBounds;
  #epoch = '';
  #offset = 0;
  /** The log's number of the first publication that may be of this epoch. */
  #epochBegin = 0;
  /** The latest replay. It is replaced once no client holds it any more. */
  #excerpt: Excerpt;
  #pendingRead: PendingRead | undefined;
  /** The latest gaps that nobody can fill. The log has only publications. */
  readonly #gaps = new Gaps();
  /** The read that was stored last. Offsets from `from` on that it did not contain cannot be had, for this reason. */
  #lastRead: { readonly from: number; readonly reason: ErrorCode } | undefined;

  /**
   * @param memory counts the bytes that excerpts hold.
   * @param bounds of the histories of all channels.
   */
  constructor(
    channel: string,
    log: PublicationLog,
    memory: ReplayMemory,
    bounds = new HistoryBounds(),
  ) {
    this.#bounds = bounds;
    this.#channel = channel;
    this.#publicationLog = log;
    this.#memory = memory;
    this.#excerpt = new Excerpt(channel, memory);
  }

  /** The channel's latest position; undefined while it has no history. */
  get position(): Position | undefined {
    return this.#epoch === '' ? undefined : { epoch: this.#epoch, offset: this.#offset };
  }

  /** Begins at this position, and forgets all that came before it. A pending read is superseded: its answer is ignored. */
  beginAt(position: Position | undefined): void {
    this.#epoch = position?.epoch ?? '';
    this.#offset = position?.offset ?? 0;
    this.#epochBegin = this.#publicationLog.next;
    this.#gaps.clear();
    this.#excerpt = new Excerpt(this.#channel, this.#memory);
    this.#pendingRead = undefined;
    this.#lastRead = undefined;
  }

  /** Adds a publication of the feed that has an offset. It must be in the log already. */
  addPublication(publication: Publication): void {
    this.#moveTo(publication.offset, publication);
  }

  /** Adds a gap of the feed. A gap that only this node or this worker has is not remembered: the history may fill it. */
  addGap({ from, to, reason }: Hole): void {
    this.#moveTo(to, { from, to, reason });
    if (reason === 'slow' || reason === 'link') return;
    this.#gaps.add(from, to, reason);
    this.#gaps.keepLatest(MAX_GAPS);
  }

  /** Begins a read from this offset on. The caller must make the request to the hub. */
  beginRead(from: number): void {
    this.#pendingRead = { from, endOffset: this.#offset, arrived: [], arrivedBytes: 0 };
  }

  /** Whether a read is stored that {@link forgetRead} has not forgotten. */
  get hasReadAnswer(): boolean {
    return this.#lastRead !== undefined;
  }

  /** Ends the pending read, which the hub could not answer. */
  abandonRead(): void {
    this.#pendingRead = undefined;
  }

  /**
   * Stores the answer to the pending read, together with what arrived on the feed since the read began. Offsets that it does not
   * contain count as gone until {@link forgetRead}.
   *
   * @returns its size in bytes.
   */
  storeRead(epoch: string, past: readonly PastItem[]): number {
    if (this.#pendingRead === undefined) return 0;
    const { from, endOffset, arrived, arrivedBytes } = this.#pendingRead;
    this.#pendingRead = undefined;
    if (epoch !== this.#epoch) {
      this.#lastRead = { from: 0, reason: 'epoch_changed' };
      return 0;
    }
    const [oldest] = past;
    const begins = oldest === undefined ? endOffset + 1 : firstOffsetOf(oldest);
    if (begins > from) this.#bounds.recordTrimmed(this.#channel, epoch, begins);
    const whole = wholeUpTo(this.#offset, [...past, ...arrived]);
    const bytes = whole.reduce((sum, item) => sum + costOfItem(item), 0);
    if (bytes > this.#maxReplayBytes) {
      // Clients that need less of it cause another read.
      this.#bounds.recordTooLong(this.#channel, epoch, beginOfLast(this.#maxReplayBytes, whole));
      return bytes;
    }
    const isTooLong = arrivedBytes > this.#maxReplayBytes;
    this.#lastRead = { from, reason: isTooLong ? 'history_too_long' : 'history_trimmed' };
    if (isTooLong) return bytes;
    this.#excerpt = new Excerpt(this.#channel, this.#memory);
    for (const item of whole) this.#excerpt.append(item);
    return bytes;
  }

  /** Ends the pending read, whose answer is more than may be replayed: a replay must begin at this offset of the epoch, or later. */
  rejectRead(epoch: string, before: number): void {
    this.#pendingRead = undefined;
    this.#bounds.recordTooLong(this.#channel, epoch, before);
  }

  /** Offsets before this one have left the history; 0 if none is known to have. */
  get trimmedBefore(): number {
    return this.#bounds.of(this.#channel, this.#epoch).trimmedBefore;
  }

  /** Forgets the stored read once all clients that waited for it have joined. Later clients cause another read. */
  forgetRead(): void {
    this.#lastRead = undefined;
    if (!this.#excerpt.isHeld) this.#excerpt = new Excerpt(this.#channel, this.#memory);
  }

  /**
   * Finds the publications from this offset up to the latest one.
   *
   * @param from at most one above the latest offset; then there are none to find.
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

  /** The first offset of the hole that covers this offset; undefined if none is known to. */
  holeFrom(offset: number): number | undefined {
    const covers = ({ from, to }: Hole): boolean => from <= offset && offset <= to;
    const gap = this.#gaps.all.find(covers);
    if (gap !== undefined) return gap.from;
    const { length, firstOffset, lastOffset } = this.#excerpt;
    if (length === 0 || offset < firstOffset || offset > lastOffset) return undefined;
    const item = this.#excerpt.at(this.#excerpt.replayFrom(offset).firstIndex);
    return isHole(item) ? item.from : undefined;
  }

  /**
   * Returns a replay of the latest `count` offsets, all of which {@link find} must have found; undefined if `count` is 0. The
   * caller must hold its excerpt at once: an excerpt that nobody holds is replaced.
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

  /** Moves the channel's position to the end of this item, and keeps the item for a pending read. */
  #moveTo(offset: number, item: PastItem): void {
    this.#offset = Math.max(this.#offset, offset);
    const read = this.#pendingRead;
    if (read === undefined) return;
    read.arrivedBytes += costOfItem(item);
    if (read.arrivedBytes <= this.#maxReplayBytes) read.arrived.push(item);
    else read.arrived.length = 0;
  }

  get #maxReplayBytes(): number {
    return maxReplayBytes(this.#memory.maxBytes);
  }

  /** The first offset, at least `from`, from which the worker has all up to the latest one. */
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
   * Whether the excerpt holds what is wanted, and is at most twice as long. An excerpt that is always extended would grow as
   * long as anyone holds it. One that was just read is used in any case, because all clients that waited share it.
   */
  #isWorthExtending(from: number, count: number): boolean {
    const { length, firstOffset, lastOffset } = this.#excerpt;
    if (length === 0 || from < firstOffset || from > lastOffset + 1) return false;
    if (this.hasReadAnswer) return true;
    const extended = this.#offset - firstOffset + 1;
    return extended <= 2 * count || this.#latest(from).oldest > from;
  }

  /**
   * The latest items of the feed, newest first, back to this offset or to the first one that is missing. `oldest` is their
   * first offset, or one above the latest offset if there are none.
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
      const number = this.#publicationLog.fromEnd(this.#channel, before);
      if (number === undefined || number < this.#epochBegin) break;
      const publication = this.#publicationLog.at(number);
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

/** The last items whose offsets follow one another. None unless they end with this offset. */
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

/** The first offset of the last items that fit into this many bytes together. */
function beginOfLast(bytes: number, items: readonly PastItem[]): number {
  let left = bytes;
  for (const item of items.toReversed()) {
    left -= costOfItem(item);
    if (left < 0) return lastOffsetOf(item) + 1;
  }
  return 0;
}
