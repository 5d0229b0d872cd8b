import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Publication } from './publication.ts';
import { PublicationLog } from './publication-log.ts';

/** What each publication counts besides its tail. */
const ENTRY_BYTES = 256;

/** One that is kept whether someone follows or not. */
function publication(bytes: number): Publication {
  return { channel: 'a', offset: 1, tail: new Uint8Array(bytes), publishedAt: 0 };
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

it('keeps of what has no offset only the latest, and what came while someone followed', () => {
  const step = fc.constantFrom('plain', 'sequenced', 'follow', 'unfollow');
  const channel = fc.constantFrom('a', 'b');
  const steps = fc.array(fc.tuple(step, channel), { maxLength: 200, size: 'max' });
  fc.assert(
    fc.property(steps, (all) => {
      const log = new PublicationLog(1_000_000);
      const appended: { readonly publication: Publication; isKept: boolean }[] = [];
      let followers = 0;
      for (const [what, name] of all) {
        const latest = appended.at(-1);
        if (what === 'follow') {
          log.follow();
          followers += 1;
          if (latest !== undefined) latest.isKept = true;
        } else if (what === 'unfollow') {
          if (followers > 0) log.unfollow();
          followers = Math.max(0, followers - 1);
        } else {
          const offset = what === 'plain' ? 0 : 1;
          const one = { ...publication(10), channel: name, offset };
          log.append(one);
          appended.push({ publication: one, isKept: followers > 0 || offset > 0 });
        }
      }
      const isHeld = appended.map(({ isKept }, n) => isKept || n === appended.length - 1);
      expect(log.next).toBe(appended.length);
      expect(appended.map((_, n) => log.at(n))).toEqual(
        appended.map(({ publication: one }, n) => (isHeld[n] ? one : undefined)),
      );
      for (const name of ['a', 'b']) {
        const kept = appended.filter(
          ({ publication: one, isKept }) => isKept && one.channel === name,
        );
        expect(log.count(name, 0, appended.length)).toBe(kept.length);
      }
    }),
  );
});

it('stays small however much passes', () => {
  const log = new PublicationLog(10_000);
  for (let i = 0; i < 100; i += 1) log.append({ ...publication(100), offset: 0 });
  expect([log.oldest, log.next, log.bytes]).toEqual([99, 100, 356]);
  log.append(publication(100));
  for (let i = 0; i < 10_000; i += 1) log.append({ ...publication(100), offset: 0 });
  expect(log.bytes).toBeLessThanOrEqual(10_000);
  expect(log.next - log.oldest).toBeLessThan(1_000);
});
