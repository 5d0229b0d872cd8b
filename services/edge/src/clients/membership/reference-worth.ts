import type { Publication, WireReference } from '@tradewind/fanout';

/**
 * When a client that has the latest of a channel is told its reference. A busy channel may have another one several times in an
 * interval, and telling one takes as many bytes as it saves in some publications. So the client is sent payloads raw until one
 * more of them would have cost it more than the reference takes: where payloads are large, about twice the bytes of the better
 * choice at worst. A raw payload counts by its text frame, which is longer than the binary one by some 100 bytes.
 */
export class ReferenceWorth {
  /** The `id` of the reference that bytes are counted for; 0 before the first. */
  #id = 0;
  /** Bytes that the client was sent because it was not told it. */
  #wasted = 0;

  /**
   * Returns whether the client must be told a reference before it is sent a publication. If not, counts it as sent raw.
   *
   * @param reference what it is deflated against.
   */
  count({ body, deflated }: Publication, { id, frame }: WireReference): boolean {
    if (this.#id !== id) {
      this.#id = id;
      this.#wasted = 0;
    }
    const wasted = this.#wasted + body.length - (deflated?.bytes.length ?? 0);
    if (wasted > frame.length) return true;
    this.#wasted = wasted;
    return false;
  }
}
