import type { Publication } from '@tradewind/fanout';
import { Gaps } from '@tradewind/fanout';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { publicationOf } from './testing/fake-upstream.ts';
import { type FakeClient, FanOutUnderTest } from './testing/fan-out-under-test.ts';
import { ReplayOracle } from './testing/replay-oracle.ts';
import { LIMITS } from './testing/test-connection.ts';

const CHANNELS = ['a', 'b'];
const CLIENTS = 3;
const MAX_HISTORY = 12;
/** The approximate size of a publication in the publication log, in bytes. */
const PUBLICATION_BYTES = 350;

/** A channel as Redis holds it and the hub has passed it on. */
interface Truth {
  epoch: string;
  offset: number;
  /** The first offset that history still holds. */
  oldest: number;
  /** Offsets that nobody can have: they were told as a gap. */
  readonly holes: Set<number>;
}

interface Seat {
  client: FakeClient;
  oracle: ReplayOracle;
  /** The number of the client's frames that the oracle has checked. */
  heard: number;
  /** The last positions in channels that it left, or that its predecessor had. */
  readonly left: Map<string, { readonly epoch: string; readonly offset: number }>;
}

/** Clients that come, go, resume, stall and read, on channels whose history is answered late. */
class World implements Disposable {
  readonly #server: FanOutUnderTest;
  readonly #truth = new Map<string, Truth>();
  /** The last offset of each epoch that is over. */
  readonly #ends = new Map<string, number>();
  /** `epoch offset` of each undeliverable publication. */
  readonly #undeliverable = new Set<string>();
  readonly #seats: Seat[];
  #epochs = 0;
  #requests = 0;
  replayed = 0;
  /** Gaps in replays. */
  gapsInReplays = 0;
  lost = 0;
  recovered = 0;
  readonly reasons = new Set<unknown>();

