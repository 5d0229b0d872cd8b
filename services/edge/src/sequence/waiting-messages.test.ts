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

describe('PendingArrivals', () => {
  it('keeps no chunk of the socket alive', () => {
    const held = pending();
    held.hold(arrival(5));
    held.takeWhile(({ payload }) => {
      expect(payload.buffer).not.toBe(CHUNK.buffer);
      return true;
    });
    expect(held.length).toBe(0);
  });

  it('lets all go when there are too many, or too much, and counts those that nobody else has', () => {
    for (const held of [pending(3), pending(100, 35)]) {
      for (const offset of [0, 5, 0, 0]) held.hold(arrival(offset));
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
    for (const offset of [1, 2]) held.hold(arrival(offset));
    held.ask();
    held.hold(arrival(3));
    held.answer();
    held.hold(arrival(4));
    expect([held.judged, held.answered]).toEqual([2, 3]);
    held.takeWhile(({ offset }) => offset === 1);
    expect([held.judged, held.answered, held.length]).toEqual([1, 2, 3]);
    held.takeWhile(() => true);
    expect([held.judged, held.answered, held.length]).toEqual([0, 0, 0]);
  });

  it('tells what waits of an epoch, by its offset', () => {
    const held = pending();
    for (const offset of [1, 3, 0]) held.hold(arrival(offset));
    held.hold(arrival(2, 'F'));
    held.hold({ ...arrival(3), publishedAt: 2 });
    expect([...held.of('E').keys()]).toEqual([1, 3]);
    expect(held.of('E').get(3), 'the first of two').toMatchObject({ publishedAt: 1 });
    held.renew(['E'], 'F');
    expect([...held.of('F').keys()]).toEqual([1, 3, 2]);
  });
});
