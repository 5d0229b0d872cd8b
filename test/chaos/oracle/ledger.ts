import type { Position } from '@tradewind/protocol';

/** The publisher's answers in one epoch. */
interface Epoch {
  /**
   * Offset → payload, for each life. A failover can lose acknowledged writes, and their offsets are used again under
   * the same epoch until a node proves it.
   */
  readonly lives: Life[];
}

interface Life {
  /** The first offset of this life; lower offsets belong to the life before. */
  readonly from: number;
  last: number;
  readonly payloads: Map<number, string>;
}

interface Channel {
  readonly epochs: Map<string, Epoch>;
  readonly uncertain: Set<string>;
  head: Position | undefined;
  tail: Position | undefined;
}

/**
 * Publications as they were acknowledged to the publisher: the truth that clients are compared with. The publisher
 * writes it, and all oracles read it.
 */
export class Ledger {
  readonly #channels = new Map<string, Channel>();

  /** Redis answered that `payload` has this position. */
  acknowledged(channel: string, position: Position, payload: string): void {
    const known = this.#channel(channel);
    const { epoch, offset } = position;
    const lives = known.epochs.get(epoch)?.lives ?? [];
    let life = lives.at(-1);
    const before = life?.payloads.get(offset);
    if (life === undefined || (before !== undefined && before !== payload)) {
      life = { from: lives.length === 0 ? 0 : offset, last: offset, payloads: new Map() };
      lives.push(life);
      known.epochs.set(epoch, { lives });
    }
    life.payloads.set(offset, payload);
    life.last = Math.max(life.last, offset);
    known.head = { epoch, offset };
    known.tail = undefined;
    known.uncertain.delete(payload);
  }

  /** Redis may or may not have executed it. */
  uncertain(channel: string, payload: string): void {
    this.#channel(channel).uncertain.add(payload);
  }

  /**
   * The channel's end in Redis, read after the last publication. A node may have begun its epoch, so that no answer
   * ever named it.
   */
  found(channel: string, position: Position): void {
    const known = this.#channel(channel);
    const { epoch } = position;
    if (!known.epochs.has(epoch)) known.epochs.set(epoch, { lives: [] });
    known.head = position;
    known.tail = position;
  }

  /**
   * The position that every client must reach: as read from Redis, or as answered last; undefined if there is neither.
   */
  head(channel: string): Position | undefined {
    return this.#channels.get(channel)?.head;
  }

  /** The same, but only as read from Redis. */
  tail(channel: string): Position | undefined {
    return this.#channels.get(channel)?.tail;
  }

  /** Channels with any publication, or with an end that was read. */
  get channels(): readonly string[] {
    return [...this.#channels.keys()];
  }

  knowsEpoch(channel: string, epoch: string): boolean {
    return this.#channels.get(channel)?.epochs.has(epoch) === true;
  }

  /** Whether the outcome of publishing `payload` never became known. */
  isUncertain(channel: string, payload: string): boolean {
    return this.#channels.get(channel)?.uncertain.has(payload) === true;
  }

  /** Whether any outcome on the channel never became known, so that offsets may be unknown. */
  hasUncertain(channel: string): boolean {
    return (this.#channels.get(channel)?.uncertain.size ?? 0) > 0;
  }

  /** The largest offset that was answered in an epoch, over its lives; 0: none. */
  last(channel: string, epoch: string): number {
    const lives = this.#channels.get(channel)?.epochs.get(epoch)?.lives ?? [];
    return Math.max(0, ...lives.map((life) => life.last));
  }

  /** Whether any answer had this position, in any life. */
  knows(channel: string, { epoch, offset }: Position): boolean {
    const lives = this.#channels.get(channel)?.epochs.get(epoch)?.lives ?? [];
    return lives.some((life) => life.payloads.has(offset));
  }

  /**
   * The lives of its epoch, counted from 0, in which this position has this payload: usually one or none. An entry that
   * a life took over from the one before is in both.
   */
  livesWith(channel: string, { epoch, offset }: Position, payload: string): readonly number[] {
    const lives = this.#channels.get(channel)?.epochs.get(epoch)?.lives ?? [];
    const found: number[] = [];
    for (let number = 0; number < lives.length; number += 1) {
      let owner = number;
      while (owner > 0 && offset < lives[owner]!.from) owner -= 1;
      if (lives[owner]!.payloads.get(offset) === payload) found.push(number);
    }
    return found;
  }

  /**
   * Whether an answer had this payload and offset in an earlier epoch. A node that begins a new epoch takes over what
   * Redis holds, and delivers the publications that nobody received before.
   */
  wasTakenOver(channel: string, { epoch, offset }: Position, payload: string): boolean {
    const epochs = this.#channels.get(channel)?.epochs ?? new Map<string, Epoch>();
    return [...epochs].some(
      ([name, { lives }]) =>
        name !== epoch && lives.some((life) => life.payloads.get(offset) === payload),
    );
  }

  #channel(name: string): Channel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = { epochs: new Map(), uncertain: new Set(), head: undefined, tail: undefined };
      this.#channels.set(name, channel);
    }
    return channel;
  }
}
