import {
  joinNotices,
  type Loss,
  Losses,
  lossOfNotice,
  missingPublications,
  type Notice,
} from './losses.ts';
import type { Publication } from './publication.ts';
import type { PublicationLog } from './publication-log.ts';
import { type Excerpt, firstOffsetOf, isHole, lastOffsetOf, type Replay } from './replay.ts';

/** What a client was refused of one channel within one segment. */
interface Missed {
  /** The log's number of the first. */
  readonly from: number;
  count: number;
  firstOffset: number;
  lastOffset: number;
  /** Whether the client has left the channel since: it is not given these, and not told of them. */
  isLeft: boolean;
}

/** What is left of a replay that was promised. */
interface Promised {
  readonly kind: 'promise';
  readonly channel: string;
  readonly excerpt: Excerpt;
  /** Nothing before this offset was promised. */
  readonly from: number;
  /** The place of the next item in the excerpt, and the one behind the last. */
  next: number;
  readonly end: number;
  /** Publications that are left. */
  left: number;
  isLeft: boolean;
}

/** A stretch of the log, and what comes behind it. */
interface Segment {
  /** By channel. */
  readonly missed: Map<string, Missed>;
  /** The log's number with which it ends, exclusive; infinite for the last segment. */
  until: number;
  /** Undefined also for a mere boundary. */
  after: Promised | { readonly kind: 'notice'; notice: Notice } | undefined;
}

/**
 * Notices that one backlog keeps in their places, at most. A client that reads nothing while its channels
 * have one gap after the other would gather them without end.
 */
const MOST_NOTICES = 128;

/**
 * What a client is owed that did not go straight into its queue, in the order in which it is to have it:
 * publications that it was refused, read from the worker's log; replays that it was promised, which are
 * held for it; and notices that have their place between them. It says which publication is next, or,
 * where the log has moved on, what of each channel the client will never get.
 *
 * All publications that are offered to the client meanwhile must be refused, and counted here, until
 * {@link isOver}: so what it is owed is one unbroken stretch of its numbers.
 */
export class Backlog {
  readonly #log: PublicationLog;
  /** At least one. */
  readonly #segments: Segment[] = [newSegment()];
  /** What is lost already, and comes before all segments. */
  #lost: Losses | undefined;
  /** The log's number of the publication that is looked at next. */
  #cursor: number;
  #owed = 0;
  #notices = 0;
  #promises = 0;
  /** The epochs in which its channels were when the last publication was offered; see {@link close}. */
  #epochs: ReadonlyMap<string, string | undefined> | undefined;

  /** Begins with the publication that was appended to the log last. Its owner ends it. */
  constructor(log: PublicationLog) {
    this.#log = log;
    log.follow();
    this.#cursor = log.next - 1;
  }

  /** Whether the client is owed nothing any more, and has been told everything. */
  get isOver(): boolean {
    return this.#lost === undefined && this.#segments.length === 1 && this.#last.missed.size === 0;
  }

  /** Publications that took numbers of the client and that it has neither had nor been told of. */
  get owed(): number {
    return this.#owed;
  }

  /** Whether the log still holds all that the client was refused. */
  get isWhole(): boolean {
    return this.#lost === undefined && this.#cursor >= this.#log.oldest;
  }

  /** Whether the client was promised a replay that it has not had yet. */
  get isPromised(): boolean {
    return this.#promises > 0;
  }

  /** The log's number of the publication that it looks at next. */
  get position(): number {
    return this.#cursor;
  }

