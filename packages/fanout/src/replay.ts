import type { Publication } from './publication.ts';
import { costOf } from './publication-log.ts';

/**
 * Counts the bytes that the replays of one worker hold. New publications must not push out what a client was promised. So a
 * replay is held apart from the log until the client was sent it, and replays need a bound of their own.
 *
 * One excerpt may exceed the bound: the caller checks {@link hasRoom} before it promises a replay, not its size.
 */
export class ReplayMemory {
  /** There is no room for more once this many bytes are held. */
  readonly maxBytes: number;
  readonly #freed: () => void;
  #bytes = 0;

  /** @param freed called when there is room again after there was none. It must not promise a replay itself. */
  constructor(maxBytes: number, freed: () => void) {
    this.maxBytes = maxBytes;
    this.#freed = freed;
  }

  /** How many bytes are held, bookkeeping included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether another replay may be promised. */
  get hasRoom(): boolean {
    return this.#bytes < this.maxBytes;
  }

  /** Counts bytes that are held from now on. */
  take(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Counts bytes that are held no longer. May call `freed`. */
  giveBack(bytes: number): void {
    const hadRoom = this.hasRoom;
    this.#bytes -= bytes;
    if (!hadRoom && this.hasRoom) this.#freed();
  }
}

/** Why publications are missing. A `gap` tells it to clients in the place of the publications. */
export type HoleReason = 'slow' | 'trimmed' | 'unreadable' | 'too_large' | 'link';

/** Publications of one channel that cannot be delivered. */
export interface Hole {
  /** Their offsets, both inclusive. */
  readonly from: number;
  readonly to: number;
  readonly reason: HoleReason;
}

/** One item of a channel's past. */
export type PastItem = Publication | Hole;

/** What a hole takes up in memory, in bytes: an object and a slot. */
const HOLE_BYTES = 64;

/** Whether an item is a hole, and not a publication. */
export function isHole(item: PastItem): item is Hole {
  return 'reason' in item;
}

/** The offset of a publication, or the first one of a hole. */
export function firstOffsetOf(item: PastItem): number {
  return isHole(item) ? item.from : item.offset;
}

/** The offset of a publication, or the last one of a hole, inclusive. */
export function lastOffsetOf(item: PastItem): number {
  return isHole(item) ? item.to : item.offset;
}

/** What an item takes up in memory, in bytes. */
export function costOfItem(item: PastItem): number {
  return isHole(item) ? HOLE_BYTES : costOf(item);
}

/**
 * A part of one channel's past: publications, and holes where some are missing. Their offsets follow one another. It is
 * held once for all clients that were promised any of it. Once the last of them was sent its part or is gone, it is emptied.
 */
export class Excerpt {
  readonly channel: string;
  readonly #memory: ReplayMemory;
  readonly #items: PastItem[] = [];
  /** The indices of the holes, in ascending order. */
  readonly #holes: number[] = [];
  #bytes = 0;
  #holders = 0;

  constructor(channel: string, memory: ReplayMemory) {
    this.channel = channel;
    this.#memory = memory;
  }

  /** How many items it has. */
  get length(): number {
    return this.#items.length;
  }

  /** The first offset that it covers; 0 while it is empty. */
  get firstOffset(): number {
    const [first] = this.#items;
    return first === undefined ? 0 : firstOffsetOf(first);
  }

  /** The last offset that it covers; 0 while it is empty. */
  get lastOffset(): number {
    const last = this.#items.at(-1);
    return last === undefined ? 0 : lastOffsetOf(last);
  }

  /** Whether a client was promised any of it and was not sent all of that. */
  get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** The item at this index, from 0. */
  at(index: number): PastItem {
    return this.#items[index] as PastItem;
  }

  /** A replay of all of it from this offset on, which it must cover. */
  replayFrom(from: number): Replay {
    const firstIndex = this.#indexOf(from);
    const endIndex = this.#items.length;
    const holes = this.#holes.filter((hole) => hole >= firstIndex).length;
    return { excerpt: this, from, firstIndex, endIndex, count: endIndex - firstIndex - holes };
  }

  /** Appends an item. Its offset must be the next one. */
  append(item: PastItem): void {
    const bytes = costOfItem(item);
    if (isHole(item)) this.#holes.push(this.#items.length);
    this.#items.push(item);
    this.#bytes += bytes;
    if (this.isHeld) this.#memory.take(bytes);
  }

  /** Keeps the excerpt for one more client, until {@link release}. */
  hold(): void {
    if (this.#holders === 0) this.#memory.take(this.#bytes);
    this.#holders += 1;
  }

  /** Undoes one {@link hold}. The last one empties the excerpt. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    const bytes = this.#bytes;
    this.#items.length = 0;
    this.#holes.length = 0;
    this.#bytes = 0;
    this.#memory.giveBack(bytes);
  }

  /** The index of the item that covers this offset. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (lastOffsetOf(this.at(middle)) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The part of an excerpt that one client is promised. */
export interface Replay {
  readonly excerpt: Excerpt;
  /** The first offset. It may lie within a hole: then the client is told only the rest of that hole. */
  readonly from: number;
  /** The index of its first item in the excerpt, from 0, and the index behind its last item. */
  readonly firstIndex: number;
  readonly endIndex: number;
  /** How many of the items are publications. */
  readonly count: number;
}
