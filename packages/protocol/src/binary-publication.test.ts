import { describe, expect, it } from 'vitest';
import { type BinaryFaultCode, BinaryFrameError } from './binary-fault.ts';
import { encodeBinaryBody, parseBinaryFrame, referenceLabel } from './binary-publication.ts';

const PAYLOAD = Uint8Array.of(0x7b, 0x7d);

function frameOf(...bytes: number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

/** The code with which a frame is refused. */
function codeOf(frame: Uint8Array): BinaryFaultCode | undefined {
  try {
    parseBinaryFrame(frame);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(BinaryFrameError);
    return (error as BinaryFrameError).code;
  }
}

describe('the body of a binary publication', () => {
  it('has these bytes', () => {
    const body = (more: object) => [
      ...encodeBinaryBody({ ref: 1, offset: 0, time: 0, payload: PAYLOAD, ...more }),
    ];
    expect(body({})).toEqual([1, 0b0000, 0, 0x7b, 0x7d]);
    expect(body({ ref: 300, offset: 128 })).toEqual([0xac, 2, 0b0001, 0x80, 1, 0, 0x7b, 0x7d]);
    expect(body({ time: -1 })).toEqual([1, 0, 1, 0x7b, 0x7d]);
    expect(body({ time: 64 })).toEqual([1, 0, 0x80, 1, 0x7b, 0x7d]);
    expect(body({ time: -65 })).toEqual([1, 0, 0x81, 1, 0x7b, 0x7d]);
    expect(body({ skipped: 5 })).toEqual([1, 0b0100, 0, 5, 0x7b, 0x7d]);
    expect(body({ reference: 0 })).toEqual([1, 0b0010, 0, 0x7b, 0x7d]);
    expect(body({ reference: 3, offset: 7, skipped: 2 })).toEqual([
      1, 0b0011_0111, 7, 0, 2, 0x7b, 0x7d,
    ]);
  });

  it('is written into the memory that it is given', () => {
    const memory = new Uint8Array(16);
    const body = encodeBinaryBody({ ref: 1, offset: 0, time: 0, payload: PAYLOAD }, (bytes) =>
      memory.subarray(2, 2 + bytes),
    );
    expect(body.buffer).toBe(memory.buffer);
    expect([...memory.subarray(0, 8)]).toEqual([0, 0, 1, 0, 0, 0x7b, 0x7d, 0]);
  });

  it('names two references that follow one another by different labels, and never by 0', () => {
    for (let id = 1; id < 100; id += 1) {
      expect(referenceLabel(id)).toBeGreaterThan(0);
      expect(referenceLabel(id)).toBeLessThan(16);
      expect(referenceLabel(id)).not.toBe(referenceLabel(id + 1));
    }
    expect(referenceLabel(0)).toBe(0);
  });
});

describe('a binary frame', () => {
  it('is taken apart without a copy', () => {
    const frame = frameOf(0x81, 1, 1, 0b0011_0111, 7, 3, 2, 0x7b, 0x7d);
    const parsed = parseBinaryFrame(frame);
    expect(parsed).toEqual({
      ...{ seq: 129, ref: 1, offset: 7, time: -2, skipped: 2, label: 3 },
      payload: PAYLOAD,
    });
    expect(parsed.payload.buffer).toBe(frame.buffer);
    expect(parseBinaryFrame(frameOf(1, 1, 0b10, 0, 9)).label).toBe(0);
    expect(parseBinaryFrame(frameOf(1, 1, 0, 0, 9)).label).toBeUndefined();
  });

  it('is refused with a code for each thing that is wrong with it', () => {
    const whole = [1, 1, 0b0101, 1, 0, 1];
    for (let length = 0; length < whole.length; length += 1) {
      expect(codeOf(frameOf(...whole.slice(0, length))), `${length} bytes`).toBe('truncated');
    }
    expect(codeOf(frameOf(...whole))).toBe('empty');
    expect(codeOf(frameOf(...whole, 9))).toBeUndefined();
    expect(codeOf(frameOf(0, 1, 0, 0, 9)), 'seq').toBe('zero');
    expect(codeOf(frameOf(1, 0, 0, 0, 9)), 'ref').toBe('zero');
    expect(codeOf(frameOf(1, 1, 0b0001, 0, 0, 9)), 'offset').toBe('zero');
    expect(codeOf(frameOf(1, 1, 0b0100, 0, 0, 9)), 'skipped').toBe('zero');
    expect(codeOf(frameOf(1, 1, 0b1000, 0, 9))).toBe('bad_flags');
    expect(codeOf(frameOf(1, 1, 0b0001_0000, 0, 9))).toBe('bad_flags');
    expect(codeOf(frameOf(0x80, 0, 1, 0, 0, 9)), 'a zero at the end').toBe('bad_varint');
    expect(codeOf(frameOf(1, 1, 0, 0x80, 0, 9)), 'and in a time').toBe('bad_varint');
    const ones = Array.from({ length: 8 }, () => 0xff);
    expect(codeOf(frameOf(...ones, 1, 1, 0, 0, 9)), 'nine bytes').toBe('bad_varint');
    expect(codeOf(frameOf(1, 1, 0, ...ones, 0xff, 9, 9)), 'ten bytes of time').toBe('bad_varint');
  });

  it('has no number above 2^53−1', () => {
    const largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    const above = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    expect(parseBinaryFrame(frameOf(...largest, 1, 0, 0, 9)).seq).toBe(Number.MAX_SAFE_INTEGER);
    expect(codeOf(frameOf(...above, 1, 0, 0, 9))).toBe('number_too_large');
    expect(codeOf(frameOf(1, 1, 1, ...above, 0, 9))).toBe('number_too_large');
    const late = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f];
    expect(parseBinaryFrame(frameOf(1, 1, 0, ...late, 9)).time).toBe(Number.MAX_SAFE_INTEGER);
    expect(codeOf(frameOf(1, 1, 0, 0xff, ...late.slice(1), 9))).toBe('number_too_large');
    expect(codeOf(frameOf(1, 1, 0, 0x80, ...above.slice(1, 7), 0x20, 9))).toBe('number_too_large');
  });
});
