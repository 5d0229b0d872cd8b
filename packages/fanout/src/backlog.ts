import type { Publication } from './publication.ts';
import type { PublicationLog } from './publication-log.ts';

/** Publications of one channel that a client does not get. */
export interface Loss {
  readonly channel: string;
  /** How many; NaN when nobody knows. */
  readonly lost: number;
  /** Their offsets, both inclusive; 0 when they have none. */
  readonly from: number;
  readonly to: number;
  /** Whether they were promised as a replay, rather than refused. */
  readonly wasPromised: boolean;
  /** The position at which a new epoch began behind them, which the client was not told of yet. */
  readonly resync: EpochChange | undefined;
}

/** A channel's change from one epoch to the next. */
export interface EpochChange {
  /** The epoch that ended; empty if there was none. */
  readonly before: string;
  readonly epoch: string;
  readonly offset: number;
}

/** What is owed under one key: publications that the log numbers `from` to `until`. */
interface Missed {
  readonly channel: string;
  readonly wasPromised: boolean;
  from: number;
  /** Where the client left the channel; infinite while it receives it. */
  until: number;
  /** How many; NaN when nobody knows. */
  count: number;
  firstOffset: number;
  lastOffset: number;
  /** What was lost before the epoch changed. */
  earlier: Loss[] | undefined;
}

/** A stretch of the log that is to be replayed to a client: so many publications under a key. */
export interface Replay {
  readonly key: string;
  readonly channel: string;
  /** The log's number of the first. */
  readonly from: number;
  readonly count: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
}

/**
 * How far a client is behind, because it was refused publications or was promised earlier ones: a cursor
 * into the worker's log. It says which publications the client is still owed, in their order, or, where
 * the log has moved on, which of each channel it will never get.
 *
 * All publications that are offered to the client meanwhile must be refused, and counted here, until
 * {@link isOver}: so what it is owed is one unbroken stretch of its numbers.
 */
export class Backlog {
  readonly #log: PublicationLog;
  /** By the key of the log: the channel, or what a replay's publications stand under. */
  readonly #missed = new Map<string, Missed>();
  #cursor: number;
  #owed = 0;
  #isForsaken = false;

  /** Begins with the publication that was appended to the log last. */
  constructor(log: PublicationLog) {
    this.#log = log;
    this.#cursor = log.next - 1;
  }

  /** Whether the client is owed nothing any more. */
  get isOver(): boolean {
    return this.#missed.size === 0;
  }

  /** Publications that took numbers of the client and that it has neither had nor been told of. */
  get owed(): number {
    return this.#owed;
  }

  /** Whether the log still holds all that the client is owed. */
  get isWhole(): boolean {
    return !this.#isForsaken && this.#cursor >= this.#log.oldest;
  }

  /** The log's number of the publication that it looks at next. */
  get position(): number {
    return this.#cursor;
  }

  /** Whether the client is owed publications of this channel, which it receives. */
  misses(channel: string): boolean {
    return this.#missedOf(channel).some(({ until }) => until === Number.POSITIVE_INFINITY);
  }

  /** Counts the log's latest publication as refused. */
  refuse({ channel, offset }: Publication): void {
    this.#owed += 1;
    const missed = this.#missed.get(channel) ?? this.#miss(channel, this.#log.next - 1);
    if (missed.until < Number.POSITIVE_INFINITY) this.#rejoin(missed);
    missed.count += 1;
    if (offset === 0) return;
    if (missed.firstOffset === 0) missed.firstOffset = offset;
    missed.lastOffset = offset;
  }

