import { CONTROL, type Publication } from '@tradewind/fanout';
import {
  BINARY_SUBPROTOCOL,
  encodeBinaryBody,
  encodeServerMessage,
  MAX_VARINT_BYTES,
  payloadIn,
  varintBytes,
  writeVarint,
} from '@tradewind/protocol';
import { BINARY_FRAME, encodeHeader, LONGEST_HEADER_BYTES, TEXT_FRAME } from './frame-header.ts';
import type { FrameMemory, SequenceRange, WireFormat } from './wire-format.ts';

/** The sequence numbers that take each number of bytes, from 0 bytes on. */
const RANGES: readonly SequenceRange[] = Array.from(
  { length: MAX_VARINT_BYTES + 1 },
  (_, bytes) => ({ from: bytes === 1 ? 1 : 128 ** (bytes - 1), end: 128 ** bytes }),
);

/**
 * Binary publications and JSON control messages, `tradewind.v2`: a publication is its `seq` and a body, which is the same for all
 * clients of this format that know the same reference.
 */
export const BINARY_FRAMES: WireFormat = Object.freeze({
  subprotocol: BINARY_SUBPROTOCOL,
  isBinary: true,
  overheadBytes: LONGEST_HEADER_BYTES + MAX_VARINT_BYTES,
  encodeControl: encodeServerMessage,
  bodyOf,
  encodeFrame,
  renumber: ({ bytes }, contentStart, sequence) => {
    writeVarint(bytes, contentStart - varintBytes(sequence), sequence);
  },
  sequencesOfWidth: (sequence) => RANGES[varintBytes(sequence)] as SequenceRange,
} satisfies WireFormat);

/** Uses the deflated payload only while the channel's latest reference is the one that it needs: clients decode against the latest. */
function bodyOf(
  { channel, offset, publishedAt, body, wire, deflated }: Publication,
  skipped = 0,
): Uint8Array {
  if (wire === undefined) throw new Error(`a publication of ${channel} lacks the channel's number`);
  const { ref, ts, reference } = wire;
  const position = { ref, offset, time: publishedAt - ts, skipped };
  if (
    deflated !== undefined &&
    (deflated.reference === 0 || deflated.reference === reference?.id)
  ) {
    const content = { payload: deflated.bytes, reference: deflated.reference };
    return encodeBinaryBody({ ...position, ...content }, Buffer.allocUnsafe);
  }
  const payload = payloadIn(body, channel, offset === 0 ? undefined : offset, publishedAt);
  return encodeBinaryBody({ ...position, payload }, Buffer.allocUnsafe);
}

function encodeFrame(
  { bytes, view }: FrameMemory,
  start: number,
  sequence: number,
  content: Uint8Array,
): number {
  let at: number;
  if (sequence === CONTROL) at = encodeHeader(view, start, TEXT_FRAME, content.length);
  else {
    const length = varintBytes(sequence) + content.length;
    at = writeVarint(bytes, encodeHeader(view, start, BINARY_FRAME, length), sequence);
  }
  bytes.set(content, at);
  return at + content.length;
}
