import { BinaryDecoder, type ServerMessage } from '@tradewind/protocol';
import { zlibInflate } from './zlib-inflate.ts';

/** The opcode of a WebSocket frame with text. */
const TEXT = 1;

/**
 * Reads one connection with binary frames, and makes of each frame the text that a client of the first subprotocol gets instead of it, byte for
 * byte. So whatever judges text frames judges binary ones as well. It throws a `BinaryFrameError` where a client would.
 */
export class TextOfFrames {
  readonly #decoder: BinaryDecoder;
  /** How many references came so far. */
  references = 0;
  /** How many binary frames came so far. */
  publications = 0;

  constructor(maxPublicationBytes = 64 * 1024) {
    this.#decoder = new BinaryDecoder(zlibInflate, maxPublicationBytes);
  }

  /** The text; undefined for a frame that has none on the other wire. */
  textOf(opcode: number, payload: Uint8Array): string | undefined {
    if (opcode === TEXT) return this.#control(Buffer.from(payload).toString());
    this.publications += 1;
    const { seq, channel, offset, ts, skipped, data } = this.#decoder.decode(payload);
    const position = offset === undefined ? '' : `"offset":${offset},`;
    const more = skipped === undefined ? '' : `"skipped":${skipped},`;
    const json = Buffer.from(data).toString();
    return `{"seq":${seq},"channel":"${channel}",${position}"ts":${ts},${more}"data":${json}}`;
  }

  #control(text: string): string | undefined {
    const message = JSON.parse(text) as ServerMessage;
    if (message.type === 'reference') {
      this.references += 1;
      this.#decoder.reference(message);
      return undefined;
    }
    if (message.type === 'subscribed') {
      for (const channel of message.channels) this.#decoder.subscribed(channel);
      const channels = message.channels.map(({ ts: _, ...channel }) => channel);
      return JSON.stringify({ ...message, channels });
    }
    if (message.type === 'unsubscribed') {
      for (const channel of message.channels) this.#decoder.unsubscribed(channel);
    }
    return text;
  }
}
