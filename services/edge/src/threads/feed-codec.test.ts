import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FeedPacker, FeedUnpacker, type NumberedFeedListener } from './feed-codec.ts';

/** Unpacks buffers into the calls that they hold, with bodies as text. */
function callsIn(buffers: readonly Uint8Array<ArrayBuffer>[]): unknown[] {
  const calls: unknown[] = [];
  const listener: NumberedFeedListener = {
    onPublication: ({ channel, publishedAt, body, deflated }) =>
      calls.push([
        'onPublication',
        channel,
        publishedAt,
        Buffer.from(body).toString(),
        ...(deflated === undefined
          ? []
          : [deflated.reference, Buffer.from(deflated.bytes).toString()]),
      ]),
    onReference: (...args) => calls.push(['onReference', ...args]),
    onAcknowledged: (...args) => calls.push(['onAcknowledged', ...args]),
    onRefused: (...args) => calls.push(['onRefused', ...args]),
    onGap: (...args) => calls.push(['onGap', ...args]),
    onResync: (...args) => calls.push(['onResync', ...args]),
    onHistory: ({ publications, ...answer }) =>
      calls.push(['onHistory', answer, publications.map(({ offset }) => offset)]),
    onEndConfirmed: (answer) => calls.push(['onEndConfirmed', answer]),
    onDegraded: (...args) => calls.push(['onDegraded', ...args]),
    onRestored: () => calls.push(['onRestored']),
  };
  const unpacker = new FeedUnpacker(listener, () => undefined);
  for (const buffer of buffers) unpacker.unpack(structuredClone(buffer));
  return calls;
}

const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}$/);
const numbered = fc.record({ channel: name, declaration: fc.nat(), ref: fc.nat(), ts: fc.nat() });

const anyCall = fc.oneof(
  fc.tuple(
    fc.constant('onPublication' as const),
    name,
    fc.integer({ min: 0, max: 2 ** 53 - 1 }),
    fc.string({ unit: 'grapheme', maxLength: 400 }),
  ),
  fc.tuple(
    fc.constant('onPublication' as const),
    name,
    fc.integer({ min: 0, max: 2 ** 53 - 1 }),
    fc.string({ unit: 'grapheme', maxLength: 400 }),
    fc.nat(),
    fc.string({ unit: 'grapheme', maxLength: 100 }),
  ),
  fc.tuple(
    fc.constant('onReference' as const),
    fc.record({ channel: name, id: fc.nat(), data: fc.string({ unit: 'grapheme' }) }),
  ),
  fc.tuple(fc.constant('onAcknowledged' as const), fc.array(numbered, { maxLength: 5 })),
  fc.tuple(fc.constant('onDegraded' as const), fc.nat()),
  fc.tuple(fc.constant('onDegraded' as const), fc.nat(), fc.array(name)),
  fc.tuple(fc.constant('onRestored' as const)),
);

describe('the feed between threads', () => {
  it('makes the same calls in the same order on the other side', () => {
    fc.assert(
      fc.property(fc.array(anyCall, { maxLength: 60 }), (calls) => {
        const packer = new FeedPacker();
        for (const call of calls) {
          if (call[0] === 'onPublication') {
            const [, channel, publishedAt, text, reference, small = ''] = call;
            const deflated =
              reference === undefined ? undefined : { reference, bytes: Buffer.from(small) };
            packer.packPublication({
              channel,
              offset: 0,
              publishedAt,
              body: Buffer.from(text),
              deflated,
            });
          } else {
            packer.packCall(...call);
          }
        }
        expect(callsIn(packer.take())).toEqual(calls);
        expect(packer.take()).toEqual([]);
      }),
    );
  });

  it('begins a new buffer rather than a large one, and gives a large record one of its own', () => {
    const packer = new FeedPacker();
    const sizes = [30_000, 30_000, 30_000, 200_000, 10];
    for (const size of sizes) {
      packer.packPublication({
        channel: 'c',
        offset: 0,
        publishedAt: 1,
        body: Buffer.alloc(size, 0x61),
      });
    }
    const bytes = packer.bytes;
    const buffers = packer.take();
    expect(buffers.map(({ byteLength }) => Math.round(byteLength / 10_000))).toEqual([6, 3, 20, 0]);
    expect(buffers.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(bytes);
    expect(callsIn(buffers)).toHaveLength(sizes.length);
  });

  it('does not touch what was taken when it packs on', () => {
    const packer = new FeedPacker();
    packer.packPublication({ channel: 'first', offset: 0, publishedAt: 1, body: Buffer.from('a') });
    const taken = packer.take();
    packer.packPublication({ channel: 'other', offset: 0, publishedAt: 2, body: Buffer.from('b') });
    expect(callsIn(taken)).toEqual([['onPublication', 'first', 1, 'a']]);
  });
});
