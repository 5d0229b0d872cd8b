import { randomUUID } from 'node:crypto';
import type { Item, Publication } from './item.ts';
import { type ItemFailure, type ItemResult, type Publisher, unavailable } from './publish.ts';
import {
  type LaneEvents,
  type LaneSettings,
  PublishLane,
  STOPPED,
  type Submission,
} from './publish-lane.ts';

/**
 * How much longer than the highest age a key of our own is remembered, in ms. Only this service repeats such a publication,
 * and never after its highest age. Short, because every publication without a caller's key leaves one in Redis.
 */
export const OWN_KEY_MARGIN_MS = 10_000;

/**
 * The share of the queue that publications of one shard may take if there are several. A shard that is away then leaves half of
 * it to the others, and one that gets most of the load has room enough while all is well.
 */
export const SHARD_SHARE = 0.5;

/** The lane of all publications to a publisher without lanes. */
const ONLY_LANE = 0;

export interface PublishQueueSettings extends LaneSettings {
  /** The most publications in the queue or in flight. */
  readonly maxItems: number;
  /** The most bytes of their payloads together. */
  readonly maxBytes: number;
}

/** Events of a queue. No handler may throw. */
export interface PublishQueueEvents extends LaneEvents {
  /** Publications were refused because the queue is full. */
  queueFull(publications: number): void;
}

/** How much waits for Redis. */
export interface PublishQueueState {
  /** Publications in the queue or in flight. */
  readonly publications: number;
  readonly bytes: number;
  /** The age of the oldest publication, in ms; 0 without one. */
  readonly oldestMs: number;
}

/** What a shard or a lane has of the queue. */
interface Held {
  publications: number;
  bytes: number;
}

/** A lane, what it has of the queue, and the shard in whose share that is counted. */
interface CountedLane extends Held {
  readonly lane: PublishLane;
  /** Undefined if there is only one server. */
  shard: string | undefined;
}

/**
 * Sends publications to Redis, those of one channel in the order in which they were submitted. It holds them while Redis is
 * unavailable, within limits of count, bytes and age.
 *
 * Each slot of a cluster has a lane of its own while publications of it wait or are in flight, so that a shard that is away,
 * or a slot that moves, delays no other one. A channel never changes its slot, so its order holds when the slot's owner changes. One Redis
 * has one lane. A shard that is away leaves {@link SHARD_SHARE} of the room to the others.
 */
export class PublishQueue {
  readonly #publisher: Publisher;
  readonly #settings: PublishQueueSettings;
  readonly #events: PublishQueueEvents;
  readonly #keyPrefix = randomUUID();
  readonly #lanes = new Map<number, CountedLane>();
  /** What each shard has of the queue, if there are several; those without any are left out. */
  readonly #shards = new Map<string, Held>();
  #keysMade = 0;
  #publications = 0;
  #bytes = 0;
  #stopped = false;

  constructor(publisher: Publisher, settings: PublishQueueSettings, events: PublishQueueEvents) {
    this.#publisher = publisher;
    this.#settings = settings;
    this.#events = events;
  }

