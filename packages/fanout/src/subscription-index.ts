/** What the index needs to know of a subscriber. None of it may change while the subscriber is in the index. */
export interface QueueOwner {
  /** The number of its queue among those of its worker. */
  readonly queueId: number;
  /**
   * Which of a channel's audiences it belongs to: a small integer, from 0. One audience is offered the same bytes, so
   * subscribers of different formats are in different groups. A single subscription may be in another group than this.
   */
  readonly group: number;
}

/** The subscribers of one channel in one group, in no particular order. */
export interface Audience<S> {
  readonly members: readonly S[];
  /** The queue of each member, beside it: the delivery loop runs over these alone. */
  readonly queueIds: readonly number[];
}

interface Entry<S> extends Audience<S> {
  readonly channel: string;
  readonly group: number;
  readonly members: S[];
  readonly queueIds: number[];
}

const NOBODY: readonly never[] = Object.freeze([]);
const NO_AUDIENCE: Audience<never> = Object.freeze({ members: NOBODY, queueIds: NOBODY });

/**
 * Who receives which channel. The cost of an operation does not depend on the size of the index. `removeClient` takes time for
 * each channel that the client holds, and every operation takes time for each group. A subscriber is in one group of a channel
 * at most.
 *
 * Invariant: for every member m at position p of an entry e, `#positions.get(m).get(e) === p`.
 */
export class SubscriptionIndex<S extends QueueOwner> {
  /** The entries of each group, by channel. A channel has an entry in each group in which it has subscribers. */
  readonly #groups: Map<string, Entry<S>>[] = [new Map()];
  readonly #positions = new Map<S, Map<Entry<S>, number>>();
  #channels = 0;
  #subscriptions = 0;

  /** Channels with at least one subscriber. */
  get channels(): number {
    return this.#channels;
  }

  /** Subscriptions over all channels. */
  get subscriptions(): number {
    return this.#subscriptions;
  }

  /**
   * Adds a subscription. Returns false if the subscriber receives the channel already, in any group.
   *
   * @param group the subscriber's own by default.
   */
  add(channel: string, subscriber: S, group = subscriber.group): boolean {
    if (this.groupOf(channel, subscriber) !== undefined) return false;
    const entry = this.#entryOf(channel, group);
    let held = this.#positions.get(subscriber);
    if (held === undefined) {
      held = new Map();
      this.#positions.set(subscriber, held);
    }
    held.set(entry, entry.members.push(subscriber) - 1);
    entry.queueIds.push(subscriber.queueId);
    this.#subscriptions += 1;
    return true;
  }

  /** Adds several subscriptions. Returns how many were new. */
  addMultiple(channels: Iterable<string>, subscriber: S): number {
    let added = 0;
    for (const channel of channels) if (this.add(channel, subscriber)) added += 1;
    return added;
  }

  /** Removes a subscription. Returns false if there was none. */
  remove(channel: string, subscriber: S): boolean {
    const held = this.#positions.get(subscriber);
    if (held === undefined) return false;
    const entry = this.#heldEntry(channel, subscriber, held);
    if (entry === undefined) return false;
    const position = held.get(entry) as number;
    held.delete(entry);
    if (held.size === 0) this.#positions.delete(subscriber);
    this.#vacate(entry, position);
    return true;
  }

  /** Removes several subscriptions. Returns how many there were. */
  removeMultiple(channels: Iterable<string>, subscriber: S): number {
    let removed = 0;
    for (const channel of channels) if (this.remove(channel, subscriber)) removed += 1;
    return removed;
  }

  /** Removes all that a subscriber holds. Returns the names of those channels. */
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

  /** The subscribers of a channel, of all groups. The caller owns the array. */
  get(channel: string): S[] {
    const [first, ...others] = this.#groups.map((entries) => entries.get(channel)?.members ?? []);
    return (first ?? []).concat(...others);
  }

  /**
   * The subscribers of a channel in one group, with their queues: the index's own arrays, not copies. They are valid
   * until the next change of the index, and nobody may write to them.
   *
   * @param group the first one by default.
   */
  audience(channel: string, group = 0): Audience<S> {
    return this.#groups[group]?.get(channel) ?? NO_AUDIENCE;
  }

  /** How many subscribers a channel has. */
  count(channel: string): number {
    let count = 0;
    for (const entries of this.#groups) count += entries.get(channel)?.members.length ?? 0;
    return count;
  }

  /** The channels that a subscriber receives. The caller owns the array. */
  channelsOf(subscriber: S): string[] {
    return Array.from(this.#positions.get(subscriber)?.keys() ?? [], ({ channel }) => channel);
  }

  /** How many channels a subscriber receives. */
  held(subscriber: S): number {
    return this.#positions.get(subscriber)?.size ?? 0;
  }

  /** Whether this subscriber receives this channel. */
  has(channel: string, subscriber: S): boolean {
    return this.groupOf(channel, subscriber) !== undefined;
  }

  /** The group in which this subscriber receives this channel; undefined if it does not. */
  groupOf(channel: string, subscriber: S): number | undefined {
    const held = this.#positions.get(subscriber);
    return held === undefined ? undefined : this.#heldEntry(channel, subscriber, held)?.group;
  }

  /** The channels with their numbers of subscribers: each channel once, those of the first group before the others. */
  *counts(): Generator<readonly [channel: string, subscribers: number]> {
    for (const [group, entries] of this.#groups.entries()) {
      for (const channel of entries.keys()) {
        const isFirst = !this.#groups.slice(0, group).some((earlier) => earlier.has(channel));
        if (isFirst) yield [channel, this.count(channel)];
      }
    }
  }

  #entryOf(channel: string, group: number): Entry<S> {
    while (this.#groups.length <= group) this.#groups.push(new Map());
    const entries = this.#groups[group] as Map<string, Entry<S>>;
    let entry = entries.get(channel);
    if (entry === undefined) {
      if (!this.#isInAnotherGroup(channel, group)) this.#channels += 1;
      entry = { channel, group, members: [], queueIds: [] };
      entries.set(channel, entry);
    }
    return entry;
  }

  #heldEntry(
    channel: string,
    { group }: S,
    held: ReadonlyMap<Entry<S>, number>,
  ): Entry<S> | undefined {
    const own = this.#groups[group]?.get(channel);
    if (own !== undefined && held.has(own)) return own;
    for (const entries of this.#groups) {
      const entry = entries.get(channel);
      if (entry !== undefined && held.has(entry)) return entry;
    }
    return undefined;
  }

  #isInAnotherGroup(channel: string, group: number): boolean {
    for (let other = 0; other < this.#groups.length; other += 1) {
      if (other !== group && this.#groups[other]?.has(channel) === true) return true;
    }
    return false;
  }

  /** Removes the member at a position, and moves the last member there. */
  #vacate(entry: Entry<S>, position: number): void {
    this.#subscriptions -= 1;
    const last = entry.members.pop() as S;
    entry.queueIds.pop();
    if (entry.members.length === 0) {
      this.#groups[entry.group]?.delete(entry.channel);
      if (!this.#isInAnotherGroup(entry.channel, entry.group)) this.#channels -= 1;
    }
    if (position === entry.members.length) return;
    entry.members[position] = last;
    entry.queueIds[position] = last.queueId;
    this.#positions.get(last)?.set(entry, position);
  }
}
