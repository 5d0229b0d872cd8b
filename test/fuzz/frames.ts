/** Opcodes of RFC 6455, section 5.2. */
export const OPCODES = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

export type Opcode = keyof typeof OPCODES;

const FIN = 0x80;
const MASKED = 0x80;

/** The mask. Zeros are a valid mask, too (RFC 6455, 5.3 demands more only of honest clients). */
const MASK_BYTES = 4;

/** Encodes one frame as a client sends it; by default the last of its message. */
export function clientFrame(opcode: Opcode, payload: string | Uint8Array, isLast = true): Buffer {
  const body = Buffer.from(payload);
  const extended = body.length < 126 ? 0 : body.length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + extended + MASK_BYTES + body.length);
  frame[0] = (isLast ? FIN : 0) | OPCODES[opcode];
  frame[1] = MASKED | (extended === 0 ? body.length : extended === 2 ? 126 : 127);
  if (extended === 2) frame.writeUInt16BE(body.length, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(body.length), 2);
  frame.set(body, 2 + extended + MASK_BYTES);
  return frame;
}
