import type { Publication, WireReference } from '@tradewind/fanout';

/**
 * Decides when a client that has the latest of a channel is told the channel's reference. A busy channel may change its reference
 * several times in an interval, and a reference takes as many bytes as it saves in several publications. So the client is sent
 * raw payloads until those have wasted as many bytes as the reference takes. If payloads are large, the client gets at most about
 * twice the bytes of the better choice. A raw payload counts by its text frame, which is some 100 bytes longer than the binary
 * one.
 */
export class ReferenceWorth {
  /** The `id` of the reference that bytes are counted for; 0 before the first. */
  #id = 0;
  /** The bytes that raw payloads took beyond deflated ones, since that reference came. */
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
