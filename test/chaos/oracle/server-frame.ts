import type { ServerMessage } from '@tradewind/protocol';

/** A received publication, with the exact text of its payload. */
export interface PublicationFrame {
  readonly type: undefined;
  readonly seq: number;
  readonly channel: string;
  readonly offset?: number;
  /** When Redis published it, in ms since the Unix epoch; undefined if a test made the frame. */
  readonly ts?: number;
  readonly data: string;
}

export type ServerFrame = PublicationFrame | ServerMessage;

const DATA_KEY = '"data":';

/** Reads one text frame of an edge. Throws if it is not JSON. */
export function readServerFrame(text: string): ServerFrame {
  const frame = JSON.parse(text);
  if (frame.type !== undefined) return frame as ServerMessage;
  const { seq, channel, offset, ts } = frame;
  // `data` is the envelope's last field; the key cannot occur earlier, because names hold no quotes.
  const data = text.slice(text.indexOf(DATA_KEY) + DATA_KEY.length, -1);
  return { type: undefined, seq, channel, offset, ts, data };
}

/** The number in a payload of our publisher; undefined in any other. */
export function payloadNumber(payload: string): number | undefined {
  const found = /^\{"n":(\d+)[,}]/.exec(payload);
  return found === null ? undefined : Number(found[1]);
}
