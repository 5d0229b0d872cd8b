import { BinaryDecoder, type Inflate, type ServerMessage } from '@tradewind/protocol';
import type { ReceivedPublication, Reviver, WireDecoder } from '../types.ts';

/** One connection's binary frames, and the text frames that they depend on. */
export class MessageDecoder implements WireDecoder {
  readonly #decoder: BinaryDecoder;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true });

  constructor(inflate: Inflate, maxPublicationBytes: number) {
    this.#decoder = new BinaryDecoder(inflate, maxPublicationBytes);
  }

  told(message: object): void {
    const known = message as ServerMessage;
    if (known.type === 'reference') this.#decoder.reference(known);
    else if (known.type === 'subscribed') {
      for (const channel of known.channels) this.#decoder.subscribed(channel);
    } else if (known.type === 'unsubscribed') {
      for (const channel of known.channels) this.#decoder.unsubscribed(channel);
    }
  }

  publication(
    frame: ArrayBuffer,
    reviver: Reviver | undefined,
  ): readonly [ReceivedPublication, number] {
    const { data, ...envelope } = this.#decoder.decode(new Uint8Array(frame));
    const text = this.#utf8.decode(data);
    return [{ ...envelope, data: JSON.parse(text, reviver as never) }, text.length];
  }
}
