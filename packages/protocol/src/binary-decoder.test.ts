import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { zlibInflate } from '../../../test/support/clients/zlib-inflate.ts';
import { BinaryDecoder } from './binary-decoder.ts';
import { type BinaryFaultCode, BinaryFrameError } from './binary-fault.ts';
import { type BinaryBody, encodeBinaryBody } from './binary-publication.ts';
import { MAX_REFERENCE_BYTES } from './limits.ts';
import { varintBytes, writeVarint } from './varint.ts';

const MAX_BYTES = 1_000;
const BASE = 1_700_000_000_000;

function frameOf(seq: number, body: Partial<BinaryBody>): Uint8Array {
  const shared = encodeBinaryBody({
    ...{ ref: 1, offset: 0, time: 0, payload: Buffer.from('{}') },
    ...body,
  });
  const frame = new Uint8Array(varintBytes(seq) + shared.length);
  frame.set(shared, writeVarint(frame, 0, seq));
  return frame;
}

function against(dictionary: string, text: string): Uint8Array {
  return deflateRawSync(text, { dictionary: Buffer.from(dictionary) });
}

function decoderOf(...references: [id: number, data: string][]): BinaryDecoder {
  const decoder = new BinaryDecoder(zlibInflate, MAX_BYTES);
  decoder.subscribed({ channel: 'a', ref: 1, ts: BASE });
  for (const [id, data] of references) decoder.reference({ ref: 1, id, data });
  return decoder;
}

/** The code with which something is refused. */
function codeOf(call: () => unknown): BinaryFaultCode | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(BinaryFrameError);
    return (error as BinaryFrameError).code;
  }
}

function textOf(decoder: BinaryDecoder, frame: Uint8Array): string {
  return Buffer.from(decoder.decode(frame).data).toString();
}

