import { CONTROL, type Publication, type WireChannel } from '@tradewind/fanout';
import { encodePublicationBody, parseBinaryFrame } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { BINARY_FRAMES } from './binary-frames.ts';
import { FrameDecoder } from './testing/frame-decoder.ts';
import { createFrameMemory } from './wire-format.ts';

const TS = 1_700_000_000_000;
const BINARY = 2;
const JSON_TEXT = Buffer.from('{"price":"1.10"}');

function publicationOf(more: Partial<Publication> = {}): Publication {
  const wire: WireChannel = { ref: 7, ts: TS, reference: undefined };
  const body = encodePublicationBody('a', 5, TS + 3, JSON_TEXT);
  return { channel: 'a', offset: 5, publishedAt: TS + 3, body, wire, ...more };
}

function referenceOf(id: number) {
  return { id, data: '""', frame: new Uint8Array(0) };
}

/** One frame with this number, as a client sees it, and the memory in which it was encoded. */
function encode(sequence: number, content: Uint8Array, start = 3) {
  const memory = createFrameMemory(start + content.length + BINARY_FRAMES.overheadBytes);
  const end = BINARY_FRAMES.encodeFrame(memory, start, sequence, content);
  const decoded = () => {
    const frames = new FrameDecoder().push(memory.bytes.subarray(start, end));
    expect(frames).toHaveLength(1);
    return frames[0] as (typeof frames)[number];
  };
  return { memory, contentStart: end - content.length, decoded };
}

describe('binary frames', () => {
  it('have a number and a body, whatever their lengths', () => {
    for (const bytes of [1, 122, 123, 124, 125, 126, 65_530, 65_536, 70_000]) {
      for (const sequence of [1, 127, 128, 16_384, 2 ** 35, Number.MAX_SAFE_INTEGER]) {
        const content = Buffer.concat([Buffer.of(1, 0, 0), Buffer.alloc(bytes, 0x31)]);
        const { opcode, payload } = encode(sequence, content).decoded();
        expect(opcode).toBe(BINARY);
        expect(parseBinaryFrame(payload).seq).toBe(sequence);
        expect(payload.subarray(-content.length).equals(content)).toBe(true);
      }
    }
  });

  it('are text for control messages, without a number', () => {
    const text = BINARY_FRAMES.encodeControl({ type: 'restored' });
    const { opcode, payload } = encode(CONTROL, text).decoded();
    expect([opcode, payload.toString()]).toEqual([1, '{"type":"restored"}']);
  });

  it('can be given any other number of the same width', () => {
    const content = BINARY_FRAMES.bodyOf(publicationOf());
    for (const sequence of [1, 100, 127, 128, 5_000, 16_383, 16_384, 2 ** 42, 2 ** 49]) {
      const { from, end } = BINARY_FRAMES.sequencesOfWidth(sequence);
      expect(sequence >= from && sequence < end).toBe(true);
      for (const other of [from, from + 5, Math.min(end - 1, 2 ** 53 - 1)]) {
        const { memory, contentStart, decoded } = encode(sequence, content);
        BINARY_FRAMES.renumber(memory, contentStart, other);
        expect(parseBinaryFrame(decoded().payload)).toMatchObject({ seq: other, ref: 7 });
      }
    }
  });
});

describe('the body of a binary publication', () => {
  it('has the channel’s number, the position, and the payload as it came', () => {
    const frame = Buffer.concat([Buffer.of(1), BINARY_FRAMES.bodyOf(publicationOf())]);
    expect(parseBinaryFrame(frame)).toEqual({
      ...{ seq: 1, ref: 7, offset: 5, time: 3, skipped: 0, label: undefined },
      payload: JSON_TEXT,
    });
    const body = encodePublicationBody('a', undefined, TS - 9, JSON_TEXT);
    const plain = publicationOf({ offset: 0, publishedAt: TS - 9, body });
    const parsed = parseBinaryFrame(Buffer.concat([Buffer.of(1), BINARY_FRAMES.bodyOf(plain)]));
    expect(parsed).toMatchObject({ offset: 0, time: -9, payload: JSON_TEXT });
  });

  it('is deflated only against the reference that clients were told last, or against none', () => {
    const wire: WireChannel = { ref: 7, ts: TS, reference: referenceOf(3) };
    const bytes = Buffer.from('deflated');
    const labelOf = (reference: number) => {
      const body = BINARY_FRAMES.bodyOf(publicationOf({ wire, deflated: { bytes, reference } }));
      const { label, payload } = parseBinaryFrame(Buffer.concat([Buffer.of(1), body]));
      expect(payload).toEqual(label === undefined ? JSON_TEXT : bytes);
      return label;
    };
    expect(labelOf(3)).toBe(3);
    expect(labelOf(0)).toBe(0);
    expect(labelOf(2), 'it was renewed since').toBeUndefined();
    expect(labelOf(4), 'nobody was told it').toBeUndefined();
    wire.reference = undefined;
    expect(labelOf(3)).toBeUndefined();
  });

  it('is shorter than the text, whatever it holds', () => {
    for (const offset of [0, 1, 2 ** 53 - 1]) {
      const body = encodePublicationBody('a', offset || undefined, TS, JSON_TEXT);
      const binary = BINARY_FRAMES.bodyOf(publicationOf({ offset, publishedAt: TS, body }));
      expect(binary.length).toBeLessThan(body.length);
    }
  });
});
