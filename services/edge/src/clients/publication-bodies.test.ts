import type { Publication, WireChannel } from '@tradewind/fanout';
import { expect, it } from 'vitest';
import { PastBodies } from './publication-bodies.ts';

function publicationOf(offset: number, wire: WireChannel): Publication {
  return { channel: 'a', offset, publishedAt: 1, body: new Uint8Array(10), wire };
}

it('makes a body once for all, and anew when the channel has another reference', () => {
  let made = 0;
  const { bodyOf } = new PastBodies(() => {
    made += 1;
    return new Uint8Array(10);
  });
  const wire: WireChannel = { ref: 1, ts: 0, reference: undefined };
  const publication = publicationOf(1, wire);
  const first = bodyOf(publication);
  expect(bodyOf(publication)).toBe(first);
  wire.reference = { id: 1, data: '""', frame: new Uint8Array(0) };
  expect(bodyOf(publication)).not.toBe(first);
  expect(bodyOf(publication)).toBe(bodyOf(publication));
  expect(made).toBe(2);
});

it('keeps no more than its bytes: the oldest go', () => {
  let made = 0;
  const { bodyOf } = new PastBodies(() => {
    made += 1;
    return new Uint8Array(10);
  }, 100);
  const wire: WireChannel = { ref: 1, ts: 0, reference: undefined };
  const publications = Array.from({ length: 20 }, (_, n) => publicationOf(n, wire));
  for (const publication of publications) bodyOf(publication);
  for (const publication of publications.slice(10)) bodyOf(publication);
  expect(made, 'the latest ten are kept').toBe(20);
  bodyOf(publications[0] as Publication);
  expect(made).toBe(21);
});

it('holds nothing any more when it is cleared, and then keeps as much as before', () => {
  let made = 0;
  const bodies = new PastBodies(() => {
    made += 1;
    return new Uint8Array(10);
  }, 100);
  const wire: WireChannel = { ref: 1, ts: 0, reference: undefined };
  const publications = Array.from({ length: 10 }, (_, n) => publicationOf(n, wire));
  for (const round of [1, 2]) {
    for (const one of [...publications, ...publications]) bodies.bodyOf(one);
    expect(made).toBe(10 * round);
    bodies.clear();
  }
});
