const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Whether a body begins with UTF-8's byte order mark, which JSON must not have (RFC 8259, 8.1). */
export function startsWithByteOrderMark(body: Uint8Array): boolean {
  return BYTE_ORDER_MARK.every((byte, at) => body[at] === byte);
}