  constructor(logEntries: number) {
    this.#server = new FanOutUnderTest({
      logBytes: logEntries * PUBLICATION_BYTES,
      outbox: { ...LIMITS, slots: 8 },
      subscriptions: {
        maxChannelsPerClient: 8,
        maxHistory: MAX_HISTORY,
        replayRate: { perSecond: 1, burst: 1_000_000_000 },
      },
      requestRate: { perSecond: 1, burst: 1_000_000 },
      subscribeRate: { perSecond: 1, burst: 1_000_000 },
    });
    for (const channel of CHANNELS) {
      this.#truth.set(channel, {
        epoch: this.#newEpoch(),
        offset: 20,
        oldest: 1,
        holes: new Set(),
      });
    }
    this.#seats = Array.from({ length: CLIENTS }, () => this.#seat(new Map()));
  }

  do({ kind, channel, client, amount }: Step): void {
    if (kind === 'publish') this.#publish(channel, amount);
    else if (kind === 'gap') this.#gap(channel, 1 + (amount % 3));
    else if (kind === 'resync') this.#resync(channel, amount);
    else if (kind === 'trim') this.#trim(channel, amount);
    else if (kind === 'acknowledge') this.#acknowledge(channel);
    else if (kind === 'answer') this.#answer(channel, amount);
    else this.#have(this.#seats[client] as Seat, kind, channel, amount);
    for (const seat of this.#seats) this.#hear(seat);
  }

  /** Answers and reads everything: then every client is at the present. */
  async end(): Promise<void> {
    for (let i = 0; i < 50; i += 1) {
      for (const channel of CHANNELS) {
        this.#acknowledge(channel);
        this.#answer(channel, 0);
      }
      for (const seat of this.#seats) {
        seat.client.drain();
        this.#hear(seat);
      }
      await new Promise(setImmediate);
    }
    for (const { client, oracle } of this.#seats) {
      for (const channel of CHANNELS) {
        const { epoch, offset } = this.#of(channel);
        const isHeld = this.#server.fanOut.index.has(channel, client.connection);
        expect(oracle.positionOf(channel)).toEqual(isHeld ? { epoch, offset } : undefined);
      }
      this.#count(oracle);
    }
    expect(this.#server.upstream.pendingReads.size).toBe(0);
    expect(this.#server.upstream.ends.size).toBe(0);
  }

  [Symbol.dispose](): void {
    this.#server[Symbol.dispose]();
  }

  #have(seat: Seat, kind: string, channel: string, amount: number): void {
    const { client } = seat;
    if (kind === 'stall') client.stall();
    else if (kind === 'drain') client.sink.drain();
    else if (kind === 'leave') this.#leave(seat, channel);
    else if (kind === 'reconnect') this.#reconnect(seat);
    else this.#subscribe(seat, kind, channel, amount);
  }

  #subscribe({ client, oracle, left }: Seat, kind: string, channel: string, amount: number): void {
    const since = kind === 'resume' ? left.get(channel) : undefined;
    const history = kind === 'history' || amount % 4 === 0 ? amount % MAX_HISTORY : undefined;
    this.#requests += 1;
    const id = this.#requests;
    if (since !== undefined) oracle.asked.set(id, since);
    client.request({ type: 'subscribe', id, channels: [{ channel, since, history }] });
  }

  #leave({ client, oracle, left }: Seat, channel: string): void {
    const position = oracle.positionOf(channel);
    if (position !== undefined) left.set(channel, position);
    client.request({ type: 'unsubscribe', channels: [channel] });
  }

  #reconnect(seat: Seat): void {
    for (const channel of CHANNELS) this.#leave(seat, channel);
    this.#count(seat.oracle);
    seat.client.end();
    Object.assign(seat, this.#seat(seat.left));
  }

  #publish(channel: string, count: number): void {
    const truth = this.#of(channel);
    for (let i = 0; i < count; i += 1) {
      truth.offset += 1;
      const { epoch, offset } = truth;
      if (!this.#isFlowing(channel)) continue;
      this.#server.upstream.publish(channel, `${epoch} ${offset}`, offset);
    }
  }

  #gap(channel: string, lost: number): void {
    const truth = this.#of(channel);
    const from = truth.offset + 1;
    for (let i = 0; i < lost; i += 1) {
      truth.holes.add(from + i);
      this.#undeliverable.add(`${truth.epoch} ${from + i}`);
    }
    truth.offset += lost;
    if (!this.#isFlowing(channel)) return;
    const range = { epoch: truth.epoch, from, to: truth.offset, lost };
    this.#server.upstream.gap({ channel, ...range, reason: 'too_large' });
  }

  #resync(channel: string, back: number): void {
    const truth = this.#of(channel);
    this.#ends.set(truth.epoch, truth.offset);
    truth.epoch = this.#newEpoch();
    truth.offset = Math.max(0, truth.offset - back);
    truth.oldest = Math.min(truth.oldest, truth.offset + 1);
    truth.holes.clear();
    if (!this.#isFlowing(channel)) return;
    const { epoch, offset } = truth;
    this.#server.upstream.resync({ channel, epoch, offset });
  }

  #trim(channel: string, left: number): void {
    const truth = this.#of(channel);
    truth.oldest = Math.max(truth.oldest, truth.offset - left + 1);
  }

  #acknowledge(channel: string): void {
    const { upstream } = this.#server;
    if (!upstream.wanted.has(channel)) return;
    const { epoch, offset } = this.#of(channel);
    upstream.acknowledge([channel], { epoch, offset });
  }

  /** Answers a read. By chance it fails, or is older than the latest publications. */
  #answer(channel: string, chance: number): void {
    const { upstream } = this.#server;
    if (upstream.ends.has(channel)) {
      upstream.answerEnd(channel, chance === 9 ? 'unavailable' : undefined);
    }
    const from = upstream.pendingReads.get(channel);
    if (from === undefined) return;
    const { epoch, offset, oldest, holes } = this.#of(channel);
    if (chance === 9) {
      upstream.answer(channel, epoch, [], 'unavailable');
      return;
    }
    const end = Math.min(offset, from + MAX_HISTORY - 1);
    const publications: Publication[] = [];
    const gaps = new Gaps();
    for (let next = Math.max(from, oldest); next <= end; next += 1) {
      if (holes.has(next)) gaps.add(next, next, 'too_large');
      else publications.push(publicationOf(channel, `${epoch} ${next}`, next));
    }
    upstream.answer(channel, epoch, publications, undefined, gaps.all);
  }

  #hear(seat: Seat): void {
    const { client, oracle, heard } = seat;
    client.flush();
    for (const message of client.received.slice(heard)) oracle.check(message);
    seat.heard = client.received.length;
  }

  #seat(left: Seat['left']): Seat {
    const oracle = new ReplayOracle(this.#ends, this.#undeliverable);
    return { client: this.#server.client(), oracle, heard: 0, left };
  }

  #count({ replayed, gapsInReplays, lost, recovered, reasons }: ReplayOracle): void {
    for (const reason of reasons) this.reasons.add(reason);
    this.replayed += replayed;
    this.gapsInReplays += gapsInReplays;
    this.lost += lost;
    this.recovered += recovered;
  }

  #isFlowing(channel: string): boolean {
    return this.#server.upstream.isAcknowledged(channel);
  }

  #newEpoch(): string {
    this.#epochs += 1;
    return `e${this.#epochs}`;
  }

  #of(channel: string): Truth {
    return this.#truth.get(channel) as Truth;
  }
}