  /** Owes the client a stretch of the log, which takes as many numbers of it as it has publications. */
  owe({ key, channel, from, count, firstOffset, lastOffset }: Replay): void {
    this.#owed += count;
    this.#turnBackTo(from);
    const missed = this.#missed.get(key);
    if (missed === undefined) {
      const until = Number.POSITIVE_INFINITY;
      const wasPromised = true;
      this.#missed.set(key, {
        ...{ channel, wasPromised, from, until, count },
        ...{ firstOffset, lastOffset, earlier: undefined },
      });
      return;
    }
    this.#rejoin(missed);
    missed.count += count;
    missed.firstOffset ||= firstOffset;
    missed.lastOffset = lastOffset;
  }

  /**
   * Counts more publications of the channel as lost, which took no numbers of the client: `lost`, or
   * NaN when nobody knows, up to the offset `to` (0: they have none). Nothing from before may follow
   * them, so all that is owed is lost as well.
   */
  lose(channel: string, lost: number, from: number, to: number): void {
    const missed = this.#missed.get(channel) ?? this.#miss(channel, this.#log.next);
    missed.count += lost;
    missed.firstOffset ||= from;
    missed.lastOffset = Math.max(missed.lastOffset, to);
    this.forsake();
  }

  /** The channel begins a new epoch: what is owed of it is lost, and told before that. */
  resync(channel: string, change: EpochChange): void {
    const missed = this.#missed.get(channel) ?? this.#miss(channel, this.#log.next);
    missed.earlier = [...(missed.earlier ?? []), lossOf(missed, missed.count, change)];
    missed.count = 0;
    missed.firstOffset = 0;
    missed.lastOffset = 0;
    this.forsake();
  }

  /** Gives up: all that is owed is lost. */
  forsake(): void {
    this.#isForsaken = true;
  }

  /** The client no longer receives this channel: what it is owed of it, it does not get. */
  leave(channel: string): void {
    for (const missed of this.#missedOf(channel)) {
      missed.until = Math.min(missed.until, this.#log.next);
    }
  }

  /**
   * What can no longer be had, and is counted as lost from here on; of one channel, in the order of its
   * offsets. Undefined when that is nothing.
   */
  takeLosses(): readonly Loss[] | undefined {
    if (this.#isForsaken) return this.#loseAll();
    if (this.isWhole) return undefined;
    this.#cursor = this.#log.oldest;
    const losses: Loss[] = [];
    for (const [key, missed] of this.#missed) {
      const left = this.#log.count(key, missed.from, missed.until);
      const lost = missed.count - left;
      if (lost === 0) continue;
      const loss = lossOf(missed, lost, undefined);
      this.#owed -= lost;
      missed.count = left;
      if (left === 0) {
        losses.push(loss);
        this.#missed.delete(key);
      } else {
        const next = this.#nextOffset(key, missed.from);
        losses.push({ ...loss, to: next === 0 ? loss.to : next - 1 });
        missed.firstOffset = next;
      }
    }
    return losses.length === 0 ? undefined : losses;
  }

  /**
   * The next publication that the client is owed and whose number is less than `end`, or undefined
   * when there is none. Call {@link takeLosses} before.
   */
  peek(end: number): Publication | undefined {
    while (!this.isOver && !this.#isForsaken && this.#cursor < end) {
      const publication = this.#log.at(this.#cursor);
      if (publication === undefined) return undefined;
      const missed = this.#missed.get(this.#log.keyAt(this.#cursor));
      if (missed === undefined || this.#cursor < missed.from || this.#cursor >= missed.until) {
        this.#cursor += 1;
      } else if (missed.until < Number.POSITIVE_INFINITY) {
        this.shift();
      } else {
        return publication;
      }
    }
    return undefined;
  }

  /** The client has what {@link peek} returned. */
  shift(): void {
    const key = this.#log.keyAt(this.#cursor);
    const missed = this.#missed.get(key) as Missed;
    const offset = this.#log.at(this.#cursor)?.offset ?? 0;
    this.#cursor += 1;
    this.#owed -= 1;
    missed.count -= 1;
    if (missed.count === 0) this.#missed.delete(key);
    else if (offset > 0) missed.firstOffset = offset + 1;
  }

  /** What was passed by before is not owed again. */
  #turnBackTo(number: number): void {
    for (const missed of this.#missed.values()) {
      missed.from = Math.max(missed.from, this.#cursor);
    }
    this.#cursor = Math.min(this.#cursor, number);
  }

  #miss(channel: string, from: number): Missed {
    const missed: Missed = {
      ...{ channel, from, until: Number.POSITIVE_INFINITY, count: 0, wasPromised: false },
      ...{ firstOffset: 0, lastOffset: 0, earlier: undefined },
    };
    this.#missed.set(channel, missed);
    return missed;
  }

  /** It left the channel, or was owed of it, and is back: what lies between cannot be told from the rest. */
  #rejoin(missed: Missed): void {
    missed.until = Number.POSITIVE_INFINITY;
    this.forsake();
  }

  #missedOf(channel: string): Missed[] {
    return [...this.#missed.values()].filter((missed) => missed.channel === channel);
  }

  /** The offset of the first publication that is left under a key; 0 if it has none. */
  #nextOffset(key: string, from: number): number {
    const number = this.#log.first(key, Math.max(from, this.#log.oldest));
    return number === undefined ? 0 : (this.#log.at(number)?.offset ?? 0);
  }

  /** Promised ones are older than refused ones, and so are told first. */
  #loseAll(): readonly Loss[] {
    const all = [...this.#missed.values()].sort(
      (a, b) => Number(b.wasPromised) - Number(a.wasPromised),
    );
    const losses = all.flatMap((missed) => [
      ...(missed.earlier ?? []),
      lossOf(missed, missed.count, undefined),
    ]);
    this.#missed.clear();
    this.#owed = 0;
    return losses.filter(({ lost, resync }) => lost !== 0 || resync !== undefined);
  }
}

function lossOf(missed: Missed, lost: number, resync: EpochChange | undefined): Loss {
  const { channel, firstOffset, lastOffset, wasPromised } = missed;
  return { channel, lost, from: firstOffset, to: lastOffset, wasPromised, resync };
}
