import type { Publication } from '@tradewind/fanout';
import type { ServerMessage } from '@tradewind/protocol';

/**
 * What differs between the formats that clients speak: a frozen record, chosen in the handshake. Everything else in `outbound`
 * and in `clients` is the same for all formats.
 */
export interface WireFormat {
  /** The WebSocket subprotocol by which clients ask for it, and which `welcome` announces. */
  readonly subprotocol: string;
  /**
   * Whether publications name their channel by its number, and may be deflated. If so, `subscribed` tells the number and the base of
   * the times, and `reference` messages follow.
   */
  readonly isBinary: boolean;
  /** The most bytes that a frame has besides its content. */
  readonly overheadBytes: number;
  /** The payload of a control message. The caller owns it and may share it among clients of this format. */
  encodeControl(message: ServerMessage): Uint8Array;
  /**
   * What all clients of this format are sent of a publication that is queued for them now. Call it once for all of them: writes
   * are compared by the identity of bodies, so that clients can share frames.
   *
   * @param skipped how many publications before it they were not sent, because they have only the latest in each interval; 0 by
   *   default.
   */
  bodyOf(publication: Publication, skipped?: number): Uint8Array;
  /**
   * Encodes one WebSocket frame at `start` and returns where it ends. The content must be the last part of the frame.
   *
   * @param memory has room for the content and `overheadBytes` from `start` on.
   * @param sequence the client's number for the publication, or `CONTROL`.
   * @param content the publication's body, or the control message's payload.
   */
  encodeFrame(memory: FrameMemory, start: number, sequence: number, content: Uint8Array): number;
  /**
   * Writes another number into a publication's frame, in front of its content. The number must be of the
   * same {@link sequencesOfWidth} as the one that is there.
   *
   * @param contentStart where the frame's content begins.
   */
  renumber(memory: FrameMemory, contentStart: number, sequence: number): void;
  /** The numbers that take as many bytes in a frame as this one. */
  sequencesOfWidth(sequence: number): SequenceRange;
}

/** The numbers from `from` on that are less than `end`. */
export interface SequenceRange {
  readonly from: number;
  readonly end: number;
}

/**
 * Memory in which frames are assembled. The beginning of a frame is written through the view, several bytes at once, which is
 * faster than byte by byte.
 */
export interface FrameMemory {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** Memory of this size, in bytes, whose contents are undefined. The caller owns it. */
export function createFrameMemory(size: number): FrameMemory {
  const bytes = Buffer.allocUnsafeSlow(size);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

/** Returns a function that makes something once for each format, when it is first called for that format. */
export function oncePerFormat<Made>(
  make: (format: WireFormat) => Made,
): (format: WireFormat) => Made {
  const made = new Map<WireFormat, Made>();
  return (format) => {
    const known = made.get(format);
    if (known !== undefined) return known;
    const one = make(format);
    made.set(format, one);
    return one;
  };
}
