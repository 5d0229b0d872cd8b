/** What the index needs to know of a subscriber. */
export interface QueueOwner {
  /** The place of its queue; it must stay the same while the subscriber is in the index. */
  readonly queueId: number;
}

/** Who receives a channel, in no particular order. */
export interface Audience<S> {
  readonly members: readonly S[];
  /** Next to each member its place: what the delivery loop runs over, as it is. */
  readonly queueIds: readonly number[];
}

interface Entry<S> extends Audience<S> {
  readonly channel: string;
  readonly members: S[];
  readonly queueIds: number[];
}

const NOBODY: readonly never[] = Object.freeze([]);
const NO_AUDIENCE: Audience<never> = Object.freeze({ members: NOBODY, queueIds: NOBODY });

/**
 * Who receives which channel. Every operation costs the same however large the index is:
 * `removeClient` alone grows, with the number of channels which that client holds.
 *
 * Invariant: for every member m at position p of an entry e, `#positions.get(m).get(e) === p`.
 */
export class SubscriptionIndex<S extends QueueOwner> {
  readonly #entries = new Map<string, Entry<S>>();
  readonly #positions = new Map<S, Map<Entry<S>, number>>();
  #subscriptions = 0;

  /** Channels with at least one subscriber. */
  get channels(): number {
    return this.#entries.size;
  }

  /** Subscriptions over all channels. */
  get subscriptions(): number {
    return this.#subscriptions;
  }

  /** Adds a subscription; false if it was there already. */
  add(channel: string, subscriber: S): boolean {
    let entry = this.#entries.get(channel);
    if (entry === undefined) {
      entry = { channel, members: [], queueIds: [] };
      this.#entries.set(channel, entry);
    }
    let held = this.#positions.get(subscriber);
    if (held === undefined) {
      held = new Map();
      this.#positions.set(subscriber, held);
    }
    if (held.has(entry)) return false;
    held.set(entry, entry.members.push(subscriber) - 1);
    entry.queueIds.push(subscriber.queueId);
    this.#subscriptions += 1;
    return true;
  }

  /** Adds several; returns how many were new. */
  addMultiple(channels: Iterable<string>, subscriber: S): number {
    let added = 0;
    for (const channel of channels) if (this.add(channel, subscriber)) added += 1;
    return added;
  }

  /** Removes a subscription; false if there was none. */
  remove(channel: string, subscriber: S): boolean {
    const entry = this.#entries.get(channel);
    const held = this.#positions.get(subscriber);
    if (entry === undefined || held === undefined) return false;
    const position = held.get(entry);
    if (position === undefined) return false;
    held.delete(entry);
    if (held.size === 0) this.#positions.delete(subscriber);
    this.#vacate(entry, position);
    return true;
  }

  /** Removes several; returns how many there were. */
  removeMultiple(channels: Iterable<string>, subscriber: S): number {
    let removed = 0;
    for (const channel of channels) if (this.remove(channel, subscriber)) removed += 1;
    return removed;
  }

  /** Removes all that a subscriber holds; returns the names of those channels. */
  removeClient(subscriber: S): string[] {
    const held = this.#positions.get(subscriber);
    if (held === undefined) return [];
    this.#positions.delete(subscriber);
    const channels: string[] = [];
    for (const [entry, position] of held) {
      channels.push(entry.channel);
      this.#vacate(entry, position);
    }
    return channels;
  }

  /**
   * The subscribers of a channel: the index's own array, not a copy. It is valid until the next
   * change of the index, and nobody may write to it.
   */
  get(channel: string): readonly S[] {
    return this.#entries.get(channel)?.members ?? NOBODY;
  }

  /** The same with their places, for a delivery. */
  audience(channel: string): Audience<S> {
    return this.#entries.get(channel) ?? NO_AUDIENCE;
  }

  /** How many subscribers a channel has. */
  count(channel: string): number {
    return this.#entries.get(channel)?.members.length ?? 0;
  }

  /** How many channels a subscriber receives. */
  held(subscriber: S): number {
    return this.#positions.get(subscriber)?.size ?? 0;
  }

  /** Whether this subscriber receives this channel. */
  has(channel: string, subscriber: S): boolean {
    const entry = this.#entries.get(channel);
    return entry !== undefined && this.#positions.get(subscriber)?.has(entry) === true;
  }

  /** The channels with their numbers of subscribers, in order of their first subscription. */
  *counts(): Generator<readonly [channel: string, subscribers: number]> {
    for (const { channel, members } of this.#entries.values()) yield [channel, members.length];
  }

  /** Takes a position out of an entry by moving the last member into it. */
  #vacate(entry: Entry<S>, position: number): void {
    this.#subscriptions -= 1;
    const last = entry.members.pop() as S;
    entry.queueIds.pop();
    if (entry.members.length === 0) this.#entries.delete(entry.channel);
    if (position === entry.members.length) return;
    entry.members[position] = last;
    entry.queueIds[position] = last.queueId;
    this.#positions.get(last)?.set(entry, position);
  }
}
