/** A frame as a client sees it. */
export interface DecodedFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export const TEXT = 1;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/**
 * Cuts a server's byte stream into WebSocket frames. It was written from RFC 6455 alone, so it shares no mistake with the
 * encoder. It throws when a server sends what it may not: masked or fragmented frames, reserved bits, or lengths that are not in
 * their shortest form.
 */
export class FrameDecoder {
  #rest = Buffer.alloc(0);

  /** How many bytes of an incomplete frame have come. */
  get incomplete(): number {
    return this.#rest.length;
  }

  push(bytes: Uint8Array): DecodedFrame[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: DecodedFrame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): DecodedFrame | undefined {
    const rest = this.#rest;
    if (rest.length < 2) return undefined;
    const first = rest.readUInt8(0);
    const second = rest.readUInt8(1);
    if ((first & 0xf0) !== 0x80) throw new Error('not one whole frame without reserved bits');
    if ((second & 0x80) !== 0) throw new Error('a server may not mask');
    const short = second & 0x7f;
    const header = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (rest.length < header) return undefined;
    const length = lengthOf(rest, short);
    if (rest.length < header + length) return undefined;
    const payload = Buffer.from(rest.subarray(header, header + length));
    this.#rest = rest.subarray(header + length);
    return { opcode: first & 0x0f, payload };
  }
}

function lengthOf(bytes: Buffer, short: number): number {
  if (short < 126) return short;
  const length = short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const least = short === 126 ? 126 : 65_536;
  if (length < least) throw new Error(`length ${length} is not in its shortest form`);
  return length;
}
