import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { zlibInflate } from '../../../test/support/clients/zlib-inflate.ts';
import { cases, shortOrLong } from '../../../test/support/suite/length.ts';
import { BinaryDecoder } from './binary-decoder.ts';
import { BinaryFrameError } from './binary-fault.ts';
import { type BinaryBody, encodeBinaryBody, parseBinaryFrame } from './binary-publication.ts';
import { varintBytes, writeVarint } from './varint.ts';

const MAX_BYTES = 4_096;
const BASE = 1_700_000_000_000;

/** The frames of one property that are damaged at random: a million in `npm run test:long`. */
const DAMAGED_FRAMES = shortOrLong(20_000, 1_000_000);

/** Of all sizes, since each has its own count of bytes. */
const positive = fc
  .tuple(fc.integer({ min: 0, max: 53 }), fc.maxSafeNat())
  .map(([bits, any]) => 1 + ((any % 2 ** bits) % Number.MAX_SAFE_INTEGER));
const time = fc
  .tuple(positive, fc.boolean())
  .map(([size, isEarlier]) => (isEarlier ? -size : size - 1));
const text = fc.json({ maxDepth: 3 }).filter((json) => Buffer.byteLength(json) <= MAX_BYTES);

const body = fc.record({
  ref: positive,
  offset: fc.oneof(fc.constant(0), positive),
  time,
  skipped: fc.oneof(fc.constant(0), positive),
  payload: text.map((json) => Buffer.from(json)),
  reference: fc.oneof(fc.constant(undefined), fc.nat({ max: 40 })),
});

function frameOf(seq: number, shared: BinaryBody): Uint8Array {
  const encoded = encodeBinaryBody(shared);
  const frame = new Uint8Array(varintBytes(seq) + encoded.length);
  frame.set(encoded, writeVarint(frame, 0, seq));
  return frame;
}

it('a frame that is taken apart has all that it was made of', () => {
  fc.assert(
    fc.property(positive, body, (seq, shared) => {
      const { label, ...parsed } = parseBinaryFrame(frameOf(seq, shared));
      const { reference, ...made } = shared;
      expect(parsed).toEqual({ seq, ...made, payload: Uint8Array.from(shared.payload) });
      expect(label === undefined).toBe(reference === undefined);
    }),
    cases(1_000),
  );
});

it('a payload comes out byte for byte, raw or deflated, against either of two references', () => {
  fc.assert(
    fc.property(
      fc.array(text, { minLength: 1, maxLength: 20 }),
      fc.infiniteStream(fc.nat()),
      (texts, choices) => {
        const decoder = new BinaryDecoder(zlibInflate, MAX_BYTES);
        decoder.subscribed({ channel: 'a', ref: 7, ts: BASE });
        const references: string[] = [];
        for (const [i, json] of texts.entries()) {
          if (choices.next().value % 3 === 0) {
            references.push(json);
            decoder.reference({ ref: 7, id: references.length, data: json });
          }
          const id = Math.max(0, references.length - (choices.next().value % 2));
          const dictionary = Buffer.from(references[id - 1] ?? '');
          const options = dictionary.length === 0 ? {} : { dictionary };
          const isRaw = choices.next().value % 3 === 0;
          const payload = isRaw ? Buffer.from(json) : deflateRawSync(json, options);
          const reference = isRaw ? undefined : dictionary.length === 0 ? 0 : id;
          const frame = frameOf(i + 1, { ref: 7, offset: i + 1, time: -i, payload, reference });
          const decoded = decoder.decode(frame);
          expect(decoded).toMatchObject({ seq: i + 1, channel: 'a', offset: i + 1, ts: BASE - i });
          expect(Buffer.from(decoded.data).toString()).toBe(json);
        }
      },
    ),
    cases(200),
  );
});

/** A generator of its own, since fast-check takes longer for a frame than the decoder. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

it(`${DAMAGED_FRAMES} damaged frames are decoded or refused with a code, and leave nothing behind`, () => {
  const seed = Date.now();
  const random = randomFrom(seed);
  const reference = '{"symbol":"ETH","id":"1206419187","price":"1666.8","size":"26.062"}';
  const decoder = new BinaryDecoder(zlibInflate, MAX_BYTES);
  decoder.subscribed({ channel: 'a', ref: 1, ts: BASE });
  decoder.reference({ ref: 1, id: 1, data: reference });
  const payload = Buffer.from(reference.replace('1666.8', '1666.79'));
  const deflated = deflateRawSync(payload, { dictionary: Buffer.from(reference) });
  const whole = [
    frameOf(1, { ref: 1, offset: 0, time: 5, payload }),
    frameOf(300, { ref: 1, offset: 70_000, time: -5, skipped: 9, payload: deflated, reference: 1 }),
    frameOf(2 ** 40, {
      ref: 1,
      offset: 2 ** 50,
      time: 0,
      payload: deflateRawSync(payload),
      reference: 0,
    }),
  ];
  const codes = new Map<string, number>();
  for (let i = 0; i < DAMAGED_FRAMES; i += 1) {
    const frame = damaged(whole[i % whole.length] as Uint8Array, random);
    let code = 'decoded';
    try {
      if (decoder.decode(frame).data.length > MAX_BYTES) code = 'too long';
    } catch (error) {
      if (!(error instanceof BinaryFrameError)) throw new Error(`seed ${seed}`, { cause: error });
      code = error.code;
    }
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  expect(decoder.channels).toBe(1);
  expect(codes.get('too long')).toBeUndefined();
  expect([...codes.keys()]).toEqual(
    expect.arrayContaining([
      'decoded',
      'truncated',
      'bad_deflate',
      'bad_flags',
      'unknown_channel',
      'unknown_reference',
      'bad_varint',
    ]),
  );
});

function damaged(frame: Uint8Array, random: (below: number) => number): Uint8Array {
  const bytes = [...frame];
  for (let times = 1 + random(3); times > 0; times -= 1) {
    const at = random(bytes.length);
    const kind = random(4);
    if (kind === 0) bytes[at] = random(256);
    else if (kind === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
    else if (kind === 2) bytes.splice(at, 1 + random(4));
    else bytes.splice(at, 0, random(256), random(256));
  }
  if (random(8) === 0) bytes.length = random(bytes.length + 1);
  return Uint8Array.from(bytes);
}
