import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FlushRound } from './flush-round.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});

afterEach(() => {
  vi.restoreAllMocks();
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
  const round = new FlushRound<Client>(waiting, (publishedAt) => flushed.push(publishedAt));
  return { waiting, flushed, round };
}

/** A round of `size` clients, each of which takes 1 ms, after its first slice, in which it flushed 16. */
function underWay(size = 200) {
  const { waiting, round } = setUp();
  const clients = Array.from({ length: size }, () => new Client(1));
  waiting.push(...clients);
  round.flushSome();
  const flushed = () => clients.filter(({ flushes }) => flushes === 1).length;
  const flushedIn = (act: () => void): number => {
    const before = flushed();
    act();
    return flushed() - before;
  };
  return { round, flushedIn };
}

describe('FlushRound', () => {
  it('flushes everyone once, in the order in which they came', () => {
    const { waiting, round } = setUp();
    const order: number[] = [];
    for (let i = 0; i < 100; i += 1) waiting.push(new Client(0, () => order.push(i)));
    expect(round.isEmpty).toBe(false);
    expect(round.flushSome()).toBe(false);
    expect(order).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(round.isEmpty).toBe(true);
    expect(waiting).toEqual([]);
  });

  it('makes way after a slice of 5 ms, and continues where it stopped', () => {
    const { waiting, round } = setUp();
    const clients = Array.from({ length: 64 }, () => new Client(1));
    waiting.push(...clients);
    let turns = 1;
    while (round.flushSome()) turns += 1;
    expect(turns).toBeGreaterThan(2);
    expect(clients.every(({ flushes }) => flushes === 1)).toBe(true);
  });

  it('takes as long as what came between, so that the sockets do not starve', () => {
    const { round, flushedIn } = underWay();
    vi.advanceTimersByTime(40);
    expect(flushedIn(() => round.flushSome())).toBe(48);
  });

  it.each([
    ['5 ms', 0, 2, [0, 0, 16]],
    ['a fifth of the time once 2 MiB were queued', 2 * 1024 * 1024, 5, [0, 0, 64]],
  ])('makes way again while turns bring much, for up to %s', (_, queuedBytes, turnMs, expected) => {
    const { round, flushedIn } = underWay();
    round.mark(0, queuedBytes, true);
    const flushed = expected.map(() => {
      vi.advanceTimersByTime(turnMs);
      round.mark(0, 8 * 1024, true);
      return flushedIn(() => round.flushSome());
    });
    expect(flushed).toEqual(expected);
  });

  it.each([25, 200])('catches up, though a turn brings no more than %i publications', (perTurn) => {
    // 20,000 publications a second, each for 5 of 500 clients, and those of one second wait to be read. The steps take most of
    // the time: 27 % goes into what comes in, and 20 % into what a delivery adds to a write.
    const [perSecond, subscribers, bytes] = [20_000, 5, 640];
    const [takeInMs, writeMs, deliveryMs] = [0.0135, 0.095, 0.002];
    const { waiting, round } = setUp();
    const startedAt = performance.now();
    let now = startedAt;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    const clients = Array.from({ length: 500 }, () => ({
      waits: 0,
      touch: () => 1,
      flush() {
        now += writeMs + this.waits * deliveryMs;
        this.waits = 0;
      },
    }));
    let taken = 0;
    let unread = perSecond;
    for (const endAt = now + 10_000; now < endAt; ) {
      unread = perSecond + (now - startedAt) * (perSecond / 1_000) - taken;
      for (let i = Math.min(perTurn, Math.floor(unread)); i > 0; i -= 1, taken += 1) {
        now += takeInMs;
        for (let k = 0; k < subscribers; k += 1) {
          const client = clients[(taken * subscribers + k * 101) % clients.length]!;
          if (client.waits === 0) waiting.push(client as unknown as Client);
          client.waits += 1;
        }
        round.mark(0, bytes, true);
      }
      round.flushSome();
      now += 0.05;
    }
    expect(unread).toBeLessThan(perSecond / 10);
  });

  it('does not wait for more when a turn brings little, whatever the one before it brought', () => {
    const { round, flushedIn } = underWay();
    round.mark(0, 8 * 1024, true);
    expect(flushedIn(() => round.flushSome())).toBe(0);
    round.mark(0, 1_024, true);
    expect(flushedIn(() => round.flushSome())).toBe(16);
  });

  it('does not wait for more before a round begins, however much came', () => {
    const { waiting, round } = setUp();
    const client = new Client();
    round.mark(0, 64 * 1024, true);
    waiting.push(client);
    round.flushSome();
    expect(client.flushes).toBe(1);
  });

  it('takes slices of 50 ms once 2 MiB were queued during a round', () => {
    const { round, flushedIn } = underWay();
    round.mark(0, 2 * 1024 * 1024, true);
    round.flushSome();
    expect(flushedIn(() => round.flushSome())).toBe(64);
    round.mark(0, 1_024, true);
    expect(flushedIn(() => round.flushSome())).toBe(64);
  });

  it('takes no such slices for what nobody is to receive', () => {
    const { round, flushedIn } = underWay();
    round.mark(0, 2 * 1024 * 1024, false);
    round.flushSome();
    expect(flushedIn(() => round.flushSome())).toBe(16);
  });

  it('gives the sockets four times as long as what comes between from then on', () => {
    const { round, flushedIn } = underWay(1_000);
    round.mark(0, 2 * 1024 * 1024, true);
    vi.advanceTimersByTime(20);
    expect(flushedIn(() => round.flushSome())).toBe(80);
  });

  it.each([0, 2 * 1024 * 1024])('makes way after 250 ms whatever came, here %i bytes', (bytes) => {
    const { round, flushedIn } = underWay(1_000);
    round.mark(0, bytes, true);
    vi.advanceTimersByTime(60_000);
    expect(flushedIn(() => round.flushSome())).toBe(256);
  });

  it('counts anew what is queued in each round', () => {
    const { waiting, round } = setUp();
    waiting.push(new Client());
    round.mark(0, 2 * 1024 * 1024, true);
    round.flushSome();
    const clients = Array.from({ length: 200 }, () => new Client(1));
    waiting.push(...clients);
    round.flushSome();
    round.flushSome();
    expect(clients.filter(({ flushes }) => flushes === 1)).toHaveLength(32);
  });

  it('begins a round with a short slice, however long it was quiet', () => {
    const { waiting, round } = setUp();
    waiting.push(...Array.from({ length: 200 }, () => new Client(1)));
    vi.advanceTimersByTime(60_000);
    expect(round.flushSome()).toBe(true);
  });

  it('leaves clients that begin to wait during a round to the next one', () => {
    const { waiting, round } = setUp();
    const again: Client = new Client(0, () => waiting.push(again));
    waiting.push(again);
    expect(round.flushSome()).toBe(false);
    expect(again.flushes).toBe(1);
    expect(round.isEmpty).toBe(false);
    round.flushSome();
    expect(again.flushes).toBe(2);
  });

  it('tells of a publication when everyone who waited for it has been flushed', () => {
    const { waiting, flushed, round } = setUp();
    round.mark(1, 100, true);
    for (let i = 0; i < 32; i += 1) waiting.push(new Client(1));
    round.mark(2, 100, true);
    for (let i = 0; i < 32; i += 1) waiting.push(new Client(1));
    round.mark(3, 100, true);
    round.flushSome();
    expect(flushed, 'no one waited for 1').toEqual([]);
    round.flushSome();
    expect(flushed).toEqual([2]);
    while (round.flushSome());
    expect(flushed).toEqual([2, 3]);
  });

  it('removes flushed entries, although the list of who waits is never empty', () => {
    const { waiting, flushed, round } = setUp();
    let longest = 0;
    for (let i = 0; i < 100_000; i += 1) {
      waiting.push(new Client(), new Client(1));
      if (i % 10 === 0) round.mark(i, 100, true);
      if (i % 4 === 0) round.flushSome();
      longest = Math.max(longest, waiting.length);
    }
    while (round.flushSome());
    round.flushSome();
    expect(longest).toBeLessThan(10_000);
    expect(flushed.length).toBeGreaterThan(1_000);
  });
});
