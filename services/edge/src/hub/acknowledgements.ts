import type { Acknowledgement, FeedListener } from '../feed.ts';

/**
 * Collects acknowledgements and sends them with one call for each worker: before the worker hears anything else, and at
 * the latest when the present turn of JavaScript ends.
 */
export class Acknowledgements {
  readonly #isListening: (channel: string, listener: FeedListener) => boolean;
  #unsent: (readonly [FeedListener, Acknowledgement])[] = [];

  /** @param isListening whether the worker still wants the channel. */
  constructor(isListening: (channel: string, listener: FeedListener) => boolean) {
    this.#isListening = isListening;
  }

  add(listeners: Iterable<FeedListener>, acknowledgement: Acknowledgement): void {
    if (this.#unsent.length === 0) queueMicrotask(() => this.send());
    for (const listener of listeners) this.#unsent.push([listener, acknowledgement]);
  }

  /** Sends what was collected. Must be called before a worker is told anything else of a channel. */
  send(): void {
    if (this.#unsent.length === 0) return;
    const lists = new Map<FeedListener, Acknowledgement[]>();
    for (const [listener, acknowledgement] of this.#unsent) {
      if (!this.#isListening(acknowledgement.channel, listener)) continue;
      const list = lists.get(listener) ?? [];
      lists.set(listener, list);
      list.push(acknowledgement);
    }
    this.#unsent = [];
    for (const [listener, list] of lists) listener.onAcknowledged(list);
  }
}
