import type { HeldChannel } from '../channels/channel.ts';
import type { Surroundings } from '../surroundings.ts';
import { Timers } from '../timers.ts';

/** Channels whose waits end within this time are asked for together, ms. */
const TOGETHER_MS = 20;

/** Channels that were rejected, and when each is asked for again. It has one timer for all. */
export class Retries {
  readonly #surroundings: Surroundings;
  readonly #due: (channel: HeldChannel) => void;
  readonly #waiting = new Map<HeldChannel, number>();
  readonly #timers: Timers<'retry'>;

  constructor(surroundings: Surroundings, due: (channel: HeldChannel) => void) {
    this.#surroundings = surroundings;
    this.#due = due;
    this.#timers = new Timers(surroundings);
  }

  add(channel: HeldChannel, ms: number): void {
    this.#waiting.set(channel, this.#surroundings.monotonic() + ms);
    this.#arm();
  }

  /** All of them are due within this time. */
  hurry(ms: number): void {
    const latest = this.#surroundings.monotonic() + ms;
    for (const [channel, at] of this.#waiting) this.#waiting.set(channel, Math.min(at, latest));
    this.#arm();
  }

  delete(channel: HeldChannel): void {
    this.#waiting.delete(channel);
  }

  clear(): void {
    this.#waiting.clear();
    this.#arm();
  }

  #arm(): void {
    this.#timers.clearAll();
    if (this.#waiting.size === 0) return;
    let first = Number.POSITIVE_INFINITY;
    for (const at of this.#waiting.values()) first = Math.min(first, at);
    this.#timers.set('retry', Math.max(0, first - this.#surroundings.monotonic()), () => {
      const until = this.#surroundings.monotonic() + TOGETHER_MS;
      for (const [channel, at] of this.#waiting) {
        if (at > until) continue;
        this.#waiting.delete(channel);
        this.#due(channel);
      }
      this.#arm();
    });
  }
}
