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

/** The publications of one channel that a client was refused within one segment. */
interface Missed {
  /** The log's number of the first of them. */
  readonly from: number;
  count: number;
  firstOffset: number;
  lastOffset: number;
  /** Whether the client has left the channel since. It is then neither sent these nor told of them. */
  isUnwanted: boolean;
}

/** The part of a promised replay that the client has not been sent. */
interface Promised {
  readonly kind: 'promise';
  readonly channel: string;
  readonly excerpt: Excerpt;
  /** The first offset that was promised. */
  readonly from: number;
  /** The index of the next item in the excerpt, and the index behind its last one. */
  nextIndex: number;
  readonly endIndex: number;
  /** How many publications the client has not been sent. */
  remaining: number;
  /** Whether the excerpt was released: the client was sent all of it, or has left the channel. */
  isReleased: boolean;
}

/** A stretch of the log, and the replay or the notice that follows it. */
interface Segment {
  /** What the client was refused in it, by channel. */
  readonly missed: Map<string, Missed>;
  /** The log's number behind its last publication; infinite for the last segment. */
  until: number;
  /** Undefined if another stretch of the log follows. */
  after: Promised | { readonly kind: 'notice'; notice: Notice } | undefined;
}

/**
 * The most notices that one backlog keeps between publications. Without a bound they would pile up for a client that reads
 * nothing and whose channels have one gap after the other.
 */
const MOST_NOTICES = 128;

/**
 * What a client is owed and its queue does not hold, in order: publications that the queue refused, which are read from the
 * worker's log; replays that were promised, which are held for the client; and the notices between them. The backlog knows
 * which publication is next. If the log has dropped some of them, it knows which ones the client has lost.
 *
 * Until {@link isOver}, the queue must refuse every publication, and its owner must count it here. So what the client is owed
 * is one unbroken range of its sequence numbers.
 */
export class Backlog {
  readonly #publicationLog: PublicationLog;
  /** In order; at least one. */
  readonly #segments: Segment[] = [newSegment()];
  /** What is lost already. The client must be told of it before anything of the segments. */
  #lost: Losses | undefined;
  /** The log's number of the publication to look at next. */
  #cursor: number;
  #owed = 0;
  #notices = 0;
  #promises = 0;
  /** The epochs of the client's channels when the last publication was offered; see {@link close}. */
  #epochs: ReadonlyMap<string, string | undefined> | undefined;

  /** Begins with the latest publication of the log. Its owner must call {@link end}. */
  constructor(publicationLog: PublicationLog) {
    this.#publicationLog = publicationLog;
    publicationLog.follow();
    this.#cursor = publicationLog.next - 1;
  }

  /** Whether the client is owed nothing any more, neither publications nor notices. */
  get isOver(): boolean {
    return this.#lost === undefined && this.#segments.length === 1 && this.#last.missed.size === 0;
  }

  /** How many sequence numbers belong to publications that the client was neither sent nor told it lost. */
  get owed(): number {
    return this.#owed;
  }

  /** Whether the log still holds everything that the client was refused. */
  get isWhole(): boolean {
    return this.#lost === undefined && this.#cursor >= this.#publicationLog.oldest;
  }

  /** Whether the client was promised a replay and was not sent all of it yet. */
  get owesReplay(): boolean {
    return this.#promises > 0;
  }

  /** The log's number of the publication to look at next. */
  get position(): number {
    return this.#cursor;
  }

