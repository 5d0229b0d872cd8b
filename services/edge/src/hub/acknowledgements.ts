import type { Acknowledgement, FeedListener } from '../feed.ts';

/**
 * Acknowledgements that come in a row are told together, one call for each worker, before anything else
 * is told and at the latest when the present turn of JavaScript is over.
 */
export class Acknowledgements {
  readonly #isWanted: (channel: string, listener: FeedListener) => boolean;
  #untold: (readonly [FeedListener, Acknowledgement])[] = [];

  /** @param isWanted whether the worker still waits for it. */
  constructor(isWanted: (channel: string, listener: FeedListener) => boolean) {
    this.#isWanted = isWanted;
  }

  add(listeners: Iterable<FeedListener>, acknowledgement: Acknowledgement): void {
    if (this.#untold.length === 0) queueMicrotask(() => this.tell());
    for (const listener of listeners) this.#untold.push([listener, acknowledgement]);
  }

  tell(): void {
    if (this.#untold.length === 0) return;
    const lists = new Map<FeedListener, Acknowledgement[]>();
    for (const [listener, acknowledgement] of this.#untold) {
      if (!this.#isWanted(acknowledgement.channel, listener)) continue;
      const list = lists.get(listener) ?? [];
      lists.set(listener, list);
      list.push(acknowledgement);
    }
    this.#untold = [];
    for (const [listener, list] of lists) listener.onAcknowledged(list);
  }
}
