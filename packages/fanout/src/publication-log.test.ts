import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Publication } from './publication.ts';
import { PublicationLog } from './publication-log.ts';

/** What each publication counts besides its body. */
const ENTRY_BYTES = 256;
/** What one that passed leaves behind. */
const HOLE_BYTES = 16;

/** One that is kept whether someone follows or not. */
function publication(bytes: number): Publication {
  return { channel: 'a', offset: 1, body: new Uint8Array(bytes), publishedAt: 0 };
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
      expect(log.bytes).toBe(held.reduce((sum, { body }) => sum + body.length + ENTRY_BYTES, 0));
      const next = all[log.oldest - 1];
      if (next) expect(log.bytes + next.body.length + ENTRY_BYTES).toBeGreaterThan(maxBytes);
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

/** The same log as a plain list. */
class ModelLog {
  readonly maxBytes: number;
  entries: { readonly number: number; publication: Publication | undefined }[] = [];
  next = 0;
  followers = 0;
  isPassing = false;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get bytes(): number {
    const costs = this.entries.map(({ publication }) =>
      publication === undefined ? HOLE_BYTES : publication.body.length + ENTRY_BYTES,
    );
    return costs.reduce((sum, bytes) => sum + bytes, 0);
  }

  append(publication: Publication): void {
    const latest = this.entries.at(-1);
    if (this.isPassing && latest !== undefined) {
      latest.publication = undefined;
      if (this.entries.length === 1) this.entries = [];
    }
    this.isPassing = this.followers === 0 && publication.offset === 0;
    this.entries.push({ number: this.next, publication });
    this.next += 1;
    while (this.bytes > this.maxBytes) this.entries.shift();
  }

  /** The numbers of a channel that can be asked for. */
  numbers(channel: string): number[] {
    return this.entries
      .filter(({ publication }) => publication?.channel === channel)
      .filter(({ number }) => !this.isPassing || number < this.next - 1)
      .map(({ number }) => number);
  }
}

it('keeps of what has no offset only the latest, and what came while someone followed', () => {
  const step = fc.constantFrom('plain', 'plain', 'sequenced', 'follow', 'unfollow');
  const steps = fc.array(fc.tuple(step, fc.constantFrom('a', 'b'), fc.nat(400)), {
    maxLength: 100,
    size: 'max',
  });
  fc.assert(
    fc.property(fc.oneof(fc.nat(4_000), fc.constant(1_000_000)), steps, (maxBytes, all) => {
      const log = new PublicationLog(maxBytes);
      const model = new ModelLog(maxBytes);
      for (const [what, channel, bytes] of all) {
        if (what === 'follow') {
          log.follow();
          model.followers += 1;
          model.isPassing = false;
        } else if (what === 'unfollow') {
          if (model.followers === 0) continue;
          log.unfollow();
          model.followers -= 1;
        } else {
          const one = { ...publication(bytes), channel, offset: what === 'plain' ? 0 : 1 };
          log.append(one);
          model.append(one);
        }
        expect([log.oldest, log.next, log.bytes]).toEqual([
          model.entries[0]?.number ?? model.next,
          model.next,
          model.bytes,
        ]);
        for (const name of ['a', 'b']) {
          const numbers = model.numbers(name);
          expect(log.count(name, 0, model.next)).toBe(numbers.length);
          expect(log.first(name, 0)).toBe(numbers[0]);
          expect(log.fromEnd(name, 0)).toBe(numbers.at(-1));
        }
      }
      const held = new Map(model.entries.map((one) => [one.number, one.publication]));
      for (let n = 0; n < model.next; n += 1) expect(log.at(n)).toBe(held.get(n));
    }),
  );
});

it('lets go of what has no offset once nobody follows any more, but for the latest', () => {
  const log = new PublicationLog(1_000_000);
  const unnumbered = { ...publication(100), offset: 0 };
  log.append(unnumbered);
  log.follow();
  for (let n = 0; n < 9; n += 1) log.append(unnumbered);
  log.trim();
  expect(log.bytes).toBe(10 * (100 + ENTRY_BYTES));
  log.unfollow();
  log.trim();
  expect([log.oldest, log.next, log.bytes]).toEqual([9, 10, 100 + ENTRY_BYTES]);
  log.follow();
  log.append(unnumbered);
  expect([log.at(8), log.at(9), log.count('a', 0, 20)]).toEqual([undefined, unnumbered, 2]);
});

it('lets go of no more than 4,096 at once', () => {
  const log = new PublicationLog(1_000_000_000);
  log.follow();
  for (let n = 0; n < 5_000; n += 1) log.append({ ...publication(0), offset: 0 });
  log.unfollow();
  log.trim();
  expect(log.oldest).toBe(4_096);
  log.trim();
  expect(log.oldest).toBe(4_999);
});

it('keeps what has an offset, and what is younger, when it is trimmed', () => {
  const log = new PublicationLog(1_000_000);
  log.follow();
  for (const offset of [0, 0, 7, 0, 0]) log.append({ ...publication(100), offset });
  log.unfollow();
  log.trim();
  expect([log.oldest, log.next, log.count('a', 0, 5)]).toEqual([2, 5, 3]);
});

it('has no more slots than fit into its bytes, however much passes', () => {
  const log = new PublicationLog(10_000);
  for (let i = 0; i < 100; i += 1) log.append({ ...publication(100), offset: 0 });
  expect([log.oldest, log.next, log.bytes]).toEqual([99, 100, 356]);
  log.append(publication(100));
  for (let i = 0; i < 10_000; i += 1) log.append({ ...publication(100), offset: 0 });
  expect(log.next - log.oldest).toBeLessThanOrEqual(10_000 / HOLE_BYTES);
  expect(log.count('a', 0, log.next), 'what has an offset made room at last').toBe(0);
});

it('has no more than four million slots, however large it is', () => {
  const log = new PublicationLog(2 ** 30);
  log.append(publication(100));
  log.append({ ...publication(100), offset: 0 });
  const before = log.bytes;
  log.append({ ...publication(100), offset: 0 });
  expect(log.bytes - before, 'a hole').toBe(2 ** 30 / 4_194_304);
});
