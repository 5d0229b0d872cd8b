import { describe, expect, it } from 'vitest';
import type { Message } from './message.ts';
import { type Arrival, WaitingMessages } from './waiting-messages.ts';

const CHUNK = Buffer.alloc(64 * 1024, 'x');

/** A message whose payload is a view of a chunk from the socket. */
function message(offset: number, epoch = 'E'): Message {
  return {
    epoch: offset === 0 ? '' : epoch,
    offset,
    publishedAt: 1,
    payload: CHUNK.subarray(0, 10),
  };
}

function waitingOf(offsets: readonly number[], messages = 100, bytes = 10_000): WaitingMessages {
  const waiting = new WaitingMessages({ messages, bytes });
  for (const offset of offsets) waiting.add(message(offset));
  return waiting;
}

/** When each of the messages arrived. */
function arrivalsOf(waiting: WaitingMessages): Arrival[] {
  const arrivals: Arrival[] = [];
  waiting.takeWhile((_, arrival) => {
    arrivals.push(arrival);
    return false;
  });
  return arrivals;
}

describe('WaitingMessages', () => {
  it('keeps no chunk of the socket alive', () => {
    const waiting = waitingOf([5]);
    waiting.takeWhile(({ payload }) => {
      expect(payload.buffer).not.toBe(CHUNK.buffer);
      return true;
    });
    expect(waiting.length).toBe(0);
  });

  it('drops all beyond a limit, and counts the plain ones', () => {
    for (const waiting of [waitingOf([0, 5, 0, 0], 3), waitingOf([0, 5, 0, 0], 100, 35)]) {
      expect(waiting.length).toBe(1);
      expect(waiting.hasDroppedOffsets).toBe(true);
      expect(waiting.takeDroppedPlain()).toBe(2);
      expect(waiting.takeDroppedPlain()).toBe(0);
      waiting.markRequest();
      expect(waiting.hasDroppedOffsets).toBe(false);
    }
  });

  it('has room again for what was taken', () => {
    const waiting = waitingOf([1, 2, 3], 3, 30);
    waiting.takeWhile(({ offset }) => offset < 3);
    for (const offset of [4, 5]) waiting.add(message(offset));
    expect(waiting.length).toBe(3);
    expect(waiting.hasDroppedOffsets).toBe(false);
  });

  it.each([
    [1, 'before-request'],
    [2, 'before-answer'],
    [3, 'after-answer'],
  ])('knows of message %i that it came %s', (offset, expected) => {
    const waiting = waitingOf([1]);
    waiting.markRequest();
    waiting.add(message(2));
    waiting.markAnswer();
    waiting.add(message(3));
    waiting.takeWhile((one) => one.offset < offset);
    expect(arrivalsOf(waiting)).toEqual([expected]);
  });

  it('judges by the last request that was answered, not by one that is under way', () => {
    const waiting = waitingOf([1]);
    waiting.markRequest();
    expect(arrivalsOf(waiting)).toEqual(['after-answer']);
    waiting.markAnswer();
    expect(arrivalsOf(waiting)).toEqual(['before-request']);
    waiting.markRequest();
    expect(arrivalsOf(waiting)).toEqual(['before-request']);
  });

  it('tells what waits of an epoch, by its offset', () => {
    const waiting = waitingOf([1, 3, 0]);
    waiting.add(message(2, 'F'));
    waiting.add({ ...message(3), publishedAt: 2 });
    expect([...waiting.ofEpoch('E').keys()]).toEqual([1, 3]);
    expect(waiting.ofEpoch('E').get(3), 'the first of two').toMatchObject({ publishedAt: 1 });
    waiting.moveToEpoch(['E'], 'F');
    expect([...waiting.ofEpoch('F').keys()]).toEqual([1, 3, 2]);
  });
});
