import type { Publication, WireReference } from '@tradewind/fanout';

/**
 * When clients that have the latest of a channel are told its reference. A busy channel may have another one several times in an
 * interval, and telling one takes as many bytes as it saves in some publications. So these clients are sent payloads raw until that
 * has cost each of them what the reference takes: at worst twice the bytes of the better choice.
 */
export class ReferenceWorth {
  #reference: WireReference | undefined;
  #wasted = 0;

  /**
   * Counts a publication that is sent to clients of one interval, and returns whether they must be told its reference first.
   *
   * @param reference what it is deflated against.
   */
  count({ body, deflated }: Publication, reference: WireReference): boolean {
    if (this.#reference !== reference) {
      this.#reference = reference;
      this.#wasted = 0;
    }
    const isWorth = this.#wasted >= reference.frame.length;
    if (!isWorth) this.#wasted += body.length - (deflated?.bytes.length ?? 0);
    return isWorth;
  }
}