  /** Whether the client receives this channel and is owed something of it. */
  misses(channel: string): boolean {
    if (this.tellsFirst(channel)) return true;
    return this.#segments.some(({ missed, after }) => {
      if (missed.get(channel)?.isUnwanted === false) return true;
      if (after?.kind === 'promise') return after.channel === channel && !after.isReleased;
      return after?.notice.channel === channel;
    });
  }

  /** Counts the log's latest publication as refused. */
  refuse({ channel, offset }: Publication): void {
    this.#owed += 1;
    const missed =
      this.#last.missed.get(channel) ?? this.#miss(channel, this.#publicationLog.next - 1);
    missed.count += 1;
    if (offset === 0) return;
    if (missed.firstOffset === 0) missed.firstOffset = offset;
    missed.lastOffset = offset;
  }

  /** Schedules a replay after all that is owed so far, and holds its excerpt. The caller reserves `count` sequence numbers. */
  scheduleReplay({ excerpt, from, firstIndex, endIndex, count }: Replay): void {
    excerpt.hold();
    this.#owed += count;
    this.#promises += 1;
    const { channel } = excerpt;
    this.#endSegment({
      kind: 'promise',
      ...{
        channel,
        excerpt,
        from,
        nextIndex: firstIndex,
        endIndex,
        remaining: count,
        isReleased: false,
      },
    });
  }

  /** Schedules a notice after all that the client is owed so far. */
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

  /** Schedules a notice before all that the client is owed: it was due now, but the queue had no room for it. */
  tellFirst(notice: Notice): void {
    this.#lost ??= new Losses();
    this.#lost.add(lossOfNotice(notice));
  }

  /** Whether the client must be told something of this channel before all that it is owed. */
  tellsFirst(channel: string): boolean {
    return this.#lost?.has(channel) === true;
  }

  /** Counts everything that is owed so far as lost. */
  abandon(): void {
    const lost = this.#lost ?? new Losses();
    for (const { missed, after } of this.#segments) {
      for (const [channel, one] of missed) {
        if (!one.isUnwanted) lost.add(lossOf(channel, one, one.count, one.lastOffset));
      }
      if (after?.kind === 'notice') lost.add(lossOfNotice(after.notice));
      else if (after !== undefined && !after.isReleased) lost.add(lossOfPromise(after));
    }
    this.#forgetAll();
    this.#lost = lost;
  }

  /**
   * Ends what the client is owed with the log's latest publication: the client will be offered nothing more.
   *
   * @param epochOf returns a channel's epoch. This method calls it at once, because the epoch may change before the client gets its losses.
   */
  close(epochOf: (channel: string) => string | undefined): void {
    const channels = this.#segments.flatMap(({ missed, after }) => [
      ...missed.keys(),
      ...(after?.kind === 'promise' ? [after.channel] : []),
    ]);
    this.#epochs = new Map(channels.map((channel) => [channel, epochOf(channel)]));
    if (this.#last.missed.size > 0) this.#endSegment(undefined);
  }

  /** Releases all that is held for the client. Call it once the backlog is over or the client is gone. */
  end(): void {
    this.#forgetAll();
    this.#publicationLog.unfollow();
  }

  /** Drops what the client is owed of a channel that it no longer receives. */
  leave(channel: string): void {
    this.#lost?.drop(channel);
    for (const segment of this.#segments) {
      const missed = segment.missed.get(channel);
      if (missed !== undefined) missed.isUnwanted = true;
      const { after } = segment;
      if (after?.kind === 'promise' && after.channel === channel) {
        this.#release(after);
      } else if (after?.kind === 'notice' && after.notice.channel === channel) {
        segment.after = undefined;
        this.#notices -= 1;
      }
    }
    // If the client comes back, its new refusals must not mix with those that it no longer wants.
    if (this.#last.missed.has(channel)) this.#endSegment(undefined);
    this.#dropFinished();
  }

  /**
   * Takes what the client can no longer get, which counts as lost from now on, and the notice that is due next. The losses of
   * one channel are in the order of its offsets. Returns undefined if there is nothing to tell.
   */
  takeLosses(): readonly Loss[] | undefined {
    const losses = this.#withEpochs(this.#lost?.all ?? this.#takeDropped());
    this.#dropFinished();
    if (this.#lost === undefined) losses.push(...this.#withEpochs(this.#takeDue()));
    this.#lost = undefined;
    return losses.length === 0 ? undefined : losses;
  }

  /**
   * The next publication that the client is owed; undefined when there is none. Call {@link takeLosses} first.
   *
   * @param end how far to look in the log: up to this number, exclusive.
   */
  peek(end: number): Publication | undefined {
    while (this.#lost === undefined) {
      const { missed, after } = this.#first;
      if (missed.size === 0) {
        const item = after?.kind === 'promise' ? after.excerpt.at(after.nextIndex) : undefined;
        return item === undefined || isHole(item) ? undefined : item;
      }
      const publication = this.#cursor < end ? this.#publicationLog.at(this.#cursor) : undefined;
      if (publication === undefined) return undefined;
      const one = missed.get(publication.channel);
      if (one === undefined || this.#cursor < one.from) this.#cursor += 1;
      else if (one.isUnwanted) this.shift();
      else return publication;
    }
    return undefined;
  }

  /** Records that the client was sent what {@link peek} returned. */
  shift(): void {
    this.#owed -= 1;
    const { missed, after } = this.#first;
    if (missed.size > 0) {
      const { channel, offset } = this.#publicationLog.at(this.#cursor) as Publication;
      const one = missed.get(channel) as Missed;
      this.#cursor += 1;
      one.count -= 1;
      if (one.count === 0) missed.delete(channel);
      else if (offset > 0) one.firstOffset = offset + 1;
    } else if (after?.kind === 'promise') {
      after.remaining -= 1;
      this.#advance(after);
    }
    this.#dropFinished();
  }

  get #first(): Segment {
    return this.#segments[0] as Segment;
  }

  get #last(): Segment {
    return this.#segments[this.#segments.length - 1] as Segment;
  }

  #miss(channel: string, from: number): Missed {
    if (this.#segments.length === 1 && this.#last.missed.size === 0) this.#cursor = from;
    const missed = { from, count: 0, firstOffset: 0, lastOffset: 0, isUnwanted: false };
    this.#last.missed.set(channel, missed);
    return missed;
  }

  #endSegment(after: Segment['after']): void {
    this.#last.until = this.#publicationLog.next;
    this.#last.after = after;
    this.#segments.push(newSegment());
  }

  /** Releases the excerpt for this client. The sequence numbers of what was not sent stay reserved. */
  #release(promised: Promised): void {
    if (promised.isReleased) return;
    promised.isReleased = true;
    promised.excerpt.release();
    this.#promises -= 1;
  }

  /** Moves past the item that the client was sent or told. */
  #advance(promised: Promised): void {
    promised.nextIndex += 1;
    if (promised.nextIndex === promised.endIndex) this.#release(promised);
  }

  #forgetAll(): void {
    for (const { after } of this.#segments) if (after?.kind === 'promise') this.#release(after);
    this.#segments.splice(0, this.#segments.length, newSegment());
    this.#lost = undefined;
    this.#cursor = this.#publicationLog.next;
    this.#notices = 0;
    this.#owed = 0;
  }

  /** Drops the segments of which the client is owed nothing any more, from the first one on. */
  #dropFinished(): void {
    while (this.#segments.length > 1) {
      const { missed, until, after } = this.#first;
      if (missed.size > 0) return;
      this.#cursor = Math.max(this.#cursor, until);
      if (after?.kind === 'notice' || after?.isReleased === false) return;
      if (after !== undefined) this.#owed -= after.remaining;
      this.#segments.shift();
    }
  }

  /** Takes from the first segment what the log has dropped. */
  #takeDropped(): readonly Loss[] {
    const losses: Loss[] = [];
    const { missed, until } = this.#first;
    if (this.#cursor >= this.#publicationLog.oldest) return losses;
    this.#cursor = Math.min(this.#publicationLog.oldest, until);
    for (const [channel, one] of missed) {
      const held = this.#publicationLog.count(channel, one.from, until);
      const lost = one.count - held;
      if (lost === 0) continue;
      this.#owed -= lost;
      const next = held === 0 ? 0 : this.#nextOffset(channel, one.from);
      const to = next === 0 ? one.lastOffset : next - 1;
      if (!one.isUnwanted) losses.push(lossOf(channel, one, lost, to));
      one.count = held;
      one.firstOffset = next;
      if (held === 0) missed.delete(channel);
    }
    return losses;
  }

  /** Takes the notice or the hole of a promised replay that is due next. */
  #takeDue(): readonly Loss[] {
    const first = this.#first;
    const { missed, after } = first;
    if (missed.size > 0 || after === undefined) return [];
    if (after.kind === 'notice') {
      first.after = undefined;
      this.#notices -= 1;
      this.#dropFinished();
      return [lossOfNotice(after.notice)];
    }
    const loss = lossOfHole(after);
    if (loss === undefined) return [];
    this.#advance(after);
    this.#dropFinished();
    return [loss];
  }

  /** The offset of the first publication that the log still holds of a channel; 0 if it has none. */
  #nextOffset(channel: string, from: number): number {
    const number = this.#publicationLog.first(channel, Math.max(from, this.#publicationLog.oldest));
    return number === undefined ? 0 : (this.#publicationLog.at(number)?.offset ?? 0);
  }

  /** Gives losses their epoch: if a later notice ends the channel's epoch, they belong to the epoch that ends. */
  #withEpochs(losses: readonly Loss[]): Loss[] {
    return losses.map((loss) => {
      const { channel, epoch } = loss;
      return { ...loss, epoch: epoch ?? this.#endOf(channel) ?? this.#epochs?.get(channel) };
    });
  }

  /** The epoch of a channel that a later notice ends; undefined if none does. */
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

/** @param to the last offset that is lost; ignored if none of the publications has an offset. */
function lossOf(channel: string, { firstOffset }: Missed, count: number, to: number): Loss {
  const missing = missingPublications(count, firstOffset, to);
  return { channel, missing, epoch: undefined, reason: 'slow', frame: undefined };
}

function lossOfPromise({ channel, excerpt, from: least, nextIndex, endIndex }: Promised): Loss {
  const from = Math.max(least, firstOffsetOf(excerpt.at(nextIndex)));
  const to = lastOffsetOf(excerpt.at(endIndex - 1));
  const missing = missingPublications(to - from + 1, from, to);
  return { channel, missing, epoch: undefined, reason: 'trimmed', frame: undefined };
}

/** The loss that the next item of a promise stands for; undefined if the item is a publication. */
function lossOfHole({ channel, excerpt, from: least, nextIndex }: Promised): Loss | undefined {
  const item = excerpt.at(nextIndex);
  if (item === undefined || !isHole(item)) return undefined;
  const { to, reason } = item;
  const from = Math.max(least, item.from);
  const missing = missingPublications(to - from + 1, from, to);
  return { channel, missing, epoch: undefined, reason, frame: undefined };
}
