/** Encodes one frame as a server sends it: unmasked. For tests. */
export function serverFrame(first: number, payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload);
  const header = Buffer.alloc(bytes.length < 126 ? 2 : bytes.length < 65_536 ? 4 : 10);
  header[0] = first;
  header[1] = Math.min(bytes.length, header.length === 10 ? 127 : 126);
  if (bytes.length < 126) header[1] = bytes.length;
  if (header.length === 4) header.writeUInt16BE(bytes.length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(bytes.length), 2);
  return Buffer.concat([header, bytes]);
}

export const TEXT = 0x81;
export const CLOSE = 0x88;
export const PING = 0x89;
export const PONG = 0x8a;