interface Step {
  readonly kind: string;
  readonly channel: string;
  readonly client: number;
  readonly amount: number;
}

function stepsOf(weights: Readonly<Record<string, number>>): fc.Arbitrary<Step[]> {
  const kinds = Object.entries(weights).map(([kind, weight]) => ({
    weight,
    arbitrary: fc.record({
      kind: fc.constant(kind),
      channel: fc.constantFrom(...CHANNELS),
      client: fc.nat(CLIENTS - 1),
      amount: fc.nat(9),
    }),
  }));
  return fc.array(fc.oneof(...kinds), { minLength: 50, maxLength: 250, size: 'max' });
}

/** Gaps in the history, and no other loss. */
const HOLES = { gap: 3 };
const PEACE = { publish: 8, acknowledge: 4, answer: 6, resume: 8, history: 3, leave: 2 };
const READERS = { stall: 2, drain: 2, reconnect: 3 };
const TROUBLE = { gap: 1, resync: 1, trim: 1 };

it('tells each client everything once and in order, or that it is lost, whatever happens when', async () => {
  const seen = { replayed: 0, gapsInReplays: 0, lost: 0, recovered: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 4, max: 120 }),
      stepsOf({ ...PEACE, ...READERS, ...TROUBLE }),
      async (logEntries, steps) => {
        using world = new World(logEntries);
        for (const step of steps) {
          world.do(step);
          await undefined;
        }
        await world.end();
        for (const key of ['replayed', 'gapsInReplays', 'lost', 'recovered'] as const)
          seen[key] += world[key];
      },
    ),
    cases(400),
  );
  expect(Math.min(seen.replayed, seen.lost, seen.recovered)).toBeGreaterThan(500);
  expect(seen.gapsInReplays).toBeGreaterThan(50);
});

it('lets every client recover across undeliverable publications, and loses no others', async () => {
  const reasons = new Set<unknown>();
  let recovered = 0;
  let gapsInReplays = 0;
  await fc.assert(
    fc.asyncProperty(stepsOf({ ...PEACE, ...READERS, ...HOLES }), async (steps) => {
      using world = new World(10_000);
      for (const step of steps) world.do(step);
      await world.end();
      recovered += world.recovered;
      gapsInReplays += world.gapsInReplays;
      for (const reason of world.reasons) reasons.add(reason);
    }),
    cases(200),
  );
  expect(Math.min(recovered, gapsInReplays)).toBeGreaterThan(100);
  expect([...reasons].sort()).toEqual(['history_too_long', 'unavailable']);
});

it('loses nothing and lets every client recover while the history is complete', async () => {
  const reasons = new Set<unknown>();
  let recovered = 0;
  await fc.assert(
    fc.asyncProperty(stepsOf({ ...PEACE, ...READERS }), async (steps) => {
      using world = new World(10_000);
      for (const step of steps) world.do(step);
      await world.end();
      expect(world.lost).toBe(0);
      recovered += world.recovered;
      for (const reason of world.reasons) reasons.add(reason);
    }),
    cases(200),
  );
  expect(recovered).toBeGreaterThan(200);
  expect([...reasons].sort()).toEqual(['history_too_long', 'unavailable']);
});
