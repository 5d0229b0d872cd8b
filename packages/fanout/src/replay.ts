import type { Publication } from './publication.ts';
import { costOf } from './publication-log.ts';

/**
 * What the replays of one worker hold, in bytes. What a client was promised must not be pushed out by what
 * is published meanwhile, so it is held apart from the log, until the client has had it; and what is
 * held apart has to be bounded apart.
 *
 * The bound is soft by one excerpt: whoever is about to promise looks at {@link hasRoom} before.
 */
export class ReplayMemory {
  /** From so many bytes on there is no room for more. */
  readonly maxBytes: number;
  readonly #freed: () => void;
  #bytes = 0;

  /** @param freed told when there is room again after there was none; not to promise anything at once. */
  constructor(maxBytes: number, freed: () => void) {
    this.maxBytes = maxBytes;
    this.#freed = freed;
  }

  /** Bytes that are held, bookkeeping included. */
  get bytes(): number {
    return this.#bytes;
  }

  get hasRoom(): boolean {
    return this.#bytes < this.maxBytes;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
  }

  giveBack(bytes: number): void {
    const hadRoom = this.hasRoom;
    this.#bytes -= bytes;
    if (!hadRoom && this.hasRoom) this.#freed();
  }
}

/**
 * Publications of one channel whose offsets follow one another. It is held, once for all clients that were
 * promised any of it, until the last of them has had what it was promised or is gone; then it is empty.
 */
export class Excerpt {
  readonly channel: string;
  readonly #memory: ReplayMemory;
  readonly #publications: Publication[] = [];
  #bytes = 0;
  #holders = 0;

  constructor(channel: string, memory: ReplayMemory) {
    this.channel = channel;
    this.#memory = memory;
  }

  /** Publications that it has. */
  get length(): number {
    return this.#publications.length;
  }

  /** The offset of its first publication; 0 while it is empty. */
  get firstOffset(): number {
    return this.#publications[0]?.offset ?? 0;
  }

  /** The offset of its last publication; 0 while it is empty. */
  get lastOffset(): number {
    return this.#publications.at(-1)?.offset ?? 0;
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** The publication at a place, from 0. */
  at(place: number): Publication {
    return this.#publications[place] as Publication;
  }

  /** Appends the publication whose offset is next. */
  append(publication: Publication): void {
    const bytes = costOf(publication);
    this.#publications.push(publication);
    this.#bytes += bytes;
    if (this.isHeld) this.#memory.take(bytes);
  }

  hold(): void {
    if (this.#holders === 0) this.#memory.take(this.#bytes);
    this.#holders += 1;
  }

  /** Undoes one {@link hold}; with the last one it becomes empty. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    const bytes = this.#bytes;
    this.#publications.length = 0;
    this.#bytes = 0;
    this.#memory.giveBack(bytes);
  }
}

/** A part of an excerpt that one client is promised. */
export interface Replay {
  readonly excerpt: Excerpt;
  /** The place of the first publication, from 0. */
  readonly from: number;
  readonly count: number;
}
