import { describe, expect, it } from 'vitest';
import type { Arrival } from './message.ts';
import { PendingArrivals } from './waiting-messages.ts';

const CHUNK = Buffer.alloc(64 * 1024, 'x');

/** A message whose payload is a part of what was read from the socket. */
function arrival(offset: number, epoch = 'E'): Arrival {
  return {
    epoch: offset === 0 ? '' : epoch,
    offset,
    publishedAt: 1,
    payload: CHUNK.subarray(0, 10),
  };
}

function pending(messages = 100, bytes = 10_000): PendingArrivals {
  return new PendingArrivals({ messages, bytes });
}

/** Of those that wait, for each whether it keeps the chunk alive. */
function views(held: PendingArrivals): boolean[] {
  const found: boolean[] = [];
  held.takeWhile(({ payload }) => {
    found.push(payload.buffer === CHUNK.buffer);
    return false;
  });
  return found;
}

describe('PendingArrivals', () => {
  it('keeps a chunk of the socket alive for one answer, and no longer', () => {
    const held = pending();
    held.hold(arrival(5), true);
    held.ask();
    held.answer();
    expect(views(held)).toEqual([true]);
    held.ask();
    expect(views(held)).toEqual([false]);
  });

  it('keeps none alive where it is to wait for longer', () => {
    const held = pending();
    held.hold(arrival(5), false);
    expect(views(held)).toEqual([false]);
    const others = pending();
    others.hold(arrival(5), true);
    others.own();
    expect(views(others)).toEqual([false]);
  });

  it('lets all go when there are too many, or too much, and counts those that nobody else has', () => {
    for (const held of [pending(3), pending(100, 35)]) {
      for (const offset of [0, 5, 0, 0]) held.hold(arrival(offset), true);
      expect(held.length).toBe(1);
      expect(held.isIncomplete).toBe(true);
      expect(held.takeDroppedPlain()).toBe(2);
      expect(held.takeDroppedPlain()).toBe(0);
      held.ask();
      expect(held.isIncomplete).toBe(false);
    }
  });

  it('knows of whom an answer speaks, while others come and go', () => {
    const held = pending();
    for (const offset of [1, 2]) held.hold(arrival(offset), true);
    held.ask();
    held.hold(arrival(3), true);
    held.answer();
    held.hold(arrival(4), true);
    expect([held.confirmable, held.answered]).toEqual([2, 3]);
    held.takeWhile(({ offset }) => offset === 1);
    expect([held.confirmable, held.answered, held.length]).toEqual([1, 2, 3]);
    held.takeWhile(() => true);
    expect([held.confirmable, held.answered, held.length]).toEqual([0, 0, 0]);
  });

  it('tells what is claimed once, and what several claim', () => {
    const held = pending();
    for (const offset of [1, 2, 3]) held.hold(arrival(offset), true);
    expect(held.isUnordered).toBe(false);
    held.hold(arrival(2), true);
    held.hold(arrival(1, 'F'), true);
    held.hold(arrival(0), true);
    expect(held.isUnordered).toBe(true);
    const claims = held.claims('E');
    expect([...claims.keys()]).toEqual([1, 2, 3]);
    expect([...claims].filter(([, one]) => one === undefined).map(([offset]) => offset)).toEqual([
      2,
    ]);
  });
});
