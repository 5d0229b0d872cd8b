import { inflateRawSync } from 'node:zlib';
import { MAX_REFERENCE_BYTES } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { ChannelReferences } from './channel-references.ts';
import { PayloadDeflater } from './payload-deflater.ts';

function trade(n: number): Buffer {
  const id = 1_206_419_187 + n;
  return Buffer.from(
    `{"symbol":"ETH","id":"${id}","side":"buy","price":"16${n % 90}.8","size":"26.062"}`,
  );
}

/** Bytes that nothing shrinks. They need not be JSON here. */
function noise(n: number, size = 100): Buffer {
  let state = n + 1;
  return Buffer.from(
    Array.from({ length: size }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    }),
  );
}

/** A channel, and a check of each payload that it deflates against the reference that clients know by then. */
function openChannel(clock = () => 0) {
  const deflater = new PayloadDeflater(clock);
  const references = new ChannelReferences(deflater);
  return {
    ...{ deflater, references },
    statistics: deflater.statistics,
    deflate(payload: Buffer): number | undefined {
      const deflated = references.deflate(payload);
      if (deflated === undefined) return undefined;
      expect(deflated.bytes.length).toBeLessThan(payload.length);
      const { current } = references;
      expect(deflated.reference).toBe(deflated.reference === 0 ? 0 : current?.id);
      const dictionary = deflated.reference === 0 ? undefined : current?.bytes;
      const options = dictionary === undefined ? {} : { dictionary };
      expect(inflateRawSync(deflated.bytes, options).equals(payload)).toBe(true);
      return deflated.reference;
    },
  };
}

describe('the references of a channel', () => {
  it('begin with its first publication, which goes raw', () => {
    const { references, deflate, statistics } = openChannel();
    expect(deflate(trade(0))).toBeUndefined();
    expect(references.current, 'nobody needs it yet').toBeUndefined();
    expect(deflate(trade(1))).toBe(1);
    expect(references.current).toEqual({ id: 1, bytes: Uint8Array.from(trade(0)) });
    expect(deflate(trade(2))).toBe(1);
    expect(statistics).toMatchObject({ deflated: 2, references: 1, raw: { first: 1 } });
  });

  it('keep a copy, since the memory of a payload is used again', () => {
    const { references, deflate } = openChannel();
    const memory = trade(0);
    deflate(memory);
    memory.fill(0);
    expect(deflate(trade(1))).toBe(1);
    expect(references.current?.bytes).toEqual(Uint8Array.from(trade(0)));
  });

  it('stay while no other serves better', () => {
    const { deflate, statistics } = openChannel();
    for (let n = 0; n < 5_000; n += 1) deflate(trade(0));
    expect(statistics.references).toBe(1);
  });

  it('are renewed only where that saves a client more than it is sent for it', () => {
    const { deflate, statistics } = openChannel();
    for (let n = 0; n < 10_000; n += 1) deflate(trade(n));
    expect(statistics.references).toBeGreaterThan(1);
    expect(statistics.references).toBeLessThan(10_000 / 50);
  });

  it('are renewed soon where the first publication is unlike the others', () => {
    const { deflate, statistics } = openChannel();
    const hello =
      '{"type":"hello","symbol":"ETH","server":"feed-7","side":"","price":"","size":""}';
    deflate(Buffer.from(hello));
    for (let n = 0; n < 20; n += 1) deflate(trade(n));
    expect(statistics.references).toBe(2);
  });

  it('serve the large ones where publications of two kinds alternate', () => {
    const status = (n: number) => Buffer.from(`"ok ${n % 10}"`);
    for (const first of [0, 1]) {
      const { references, deflate, statistics } = openChannel();
      for (let n = first; n < 400; n += 1) deflate(n % 2 === 0 ? status(n) : trade(n));
      expect(references.current?.bytes.length).toBeGreaterThan(70);
      expect(statistics.references).toBeLessThan(8);
    }
  });

  it('are renewed soon when what is published changes, and seldom again', () => {
    const { deflate, statistics } = openChannel();
    const other = (n: number) =>
      Buffer.from(`["quote",{"bid":"${n}.5","ask":"${n}.7","venue":"kraken","depth":[1,2,${n}]}]`);
    for (let n = 0; n < 600; n += 1) deflate(trade(n));
    const before = statistics.references;
    for (let n = 0; n < 600; n += 1) deflate(other(n));
    expect(statistics.references - before).toBeGreaterThan(0);
    for (let n = 600; n < 2_000; n += 1) deflate(other(n));
    expect(statistics.references - before).toBeLessThan(40);
  });

  it('are none while nothing shrinks, which is seldom tried', () => {
    const { references, deflate, statistics, deflater } = openChannel();
    let tried = 0;
    const { deflate: real } = deflater;
    deflater.deflate = (...args) => {
      tried += 1;
      return real.apply(deflater, args);
    };
    for (let n = 0; n < 5_000; n += 1) expect(deflate(noise(n))).toBeUndefined();
    expect(references.current).toBeUndefined();
    expect(tried).toBeLessThan(150);
    expect(statistics.raw.unshrinkable).toBeGreaterThan(4_900);
    for (let n = 0; n < 1_100; n += 1) deflate(trade(n));
    expect(deflate(trade(9)), 'it shrinks again').toBeGreaterThan(0);
  });

  it('are never too large: a larger payload is deflated alone, or against a smaller one', () => {
    const { references, deflate } = openChannel();
    const large = (n: number) => Buffer.from(`{"n":${n},"levels":[${'[1,2],'.repeat(3_000)}0]}`);
    expect(large(1).length).toBeGreaterThan(MAX_REFERENCE_BYTES);
    expect(deflate(large(1))).toBe(0);
    expect(references.current).toBeUndefined();
    deflate(trade(0));
    expect(deflate(trade(1))).toBe(1);
    expect(deflate(large(2))).toBe(1);
  });

  it('have the next numbers where the channel had some before', () => {
    const references = new ChannelReferences(new PayloadDeflater(() => 0), 41);
    references.deflate(trade(0));
    expect(references.deflate(trade(1))?.reference).toBe(42);
  });

  it('step back to raw while there is no time', () => {
    let now = 0;
    let cost = 0;
    const { deflate, statistics } = openChannel(() => {
      now += cost;
      return now;
    });
    deflate(trade(0));
    cost = 20;
    expect(deflate(trade(1))).toBe(1);
    cost = 0;
    expect(deflate(trade(2))).toBeUndefined();
    expect(statistics.raw.budget).toBe(1);
    now += 1_000;
    expect(deflate(trade(3))).toBe(1);
  });
});
