import { describe, expect, it } from 'vitest';
import { Excerpt, ReplayMemory } from './replay.ts';

/** What each publication counts besides its body. */
const ENTRY_BYTES = 256;

function publication(offset: number, bytes = 44) {
  return { channel: 'a', offset, body: new Uint8Array(bytes), publishedAt: 0 };
}

describe('an excerpt', () => {
  it('counts once however many hold it, and what is appended meanwhile', () => {
    const memory = new ReplayMemory(10_000, () => {});
    const excerpt = new Excerpt('a', memory);
    excerpt.append(publication(5));
    expect(memory.bytes).toBe(0);
    excerpt.hold();
    excerpt.hold();
    excerpt.append(publication(6));
    expect(memory.bytes).toBe(2 * (44 + ENTRY_BYTES));
    expect([excerpt.firstOffset, excerpt.lastOffset, excerpt.length]).toEqual([5, 6, 2]);
    excerpt.release();
    expect(excerpt.at(1)).toMatchObject({ offset: 6 });
    excerpt.release();
    expect([memory.bytes, excerpt.length, excerpt.isHeld]).toEqual([0, 0, false]);
  });
});

describe('an excerpt with holes', () => {
  it('is replayed from any offset on, also from within a hole, and counts publications', () => {
    const memory = new ReplayMemory(10_000, () => {});
    const excerpt = new Excerpt('a', memory);
    excerpt.append({ from: 3, to: 5, reason: 'unreadable' });
    excerpt.append(publication(6));
    excerpt.append({ from: 7, to: 7, reason: 'too_large' });
    excerpt.append(publication(8));
    expect([excerpt.firstOffset, excerpt.lastOffset, excerpt.length]).toEqual([3, 8, 4]);
    expect(excerpt.replayFrom(4)).toMatchObject({ from: 4, firstIndex: 0, endIndex: 4, count: 2 });
    expect(excerpt.replayFrom(7)).toMatchObject({ from: 7, firstIndex: 2, endIndex: 4, count: 1 });
    excerpt.hold();
    expect(memory.bytes).toBeLessThan(2 * (44 + ENTRY_BYTES) + 2 * ENTRY_BYTES);
    excerpt.release();
    expect([memory.bytes, excerpt.length]).toEqual([0, 0]);
  });
});

describe('the memory for replays', () => {
  it('tells when there is room again, and only then', () => {
    let told = 0;
    const memory = new ReplayMemory(1_000, () => {
      told += 1;
    });
    memory.take(999);
    expect(memory.hasRoom).toBe(true);
    memory.giveBack(500);
    memory.take(1_000);
    expect([memory.hasRoom, told]).toEqual([false, 0]);
    memory.giveBack(499);
    expect([memory.hasRoom, told]).toEqual([false, 0]);
    memory.giveBack(1);
    expect([memory.hasRoom, told]).toEqual([true, 1]);
  });
});
