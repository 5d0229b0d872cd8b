import type { Position, Publication } from '../types.ts';

/** Calls something after a time in ms. Returns what ends that. */
export type After = (ms: number, act: () => void) => () => void;

type Take = (publication: Publication<unknown>, characters: number) => void;

interface Held {
  readonly publication: Publication<unknown>;
  readonly characters: number;
}

/**
 * Gives one consumer the newest publication of each interval, where the server sends more: an earlier release sends all, and so
 * does every server while another consumer of the channel wants all.
 */
export class LatestPace {
  readonly everyMs: number;
  readonly #servedMs: () => number;
  readonly #after: After;
  readonly #take: Take;
  #held: Held | undefined;
  #behind: Position | undefined;
  /** Publications before the held one that were left out. */
  #skipped = 0;
  #endInterval: (() => void) | undefined;

  /**
   * @param servedMs returns how often the server sends the latest; 0 while it sends all.
   */
  constructor(everyMs: number, servedMs: () => number, after: After, take: Take) {
    this.everyMs = everyMs;
    this.#servedMs = servedMs;
    this.#after = after;
    this.#take = take;
  }

  /** Whether a publication is held. */
  get isHolding(): boolean {
    return this.#held !== undefined;
  }

  /** While one is held: up to where publications were given or left out before it. */
  get behind(): Position | undefined {
    return this.#behind;
  }

  /** @param behind the consumer's position before this publication. */
  offer(publication: Publication<unknown>, characters: number, behind: Position | undefined): void {
    const held = this.#held;
    if (held === undefined) this.#behind = behind;
    else this.#skipped += 1 + (held.publication.skipped ?? 0);
    this.#held = { publication, characters };
    const isServed = this.#servedMs() >= this.everyMs;
    if (isServed || publication.replayed || this.#endInterval === undefined) this.flush();
    if (!isServed && !publication.replayed) this.#begin();
  }

  /** Gives what is held, because something follows that must not come before it. */
  flush(): void {
    const held = this.#held;
    if (held === undefined) return;
    const skipped = this.#skipped + (held.publication.skipped ?? 0);
    this.#held = undefined;
    this.#skipped = 0;
    const { publication, characters } = held;
    this.#take(skipped === 0 ? publication : { ...publication, skipped }, characters);
  }

  /** Drops what is held. */
  stop(): void {
    this.#endInterval?.();
    this.#endInterval = undefined;
    this.#held = undefined;
  }

  #begin(): void {
    this.#endInterval ??= this.#after(this.everyMs, () => {
      this.#endInterval = undefined;
      if (this.#held === undefined) return;
      this.flush();
      this.#begin();
    });
  }
}
