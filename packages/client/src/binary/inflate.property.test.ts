import { deflateRawSync, constants as zlib } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { zlibInflate } from '../../../../test/support/clients/zlib-inflate.ts';
import { cases, shortOrLong } from '../../../../test/support/suite/length.ts';
import { inflate } from './inflate.ts';

const MAX_BYTES = 65_536;

/** Streams of one property that are damaged at random. */
const DAMAGED = shortOrLong(20_000, 1_000_000);

const strategies = [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE];

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 3_000 }),
  fc
    .array(fc.constantFrom('price', 'size', '{"', '":"', '12', '0', ','), { maxLength: 4_000 })
    .map((words) => Uint8Array.from(Buffer.from(words.join('')))),
);

it('makes what was deflated, in blocks of every kind, with and without a dictionary', () => {
  fc.assert(
    fc.property(
      ...([bytes, bytes, fc.integer({ min: 0, max: 9 }), fc.constantFrom(...strategies)] as const),
      (data, dictionary, level, strategy) => {
        const deflated = deflateRawSync(data, {
          ...{ level, strategy },
          ...(dictionary.length > 0 && { dictionary }),
        });
        const inflated = inflate(deflated, dictionary, MAX_BYTES);
        expect(Buffer.compare(inflated, data)).toBe(0);
      },
    ),
    cases(1_000),
  );
});

it(`says of ${DAMAGED} damaged streams what zlib says`, () => {
  const seed = Date.now();
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const reference = Buffer.from(
    '{"symbol":"ETH","id":"1206419187","price":"1666.8","size":"26.062"}',
  );
  const text = Buffer.from(`{"symbol":"BTC","id":"77","list":[${'1,22,333,'.repeat(40)}4]}`);
  const streams = strategies.flatMap((strategy) => [
    deflateRawSync(text, { strategy, dictionary: reference }),
    deflateRawSync(text, { strategy, level: 0, dictionary: reference }),
  ]);
  const counts = { same: 0, refused: 0 };
  for (let i = 0; i < DAMAGED; i += 1) {
    const damaged = Buffer.from(streams[i % streams.length]!);
    for (let times = 1 + random(3); times > 0; times -= 1)
      damaged[random(damaged.length)] = random(256);
    const stream = random(6) === 0 ? damaged.subarray(0, random(damaged.length)) : damaged;
    const outcomes = [zlibInflate, inflate].map((each) => {
      try {
        return Buffer.from(each(stream, reference, 1_000)).toString('hex');
      } catch {
        return undefined;
      }
    });
    if (outcomes[0] !== outcomes[1]) {
      expect.fail(
        `seed ${seed}, ${stream.toString('hex')}: ${outcomes[1]}, and zlib ${outcomes[0]}`,
      );
    }
    counts[outcomes[0] === undefined ? 'refused' : 'same'] += 1;
  }
  expect(Math.min(counts.same, counts.refused)).toBeGreaterThan(DAMAGED / 100);
});

it('stops at the bound, whatever a stream would become', () => {
  const bomb = deflateRawSync(Buffer.alloc(60_000_000));
  const none = new Uint8Array(0);
  expect(bomb.length).toBeLessThan(MAX_BYTES);
  const before = process.threadCpuUsage();
  expect(() => inflate(bomb, none, MAX_BYTES)).toThrow('more than 65536 bytes');
  // 60 MB would take far longer.
  expect(process.threadCpuUsage(before).user).toBeLessThan(100_000);
  expect(() => inflate(deflateRawSync(Buffer.alloc(11)), none, 10)).toThrow('more than 10 bytes');
  expect(inflate(deflateRawSync(Buffer.alloc(10)), none, 10)).toHaveLength(10);
});
