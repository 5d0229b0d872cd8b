import { randomBytes } from 'node:crypto';

const FIN = 0x80;
const MASKED = 0x80;
const OPCODE = { text: 1, close: 8, pong: 10 } as const;
const MASK_BYTES = 4;

/** Encodes one frame as a client sends it: unfragmented and masked (RFC 6455, section 5.3). */
export function encodeClientFrame(kind: keyof typeof OPCODE, payload: Uint8Array): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.allocUnsafe(2 + extended + MASK_BYTES + length);
  frame[0] = FIN | OPCODE[kind];
  frame[1] = MASKED | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) frame.writeUInt16BE(length, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(MASK_BYTES);
  const start = 2 + extended + MASK_BYTES;
  frame.set(mask, start - MASK_BYTES);
  for (let i = 0; i < length; i += 1) {
    frame[start + i] = (payload[i] as number) ^ (mask[i & 3] as number);
  }
  return frame;
}

export function encodeClientText(text: string): Buffer {
  return encodeClientFrame('text', Buffer.from(text));
}

/** Encodes a close frame with a code and no reason. */
export function encodeClientClose(code: number): Buffer {
  return encodeClientFrame('close', Buffer.of(code >> 8, code & 0xff));
}