  /** Whether the client is owed something of this channel, which it receives. */
  misses(channel: string): boolean {
    if (this.tellsFirst(channel)) return true;
    return this.#segments.some(({ missed, after }) => {
      if (missed.get(channel)?.isLeft === false) return true;
      if (after?.kind === 'promise') return after.channel === channel && !after.isLeft;
      return after?.notice.channel === channel;
    });
  }

  /** Counts the log's latest publication as refused. */
  refuse({ channel, offset }: Publication): void {
    this.#owed += 1;
    const missed = this.#last.missed.get(channel) ?? this.#miss(channel, this.#log.next - 1);
    missed.count += 1;
    if (offset === 0) return;
    if (missed.firstOffset === 0) missed.firstOffset = offset;
    missed.lastOffset = offset;
  }

  /** Owes the client a replay, which takes as many numbers of it as it has publications. */
  scheduleReplay({ excerpt, from, firstIndex, endIndex, count }: Replay): void {
    excerpt.hold();
    this.#owed += count;
    this.#promises += 1;
    const { channel } = excerpt;
    this.#endSegment({
      kind: 'promise',
      ...{ channel, excerpt, from, next: firstIndex, end: endIndex, left: count, isLeft: false },
    });
  }

  /** Tells the client this once it has had what comes before. */
  defer(notice: Notice): void {
    if (this.#lost !== undefined && this.#segments.length === 1 && this.#last.missed.size === 0) {
      this.tellFirst(notice);
      return;
    }
    const before = this.#segments.at(-2)?.after;
    if (before?.kind === 'notice' && this.#last.missed.size === 0) {
      const joint = joinNotices(before.notice, notice);
      before.notice = joint ?? before.notice;
      if (joint !== undefined) return;
    }
    if (this.#notices === MOST_NOTICES) this.abandon();
    this.#notices += 1;
    this.#endSegment({ kind: 'notice', notice });
  }

  /** Tells the client this before all that it is owed: its place was here, and there was no room for it. */
  tellFirst(notice: Notice): void {
    this.#lost ??= new Losses();
    this.#lost.add(lossOfNotice(notice));
  }

  /** Whether the client is to be told something of this channel before all that it is owed. */
  tellsFirst(channel: string): boolean {
    return this.#lost?.has(channel) === true;
  }

  /** Gives up: all that is owed up to here is lost. */
  abandon(): void {
    const lost = this.#lost ?? new Losses();
    for (const { missed, after } of this.#segments) {
      for (const [channel, one] of missed) {
        if (!one.isLeft) lost.add(lossOf(channel, one, one.count, one.lastOffset));
      }
      if (after?.kind === 'notice') lost.add(lossOfNotice(after.notice));
      else if (after !== undefined && !after.isLeft) lost.add(lossOfPromise(after));
    }
    this.#forgetAll();
    this.#lost = lost;
  }

  /**
   * The client is offered nothing more: what the log takes in from here on is not owed, whatever its channel.
   *
   * @param epochOf the epoch in which a channel is now, which it may leave before the losses are told.
   */
  close(epochOf: (channel: string) => string | undefined): void {
    const channels = this.#segments.flatMap(({ missed, after }) => [
      ...missed.keys(),
      ...(after?.kind === 'promise' ? [after.channel] : []),
    ]);
    this.#epochs = new Map(channels.map((channel) => [channel, epochOf(channel)]));
    if (this.#last.missed.size > 0) this.#endSegment(undefined);
  }

  /** Nothing is owed any more, or the client is gone: nothing is held for it from here on. */
  end(): void {
    this.#forgetAll();
    this.#log.unfollow();
  }

  /** The client no longer receives this channel: what it is owed of it, it does not get. */
  leave(channel: string): void {
    this.#lost?.drop(channel);
    for (const segment of this.#segments) {
      const missed = segment.missed.get(channel);
      if (missed !== undefined) missed.isLeft = true;
      const { after } = segment;
      if (after?.kind === 'promise' && after.channel === channel) {
        this.#release(after);
      } else if (after?.kind === 'notice' && after.notice.channel === channel) {
        segment.after = undefined;
        this.#notices -= 1;
      }
    }
    // If it comes back, what it is refused then is not what it left behind.
    if (this.#last.missed.has(channel)) this.#endSegment(undefined);
    this.#passOn();
  }

  /**
   * What can no longer be had, and is counted as lost from here on, or what is to be told at this place;
   * of one channel, in the order of its offsets. Undefined when that is nothing.
   */
  takeLosses(): readonly Loss[] | undefined {
    const losses = this.#dated(this.#lost?.all ?? this.#takeMoved());
    this.#passOn();
    if (this.#lost === undefined) losses.push(...this.#dated(this.#takeTurn()));
    this.#lost = undefined;
    return losses.length === 0 ? undefined : losses;
  }

  /**
   * The next publication that the client is owed and whose number is less than `end`, or that it was
   * promised; undefined when there is none. Call {@link takeLosses} before.
   */
  peek(end: number): Publication | undefined {
    while (this.#lost === undefined) {
      const { missed, after } = this.#first;
      if (missed.size === 0) {
        const item = after?.kind === 'promise' ? after.excerpt.at(after.next) : undefined;
        return item === undefined || isHole(item) ? undefined : item;
      }
      const publication = this.#cursor < end ? this.#log.at(this.#cursor) : undefined;
      if (publication === undefined) return undefined;
      const one = missed.get(publication.channel);
      if (one === undefined || this.#cursor < one.from) this.#cursor += 1;
      else if (one.isLeft) this.shift();
      else return publication;
    }
    return undefined;
  }

  /** The client has what {@link peek} returned. */
  shift(): void {
    this.#owed -= 1;
    const { missed, after } = this.#first;
    if (missed.size > 0) {
      const { channel, offset } = this.#log.at(this.#cursor) as Publication;
      const one = missed.get(channel) as Missed;
      this.#cursor += 1;
      one.count -= 1;
      if (one.count === 0) missed.delete(channel);
      else if (offset > 0) one.firstOffset = offset + 1;
    } else if (after?.kind === 'promise') {
      after.left -= 1;
      this.#advance(after);
    }
    this.#passOn();
  }

  get #first(): Segment {
    return this.#segments[0] as Segment;
  }

  get #last(): Segment {
    return this.#segments[this.#segments.length - 1] as Segment;
  }

  #miss(channel: string, from: number): Missed {
    if (this.#segments.length === 1 && this.#last.missed.size === 0) this.#cursor = from;
    const missed = { from, count: 0, firstOffset: 0, lastOffset: 0, isLeft: false };
    this.#last.missed.set(channel, missed);
    return missed;
  }

  #endSegment(after: Segment['after']): void {
    this.#last.until = this.#log.next;
    this.#last.after = after;
    this.#segments.push(newSegment());
  }

  /** Nobody holds the excerpt for this client any more; the numbers that are left of it stay taken. */
  #release(promised: Promised): void {
    if (promised.isLeft) return;
    promised.isLeft = true;
    promised.excerpt.release();
    this.#promises -= 1;
  }

  /** The client has the next item. */
  #advance(promised: Promised): void {
    promised.next += 1;
    if (promised.next === promised.end) this.#release(promised);
  }

  #forgetAll(): void {
    for (const { after } of this.#segments) if (after?.kind === 'promise') this.#release(after);
    this.#segments.splice(0, this.#segments.length, newSegment());
    this.#lost = undefined;
    this.#cursor = this.#log.next;
    this.#notices = 0;
    this.#owed = 0;
  }

  /** Goes on to the next segment, if the client is through with the first. */
  #passOn(): void {
    while (this.#segments.length > 1) {
      const { missed, until, after } = this.#first;
      if (missed.size > 0) return;
      this.#cursor = Math.max(this.#cursor, until);
      if (after?.kind === 'notice' || after?.isLeft === false) return;
      if (after !== undefined) this.#owed -= after.left;
      this.#segments.shift();
    }
  }

  /** Of the first segment, what the log has let go of. */
  #takeMoved(): readonly Loss[] {
    const losses: Loss[] = [];
    const { missed, until } = this.#first;
    if (this.#cursor >= this.#log.oldest) return losses;
    this.#cursor = Math.min(this.#log.oldest, until);
    for (const [channel, one] of missed) {
      const left = this.#log.count(channel, one.from, until);
      const lost = one.count - left;
      if (lost === 0) continue;
      this.#owed -= lost;
      const next = left === 0 ? 0 : this.#nextOffset(channel, one.from);
      const to = next === 0 ? one.lastOffset : next - 1;
      if (!one.isLeft) losses.push(lossOf(channel, one, lost, to));
      one.count = left;
      one.firstOffset = next;
      if (left === 0) missed.delete(channel);
    }
    return losses;
  }

  /** The notice, or the hole in what was promised, whose turn it is. */
  #takeTurn(): readonly Loss[] {
    const first = this.#first;
    const { missed, after } = first;
    if (missed.size > 0 || after === undefined) return [];
    if (after.kind === 'notice') {
      first.after = undefined;
      this.#notices -= 1;
      this.#passOn();
      return [lossOfNotice(after.notice)];
    }
    const loss = lossOfHole(after);
    if (loss === undefined) return [];
    this.#advance(after);
    this.#passOn();
    return [loss];
  }

  /** The offset of the first publication that is left of a channel; 0 if it has none. */
  #nextOffset(channel: string, from: number): number {
    const number = this.#log.first(channel, Math.max(from, this.#log.oldest));
    return number === undefined ? 0 : (this.#log.at(number)?.offset ?? 0);
  }

  /** Losses of an epoch that is going to end further on belong to that one. */
  #dated(losses: readonly Loss[]): Loss[] {
    return losses.map((loss) => {
      const { channel, epoch } = loss;
      return { ...loss, epoch: epoch ?? this.#endOf(channel) ?? this.#epochs?.get(channel) };
    });
  }

  /** The epoch of a channel that is going to end further on; undefined if none is. */
  #endOf(channel: string): string | undefined {
    for (const { after } of this.#segments) {
      if (after?.kind !== 'notice' || after.notice.channel !== channel) continue;
      if (after.notice.missing.kind === 'epoch-end') return after.notice.missing.epoch;
    }
    return undefined;
  }
}

function newSegment(): Segment {
  return { missed: new Map(), until: Number.POSITIVE_INFINITY, after: undefined };
}

/** @param to the last offset that is lost; of no meaning when none of them has an offset. */
function lossOf(channel: string, { firstOffset }: Missed, count: number, to: number): Loss {
  const missing = missingPublications(count, firstOffset, to);
  return { channel, missing, epoch: undefined, reason: 'slow', frame: undefined };
}

function lossOfPromise({ channel, excerpt, from: least, next, end }: Promised): Loss {
  const from = Math.max(least, firstOffsetOf(excerpt.at(next)));
  const to = lastOffsetOf(excerpt.at(end - 1));
  const missing = missingPublications(to - from + 1, from, to);
  return { channel, missing, epoch: undefined, reason: 'trimmed', frame: undefined };
}

/** The next item of a promise, if that is a hole. */
function lossOfHole({ channel, excerpt, from: least, next }: Promised): Loss | undefined {
  const item = excerpt.at(next);
  if (item === undefined || !isHole(item)) return undefined;
  const { to, reason } = item;
  const from = Math.max(least, item.from);
  const missing = missingPublications(to - from + 1, from, to);
  return { channel, missing, epoch: undefined, reason, frame: undefined };
}
