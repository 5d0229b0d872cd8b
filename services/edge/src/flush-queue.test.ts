import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FlushQueue } from './flush-queue.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

class Client {
  flushes = 0;
  readonly #costMs: number;
  readonly #flushed: () => void;

  constructor(costMs = 0, flushed: () => void = () => {}) {
    this.#costMs = costMs;
    this.#flushed = flushed;
  }

  touch(): number {
    return 1;
  }

  flush(): void {
    this.flushes += 1;
    vi.advanceTimersByTime(this.#costMs);
    this.#flushed();
  }
}

function setUp() {
  const waiting: Client[] = [];
  const flushed: number[] = [];
  const queue = new FlushQueue<Client>(waiting, (publishedAt) => flushed.push(publishedAt));
  // The first slice may take long: nobody knows what went before it.
  queue.flushSome();
  return { waiting, flushed, queue };
}

describe('FlushQueue', () => {
  it('flushes everyone once, in the order in which they came', () => {
    const { waiting, queue } = setUp();
    const order: number[] = [];
    for (let i = 0; i < 100; i += 1) waiting.push(new Client(0, () => order.push(i)));
    expect(queue.isEmpty).toBe(false);
    expect(queue.flushSome()).toBe(false);
    expect(order).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(queue.isEmpty).toBe(true);
    expect(waiting).toEqual([]);
  });

  it('makes way after a slice of 5 ms, and goes on where it stopped', () => {
    const { waiting, queue } = setUp();
    const clients = Array.from({ length: 64 }, () => new Client(1));
    waiting.push(...clients);
    let turns = 1;
    while (queue.flushSome()) turns += 1;
    expect(turns).toBeGreaterThan(2);
    expect(clients.every(({ flushes }) => flushes === 1)).toBe(true);
  });

  it('takes three times as long as what came between, so that the sockets do not starve', () => {
    const { waiting, queue } = setUp();
    const clients = Array.from({ length: 200 }, () => new Client(1));
    waiting.push(...clients);
    queue.flushSome();
    const before = clients.filter(({ flushes }) => flushes === 1).length;
    vi.advanceTimersByTime(40);
    queue.flushSome();
    const flushed = clients.filter(({ flushes }) => flushes === 1).length - before;
    expect(flushed).toBeGreaterThanOrEqual(120);
    expect(flushed).toBeLessThan(160);
  });

  it('begins a round with a short slice, however long it was quiet', () => {
    const { waiting, queue } = setUp();
    waiting.push(...Array.from({ length: 200 }, () => new Client(1)));
    vi.advanceTimersByTime(60_000);
    expect(queue.flushSome()).toBe(true);
  });

  it('leaves whoever comes to wait during a round to the next one', () => {
    const { waiting, queue } = setUp();
    const again: Client = new Client(0, () => waiting.push(again));
    waiting.push(again);
    expect(queue.flushSome()).toBe(false);
    expect(again.flushes).toBe(1);
    expect(queue.isEmpty).toBe(false);
    queue.flushSome();
    expect(again.flushes).toBe(2);
  });

  it('tells of a publication when everyone who waited for it has been flushed', () => {
    const { waiting, flushed, queue } = setUp();
    queue.mark(1);
    for (let i = 0; i < 32; i += 1) waiting.push(new Client(1));
    queue.mark(2);
    for (let i = 0; i < 32; i += 1) waiting.push(new Client(1));
    queue.mark(3);
    queue.flushSome();
    expect(flushed, 'no one waited for 1').toEqual([]);
    queue.flushSome();
    expect(flushed).toEqual([2]);
    while (queue.flushSome());
    expect(flushed).toEqual([2, 3]);
  });

  it('gives up the places of those who were flushed, however long a queue never ends', () => {
    const { waiting, flushed, queue } = setUp();
    let longest = 0;
    for (let i = 0; i < 100_000; i += 1) {
      waiting.push(new Client(), new Client(1));
      if (i % 10 === 0) queue.mark(i);
      if (i % 4 === 0) queue.flushSome();
      longest = Math.max(longest, waiting.length);
    }
    while (queue.flushSome());
    queue.flushSome();
    expect(longest).toBeLessThan(10_000);
    expect(flushed.length).toBeGreaterThan(1_000);
  });
});
