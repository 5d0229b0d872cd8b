import { inflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { PayloadDeflater } from './payload-deflater.ts';

/** A text of this many bytes that says something else for each number. */
function textOf(bytes: number, n: number): Buffer {
  return Buffer.from(`{"n":${n},"text":"`.padEnd(bytes - 2, `word${n % 7} `).concat('"}'));
}

describe('a deflater', () => {
  it('makes what inflates to the payload, with dictionaries and payloads of all sizes', () => {
    const deflater = new PayloadDeflater(() => 0);
    for (const size of [30, 200, 251, 250, 1_000, 8_192, 32_768, 65_536]) {
      for (const dictionarySize of [0, 30, 250, 1_000, 8_192]) {
        const dictionary = dictionarySize === 0 ? undefined : textOf(dictionarySize, 1);
        const payload = textOf(size, 2);
        const bytes = deflater.deflate(payload, dictionary);
        const options = dictionary === undefined ? {} : { dictionary };
        expect(inflateRawSync(bytes, options).equals(payload)).toBe(true);
        expect(bytes.length).toBeLessThan(payload.length);
      }
    }
  });

  it('reaches the whole of a dictionary', () => {
    const deflater = new PayloadDeflater(() => 0);
    for (const size of [100, 500, 2_000, 8_192]) {
      const random = Buffer.from(
        Array.from({ length: size }, (_, i) => (i * i * 31 + i * 7) % 251),
      );
      const begin = random.subarray(0, 60);
      expect(deflater.deflate(begin, random).length).toBeLessThan(20);
    }
  });

  it('has less time while its thread is busy', () => {
    let now = 0;
    let cost = 0;
    let utilization = 0.95;
    const clock = (): number => {
      now += cost;
      return now;
    };
    const deflater = new PayloadDeflater(clock, undefined, () => utilization);
    const spend = (ms: number): void => {
      cost = ms;
      deflater.deflate(textOf(100, 1), undefined);
      cost = 0;
    };
    now += 250;
    expect(deflater.hasTime).toBe(true);
    spend(20);
    now += 100;
    expect(deflater.hasTime, '6 of 10 ms are earned back').toBe(false);
    now += 1_000;
    expect(deflater.hasTime).toBe(true);
    utilization = 0.5;
    spend(20);
    now += 250;
    expect(deflater.hasTime).toBe(true);
  });

  it('has no more time once it took its share, and has again later', () => {
    let now = 0;
    let cost = 0;
    const deflater = new PayloadDeflater(() => {
      now += cost;
      return now;
    });
    expect(deflater.hasTime).toBe(true);
    cost = 4;
    deflater.deflate(textOf(100, 1), undefined);
    cost = 0;
    expect(deflater.hasTime, '4 of 10 ms are spent').toBe(true);
    cost = 16;
    deflater.deflate(textOf(100, 2), undefined);
    cost = 0;
    expect(deflater.hasTime).toBe(false);
    expect(deflater.statistics.ms).toBe(20);
    now += 10;
    expect(deflater.hasTime, '3 ms are earned').toBe(false);
    now += 30;
    expect(deflater.hasTime).toBe(true);
  });
});