  get state(): PublishQueueState {
    const now = performance.now();
    let oldestAt = now;
    for (const { lane } of this.#lanes.values())
      oldestAt = Math.min(oldestAt, lane.oldestAt ?? now);
    return { publications: this.#publications, bytes: this.#bytes, oldestMs: now - oldestAt };
  }

  /**
   * Publishes the valid ones of `items` in order and resolves with the result of each. After one fails for a passing
   * reason, later ones that were not sent yet are not sent: a caller who repeats the failed ones keeps their order. If the
   * queue has no room for all, it takes none. Payloads are copied. A fault of Redis never rejects the promise.
   */
  submit(items: readonly Item[]): Promise<readonly ItemResult[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly ItemResult[]>();
    const results: ItemResult[] = new Array(items.length);
    if (items.length === 0) resolve(results);
    let unsettled = items.length;
    const settle = (index: number, result: ItemResult): void => {
      results[index] = result;
      unsettled -= 1;
      if (unsettled === 0) resolve(results);
    };
    const submission: Submission = { failure: undefined, settle, reject };
    const lanes = new Set<PublishLane>();
    const obstacle = this.#obstacleTo(items);
    items.forEach((item, index) => {
      if (!item.ok) {
        settle(index, { ok: false, error: item.error, outcomeUnknown: false, cause: undefined });
      } else if (obstacle !== undefined) settle(index, obstacle);
      else lanes.add(this.#enqueue(item.publication, submission, index));
    });
    for (const lane of lanes) lane.pump();
    return promise;
  }

  /** Sends the waiting items at once, because Redis or a shard is available again, or slots have another owner. */
  resume(): void {
    this.#countByOwner();
    for (const { lane } of [...this.#lanes.values()]) lane.resume();
  }

  /** Fails everything that waits, and what is in flight as soon as the publisher rejects it. Ends every timer. */
  stop(): void {
    this.#stopped = true;
    for (const { lane } of this.#lanes.values()) lane.stop();
  }

  #obstacleTo(items: readonly Item[]): ItemFailure | undefined {
    if (this.#stopped) return unavailable(STOPPED, false);
    let count = 0;
    let bytes = 0;
    for (const item of items) {
      if (!item.ok) continue;
      count += 1;
      bytes += item.publication.bytes;
    }
    const { maxItems, maxBytes } = this.#settings;
    const fits = this.#publications + count <= maxItems && this.#bytes + bytes <= maxBytes;
    if (fits && this.#shardsHaveRoom(items)) return undefined;
    this.#events.queueFull(count);
    const message =
      'The queue of publications that wait for Redis is full. Nothing was published; try again.';
    return unavailable('the queue is full', false, message);
  }

  /** A shard without publications has room for any request, also for one that is larger than its share. */
  #shardsHaveRoom(items: readonly Item[]): boolean {
    const { lanes } = this.#publisher;
    if (lanes === undefined) return true;
    const added = new Map<string, Held>();
    for (const item of items) {
      if (!item.ok) continue;
      const shard = lanes.shardOf(lanes.laneOf(item.publication.channel));
      if (shard !== undefined && this.#shards.has(shard))
        hold(added, shard, item.publication.bytes);
    }
    const { maxItems, maxBytes } = this.#settings;
    return [...added].every(([shard, { publications, bytes }]) => {
      const held = this.#shards.get(shard) ?? { publications: 0, bytes: 0 };
      return (
        held.publications + publications <= SHARD_SHARE * maxItems &&
        held.bytes + bytes <= SHARD_SHARE * maxBytes
      );
    });
  }

  /** Counts the waiting items for the servers that own the slots now. A promoted master has another name. */
  #countByOwner(): void {
    const { lanes } = this.#publisher;
    if (lanes === undefined) return;
    for (const [key, counted] of this.#lanes) {
      const shard = lanes.shardOf(key);
      if (shard === counted.shard) continue;
      const { publications, bytes } = counted;
      if (counted.shard !== undefined) hold(this.#shards, counted.shard, -bytes, -publications);
      counted.shard = shard;
      if (shard !== undefined) hold(this.#shards, shard, bytes, publications);
    }
  }

  #count(counted: CountedLane, bytes: number, publications: number): void {
    this.#publications += publications;
    this.#bytes += bytes;
    counted.publications += publications;
    counted.bytes += bytes;
    if (counted.shard !== undefined) hold(this.#shards, counted.shard, bytes, publications);
  }

  #enqueue(publication: Publication, submission: Submission, index: number): PublishLane {
    const { maxAgeMs, idempotencyWindowMs } = this.#settings;
    const ownKey = publication.idempotencyKey === undefined;
    const { lanes } = this.#publisher;
    const key = lanes?.laneOf(publication.channel) ?? ONLY_LANE;
    const counted = this.#lane(key);
    this.#count(counted, publication.bytes, 1);
    this.#keysMade += 1;
    counted.lane.push({
      publication: {
        ...publication,
        // A copy: a string cut out of a body, or a view into a chunk, would keep all of it in memory.
        payload: Buffer.from(publication.payload),
        idempotencyKey: publication.idempotencyKey ?? `${this.#keyPrefix}.${this.#keysMade}`,
      },
      terms: {
        idempotencyWindowMs:
          ownKey && maxAgeMs > 0
            ? Math.min(idempotencyWindowMs, maxAgeMs + OWN_KEY_MARGIN_MS)
            : idempotencyWindowMs,
        notAfterMs: maxAgeMs === 0 ? undefined : Date.now() + maxAgeMs,
      },
      submission,
      index,
      ownKey,
      submittedAt: performance.now(),
      state: 'waiting',
      firstSentAt: undefined,
      inDoubt: false,
      cause: undefined,
    });
    return counted.lane;
  }

  #lane(key: number): CountedLane {
    const { lanes } = this.#publisher;
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane = new PublishLane(this.#publisher, this.#settings, this.#events, {
      isReachable: () => lanes?.isReachable(key) ?? this.#publisher.available,
      released: ({ publication: { bytes } }) => this.#count(counted, -bytes, -1),
      emptied: () => {
        if (lanes === undefined) return;
        this.#lanes.delete(key);
        lane.stop();
      },
    });
    const counted: CountedLane = { lane, publications: 0, bytes: 0, shard: lanes?.shardOf(key) };
    this.#lanes.set(key, counted);
    return counted;
  }
}

/** Counts a publication, and forgets a shard that has none. */
function hold(shards: Map<string, Held>, shard: string, bytes: number, count = 1): void {
  const held = shards.get(shard) ?? { publications: 0, bytes: 0 };
  held.publications += count;
  held.bytes += bytes;
  if (held.publications === 0) shards.delete(shard);
  else shards.set(shard, held);
}
