import {
  costOf,
  Excerpt,
  type Publication,
  type PublicationLog,
  type Replay,
  type ReplayMemory,
} from '@tradewind/fanout';
import type { ErrorCode, Position } from '@tradewind/protocol';

/** Where a channel's publications from some offset up to the present one are. */
export type Availability =
  /** Here, all of them: see {@link ChannelHistory.takeLatest}. */
  | { readonly kind: 'held' }
  /** The node has to be asked; here are only those from `oldest` on. */
  | { readonly kind: 'ask'; readonly oldest: number }
  /** The node was asked, and has not got all of them either. */
  | { readonly kind: 'gone'; readonly oldest: number; readonly reason: ErrorCode };

/** What was asked of the node, and is not answered yet. */
interface Question {
  /** The first offset that was asked for. */
  readonly from: number;
  /** What was published since: it may be newer than the answer, and must not depend on the log. */
  readonly published: Publication[];
  publishedBytes: number;
}

/**
 * One replay may hold this share of the memory for replays at most. A single channel could keep all others
 * from being continued otherwise.
 */
const LARGEST_SHARE = 0.5;

/**
 * What a worker knows of a channel's past: where it stands, and which of its publications are at hand. They
 * come from the log, which holds what came on the feed, or from an answer of the node. What clients are to
 * be replayed is put together from both into one excerpt, which they share.
 */
export class ChannelHistory {
  readonly #channel: string;
  readonly #log: PublicationLog;
  readonly #memory: ReplayMemory;
  #epoch = '';
  #offset = 0;
  /** The log's number from which on its publications of the channel are of this epoch. */
  #since = 0;
  /** What clients were promised last; it is empty once all of them have had it. */
  #excerpt: Excerpt;
  #question: Question | undefined;
  /** What is answered: nothing but what is at hand can be had from this offset on, for this reason. */
  #answered: { readonly from: number; readonly reason: ErrorCode } | undefined;

  /** @param memory counts what the excerpts hold. */
  constructor(channel: string, log: PublicationLog, memory: ReplayMemory) {
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
  begin(position: Position | undefined): void {
    this.#epoch = position?.epoch ?? '';
    this.#offset = position?.offset ?? 0;
    this.#since = this.#log.next;
    this.#excerpt = new Excerpt(this.#channel, this.#memory);
    this.#question = undefined;
    this.#answered = undefined;
  }

  /** A publication with an offset came on the feed, and is in the log. */
  published(publication: Publication): void {
    this.advance(publication.offset);
    const question = this.#question;
    if (question === undefined) return;
    question.publishedBytes += costOf(publication);
    if (question.publishedBytes <= this.#largestBytes) question.published.push(publication);
    else question.published.length = 0;
  }

  /** Everything up to this offset was published, or told as lost. */
  advance(offset: number): void {
    this.#offset = Math.max(this.#offset, offset);
  }

  /** The node is being asked for publications from this offset on. */
  ask(from: number): void {
    this.#question = { from, published: [], publishedBytes: 0 };
  }

  /** Whether what the node answered is at hand: until {@link forgetAnswer}. */
  get isAnswered(): boolean {
    return this.#answered !== undefined;
  }

  /** The node could not answer. */
  unanswered(): void {
    this.#question = undefined;
  }

  /**
   * Takes over what the node answered, together with what came on the feed since it was asked. What it has
   * not brought counts as gone until {@link forgetAnswer}. Returns how many bytes it is.
   */
  answered(epoch: string, publications: readonly Publication[]): number {
    if (this.#question === undefined) return 0;
    const { from, published, publishedBytes } = this.#question;
    this.#question = undefined;
    if (epoch !== this.#epoch) {
      this.#answered = { from: 0, reason: 'epoch_changed' };
      return 0;
    }
    const whole = wholeUpTo(this.#offset, [...publications, ...published]);
    const bytes = whole.reduce((sum, publication) => sum + costOf(publication), 0);
    const isTooLong = Math.max(bytes, publishedBytes) > this.#largestBytes;
    this.#answered = { from, reason: isTooLong ? 'history_too_long' : 'history_trimmed' };
    if (isTooLong) return bytes;
    this.#excerpt = new Excerpt(this.#channel, this.#memory);
    for (const publication of whole) this.#excerpt.append(publication);
    return bytes;
  }

  /** All who waited for the answer have had it: whoever comes later has to ask anew. */
  forgetAnswer(): void {
    this.#answered = undefined;
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
    if (this.#answered === undefined || from < this.#answered.from) return { kind: 'ask', oldest };
    return { kind: 'gone', oldest, reason: this.#answered.reason };
  }

  /**
   * The latest publications, so many, which are all here; undefined if that is none. They stay only as long
   * as someone holds the excerpt, from right now on.
   */
  takeLatest(count: number): Replay | undefined {
    if (count === 0) return undefined;
    const from = this.#offset - count + 1;
    if (!this.#isWorthExtending(from, count)) {
      this.#excerpt = new Excerpt(this.#channel, this.#memory);
    }
    const excerpt = this.#excerpt;
    const newer = this.#latest(excerpt.length === 0 ? from : excerpt.lastOffset + 1);
    for (const publication of newer.reverse()) excerpt.append(publication);
    return { excerpt, from: from - excerpt.firstOffset, count };
  }

  get #largestBytes(): number {
    return this.#memory.maxBytes * LARGEST_SHARE;
  }

  /** The first offset, but not before `from`, from which on all up to the present one are here. */
  #oldestFrom(from: number): number {
    const { length, firstOffset, lastOffset } = this.#excerpt;
    const isInside = length > 0 && from >= firstOffset && from <= lastOffset + 1;
    const wanted = isInside ? lastOffset + 1 : from;
    const oldest = this.#offset + 1 - this.#latest(wanted).length;
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
    if (this.isAnswered) return true;
    const extended = this.#offset - firstOffset + 1;
    return extended <= 2 * count || this.#latest(from).length < count;
  }

  /** The latest publications that came on the feed without a hole, back to this offset; the newest first. */
  #latest(from: number): Publication[] {
    const latest: Publication[] = [];
    let expected = this.#offset;
    for (let before = 0; expected >= from; before += 1) {
      const number = this.#log.fromEnd(this.#channel, before);
      if (number === undefined || number < this.#since) break;
      const publication = this.#log.at(number);
      if (publication === undefined) break;
      if (publication.offset === 0) continue;
      if (publication.offset !== expected) break;
      latest.push(publication);
      expected -= 1;
    }
    return latest;
  }
}

/** Of these publications, the last ones whose offsets follow one another, if they end with this offset. */
function wholeUpTo(offset: number, publications: readonly Publication[]): readonly Publication[] {
  const whole: Publication[] = [];
  for (const publication of publications) {
    const expected = (whole.at(-1)?.offset ?? publication.offset - 1) + 1;
    if (publication.offset < expected || publication.offset > offset) continue;
    if (publication.offset > expected) whole.length = 0;
    whole.push(publication);
  }
  return whole.at(-1)?.offset === offset ? whole : [];
}