describe('a decoder of binary frames', () => {
  it('makes of a frame what a text frame says', () => {
    const decoder = decoderOf();
    const plain = decoder.decode(frameOf(3, { time: -7 }));
    expect(plain).toEqual({ seq: 3, channel: 'a', ts: BASE - 7, data: new Uint8Array([123, 125]) });
    const sequenced = decoder.decode(frameOf(4, { offset: 9, skipped: 2 }));
    expect(sequenced).toMatchObject({ seq: 4, channel: 'a', offset: 9, ts: BASE, skipped: 2 });
  });

  it('inflates against the reference that the frame names, the latest or the one before it', () => {
    const references = [1, 2, 3].map((id): [number, string] => [id, `{"price":"${id}00.00"}`]);
    const decoder = decoderOf(...references);
    const frames = references.map(([id, data]) =>
      frameOf(1, { reference: id, payload: against(data, `${data}!`) }),
    );
    expect(codeOf(() => decoder.decode(frames[0] as Uint8Array))).toBe('unknown_reference');
    expect(textOf(decoder, frames[1] as Uint8Array)).toBe('{"price":"200.00"}!');
    expect(textOf(decoder, frames[2] as Uint8Array)).toBe('{"price":"300.00"}!');
    const alone = frameOf(1, { reference: 0, payload: deflateRawSync('"alone"') });
    expect(textOf(decoder, alone)).toBe('"alone"');
  });

  it('keeps its references when a channel is confirmed again, and forgets them with the channel', () => {
    const decoder = decoderOf([1, '"once"']);
    const frame = frameOf(1, { reference: 1, payload: against('"once"', '"once more"') });
    decoder.subscribed({ channel: 'a', ref: 1, ts: BASE });
    expect(textOf(decoder, frame)).toBe('"once more"');
    decoder.unsubscribed('a');
    decoder.unsubscribed('never subscribed');
    expect(codeOf(() => decoder.decode(frame))).toBe('unknown_channel');
    decoder.subscribed({ channel: 'a', ref: 1, ts: BASE });
    expect(codeOf(() => decoder.decode(frame))).toBe('unknown_reference');
  });

  it('follows a channel to another number', () => {
    const decoder = decoderOf([1, '"once"']);
    decoder.subscribed({ channel: 'a', ref: 2, ts: BASE });
    expect(decoder.channels).toBe(1);
    expect(codeOf(() => decoder.decode(frameOf(1, {})))).toBe('unknown_channel');
    expect(textOf(decoder, frameOf(1, { ref: 2 }))).toBe('{}');
  });

  it('holds two references of a channel at most, and none that is too large', () => {
    const decoder = decoderOf();
    const largest = `"${'x'.repeat(MAX_REFERENCE_BYTES - 2)}"`;
    decoder.reference({ ref: 1, id: 1, data: largest });
    for (const data of ['', `${largest}x`, `"${'ö'.repeat(MAX_REFERENCE_BYTES / 2)}"`]) {
      expect(codeOf(() => decoder.reference({ ref: 1, id: 2, data }))).toBe('bad_reference');
    }
    for (const id of [0, -1, 1.5, 2 ** 53, '1' as unknown as number]) {
      expect(codeOf(() => decoder.reference({ ref: 1, id, data: '""' }))).toBe('bad_reference');
    }
    const none = { ref: 1, id: 2, data: undefined as unknown as string };
    expect(codeOf(() => decoder.reference(none))).toBe('bad_reference');
    expect(codeOf(() => decoder.reference({ ref: 9, id: 2, data: '""' }))).toBe('unknown_channel');
  });

  it('refuses an answer to `subscribe` that says too little, or one number of two channels', () => {
    const decoder = decoderOf();
    const code = (channel: string, ref: number, ts?: number) =>
      codeOf(() => decoder.subscribed({ channel, ref, ...(ts === undefined ? {} : { ts }) }));
    expect(code('b', 2)).toBe('bad_subscribed');
    expect(code('b', 0, BASE)).toBe('bad_subscribed');
    expect(code('b', 2, -1)).toBe('bad_subscribed');
    expect(code('b', 1, BASE)).toBe('bad_subscribed');
    expect(decoder.channels).toBe(1);
  });

  it('inflates no more than the node announced', () => {
    const decoder = decoderOf();
    const payload = (bytes: number) => deflateRawSync(Buffer.alloc(bytes, 0x30));
    const deflated = (bytes: number) => frameOf(1, { reference: 0, payload: payload(bytes) });
    expect(decoder.decode(deflated(MAX_BYTES)).data).toHaveLength(MAX_BYTES);
    expect(codeOf(() => decoder.decode(deflated(MAX_BYTES + 1)))).toBe('bad_deflate');
    expect(codeOf(() => decoder.decode(deflated(50_000_000)))).toBe('bad_deflate');
    const raw = frameOf(1, { payload: Buffer.alloc(MAX_BYTES + 1, 0x30) });
    expect(codeOf(() => decoder.decode(raw))).toBe('too_large');
    const greedy = new BinaryDecoder(() => new Uint8Array(MAX_BYTES + 1), MAX_BYTES);
    greedy.subscribed({ channel: 'a', ref: 1, ts: BASE });
    expect(codeOf(() => greedy.decode(deflated(1)))).toBe('too_large');
  });

  it('refuses a stream that is cut, goes on, or holds nothing', () => {
    const decoder = decoderOf();
    const whole = deflateRawSync('"a text that is long enough"');
    const code = (payload: Uint8Array) =>
      codeOf(() => decoder.decode(frameOf(1, { reference: 0, payload })));
    expect(code(whole)).toBeUndefined();
    expect(code(whole.subarray(0, -1))).toBe('bad_deflate');
    expect(code(Buffer.concat([whole, Buffer.of(0)]))).toBe('bad_deflate');
    expect(code(deflateRawSync(''))).toBe('empty');
  });

  it('refuses a time that no clock shows', () => {
    const decoder = decoderOf();
    const code = (time: number) => codeOf(() => decoder.decode(frameOf(1, { time })));
    expect(code(-BASE)).toBeUndefined();
    expect(code(-BASE - 1)).toBe('bad_time');
    expect(code(Number.MAX_SAFE_INTEGER - BASE)).toBeUndefined();
    expect(code(Number.MAX_SAFE_INTEGER - BASE + 1)).toBe('bad_time');
  });
});
