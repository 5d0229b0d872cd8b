import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Publication } from './publication.ts';
import { PublicationLog } from './publication-log.ts';

/** What each publication counts besides its tail. */
const ENTRY_BYTES = 256;

function publication(bytes: number): Publication {
  return { channel: 'a', offset: 0, tail: new Uint8Array(bytes), publishedAt: 0 };
}

it('holds the latest publications that fit into its bytes, and knows each by its number', () => {
  fc.assert(
    fc.property(fc.nat(40_000), fc.array(fc.nat(400), { maxLength: 300 }), (maxBytes, sizes) => {
      const log = new PublicationLog(maxBytes);
      const all = sizes.map(publication);
      for (const [number, appended] of all.entries()) {
        expect(log.next).toBe(number);
        log.append(appended);
        expect(log.bytes).toBeLessThanOrEqual(maxBytes);
      }
      const held = all.slice(log.oldest);
      expect(log.bytes).toBe(held.reduce((sum, { tail }) => sum + tail.length + ENTRY_BYTES, 0));
      const next = all[log.oldest - 1];
      if (next) expect(log.bytes + next.tail.length + ENTRY_BYTES).toBeGreaterThan(maxBytes);
      for (const number of all.keys()) {
        expect(log.at(number)).toBe(number < log.oldest ? undefined : all[number]);
      }
      expect([log.at(-1), log.at(all.length)]).toEqual([undefined, undefined]);
    }),
  );
});

it('counts what it holds of a channel between two numbers', () => {
  const appended = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4_000, size: 'max' });
  fc.assert(
    fc.property(
      fc.nat(900_000),
      appended,
      fc.nat(4_000),
      fc.nat(4_000),
      (maxBytes, names, ...ends) => {
        const log = new PublicationLog(maxBytes);
        for (const channel of names) log.append({ ...publication(0), channel });
        const [from, until] = ends.sort((a, b) => a - b) as [number, number];
        for (const channel of ['a', 'b', 'c', 'd']) {
          const held = names.filter(
            (name, number) =>
              name === channel && number >= Math.max(from, log.oldest) && number < until,
          );
          expect(log.count(channel, from, until)).toBe(held.length);
          expect(log.count(channel, from, Number.POSITIVE_INFINITY)).toBeGreaterThanOrEqual(
            held.length,
          );
        }
      },
    ),
  );
});

it('keeps nothing when it may hold nothing', () => {
  const log = new PublicationLog(0);
  log.append(publication(0));
  expect([log.oldest, log.next, log.bytes, log.at(0)]).toEqual([1, 1, 0, undefined]);
});
