import { expect, it } from 'vitest';
import { packMessage, packValues } from './message-pack.ts';
import {
  describeWireSizes,
  measureWireSizes,
  type WireSize,
  wireSizeFailures,
} from './wire-size.ts';

const SIZE: WireSize = {
  ...{ shape: 'recorded trades', publications: 10, payloadBytes: 1_000, v1: 1_000, v2: 250 },
  ...{ references: 1, deflateUs: 8, mostMore: -30 },
  others: {
    ...{ msgpack: 700, 'msgpack, keys known': 400, 'deflate alone': 800, 'zstd + reference': 500 },
  },
};

it('measures each shape, and finds none that is larger than text', async () => {
  const sizes = await measureWireSizes(true);
  expect(sizes.length).toBeGreaterThan(5);
  for (const { shape, v1, v2, mostMore } of sizes) {
    expect(v2, shape).toBeLessThan(v1);
    expect(mostMore, shape).toBeLessThan(0);
  }
  expect(describeWireSizes(sizes)).toContain('recorded trades');
});

it('fails where trades take more than 27 % of the text, or a publication 8 bytes more than its text', () => {
  expect(wireSizeFailures([SIZE])).toEqual([]);
  expect(wireSizeFailures([{ ...SIZE, v2: 271 }])).toEqual([
    'recorded trades: v2 takes 27.1 % of v1’s bytes',
  ]);
  expect(wireSizeFailures([{ ...SIZE, shape: 'tiny', v2: 900, mostMore: 9 }])).toEqual([
    'tiny: a publication takes 9 bytes more on v2',
  ]);
});

it('packs as MessagePack says', () => {
  expect([...packMessage({ a: [1, -1, 'x', null, true, 300] })]).toEqual([
    ...[0x81, 0xa1, 0x61, 0x96, 0x01, 0xff, 0xa1, 0x78, 0xc0, 0xc3],
    ...[0xcd, 0x01, 0x2c],
  ]);
  expect([...packValues({ a: 1 })]).toEqual([0x91, 0x01]);
});
