/** The longest header of a frame that a server sends, in bytes. */
export const LONGEST_HEADER_BYTES = 10;

/** The first byte of a text frame in one piece: FIN is set (RFC 6455, section 5.2). */
export const TEXT_FRAME = 0x81;

/** The first byte of a binary frame in one piece. */
export const BINARY_FRAME = 0x82;

/**
 * Writes the header of a frame that a server sends, unmasked and in one piece.
 *
 * @param first the frame's first byte.
 * @param length of its payload, in bytes.
 * @returns where the payload begins.
 */
export function encodeHeader(view: DataView, start: number, first: number, length: number): number {
  if (length < 126) {
    view.setUint16(start, (first << 8) | length);
    return start + 2;
  }
  if (length < 65_536) {
    view.setUint32(start, (first << 24) | (126 << 16) | length);
    return start + 4;
  }
  view.setUint16(start, (first << 8) | 127);
  // The upper half of the length: no memory here has 4 GiB.
  view.setUint32(start + 2, 0);
  view.setUint32(start + 6, length);
  return start + LONGEST_HEADER_BYTES;
}
