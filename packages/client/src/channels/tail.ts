import type { Gap, Publication } from '../types.ts';

const MOST_ITEMS = 1_000;
/** 1 MiB, at two bytes for each character of a frame. */
const MOST_CHARACTERS = 512 * 1024;

/** What one item takes besides its frame, in characters. */
const ITEM_CHARACTERS = 64;

interface Entry {
  readonly item: Publication<unknown> | Gap;
  readonly characters: number;
}

/**
 * The latest publications of a channel, and the gaps between them, for consumers that come later and ask for history: a
 * node answers a repeated `subscribe` with a position only. It exists only for channels of which history was asked.
 */
export class Tail {
  #entries: Entry[] = [];
  #characters = 0;

  add(item: Publication<unknown> | Gap, characters = ITEM_CHARACTERS): void {
    this.#entries.push({ item, characters });
    this.#characters += characters;
    while (this.#entries.length > MOST_ITEMS || this.#characters > MOST_CHARACTERS) {
      this.#characters -= this.#entries.shift()!.characters;
    }
  }

  /** A new epoch begins. */
  clear(): void {
    this.#entries = [];
    this.#characters = 0;
  }

  /** The latest `count` publications, the oldest first, and every gap behind the first of them. */
  last(count: number): readonly Entry[] {
    let left = count;
    let from = this.#entries.length;
    while (left > 0 && from > 0) {
      from -= 1;
      if (this.#entries[from]!.item.kind === 'publication') left -= 1;
    }
    while (this.#entries[from]?.item.kind === 'gap') from += 1;
    return this.#entries.slice(from);
  }
}
