import type { HeldChannel } from '../channels/channel.ts';
import type { Cancel, Surroundings } from '../surroundings.ts';

/** Channels whose waits end within this time are asked for together, ms. */
const TOGETHER_MS = 20;

/** Channels that were rejected, and when each is asked for again. It has one timer for all. */
export class Retries {
  readonly #surroundings: Surroundings;
  readonly #due: (channels: readonly HeldChannel[]) => void;
  readonly #waiting = new Map<HeldChannel, number>();
  #cancel: Cancel | undefined;

  constructor(surroundings: Surroundings, due: (channels: readonly HeldChannel[]) => void) {
    this.#surroundings = surroundings;
    this.#due = due;
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
    this.#cancel?.();
  }

  #arm(): void {
    this.#cancel?.();
    if (this.#waiting.size === 0) return;
    let first = Number.POSITIVE_INFINITY;
    for (const at of this.#waiting.values()) first = Math.min(first, at);
    const ms = Math.max(0, first - this.#surroundings.monotonic());
    this.#cancel = this.#surroundings.after(ms, () => {
      const until = this.#surroundings.monotonic() + TOGETHER_MS;
      const due = [...this.#waiting].filter(([, at]) => at <= until).map(([channel]) => channel);
      for (const channel of due) this.#waiting.delete(channel);
      this.#arm();
      this.#due(due);
    });
  }
}
