import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cases } from '../../../test/support/suite/length.ts';
import { countOf } from './losses.ts';
import { Outbox } from './outbox.ts';
import { PublicationLog } from './publication-log.ts';
import { CONTROL, type OutboxLimits, SendQueues } from './send-queues.ts';
import { peekSequence, shift } from './testing/next-entry.ts';

const CHANNELS = ['a', 'b', 'c'];
const LIMITS: OutboxLimits = {
  slots: 6,
  bytes: 120,
  publicationBytes: 40,
  controls: 1_000,
  controlBytes: 1_000_000,
};

/** What the log counts for a publication besides its body; see publication-log.ts. */
const LOG_ENTRY_BYTES = 256;

interface Sent {
  readonly channel: string;
  readonly body: Uint8Array;
}

/**
 * A client behind a socket that takes some frames and then blocks, with an owner who keeps to
 * the outbox's contract: append to the log before offering, flush on `nearlyFull` and at the end of a turn,
 * tell losses when they are given, and then catch up.
 */
class Client {
  readonly outbox: Outbox;
  readonly #log: PublicationLog;
  readonly #subscribed = new Set(CHANNELS);
  readonly #gaps = new Map<Uint8Array, readonly [channel: string, lost: number]>();
  /** What was offered, by the seq that it took. */
  readonly #offered = new Map<number, Sent>();
  /** For each channel the numbers that the client does not know of yet, oldest first. */
  readonly #unknown = new Map<string, number[]>(CHANNELS.map((channel) => [channel, []]));
  #hasLeft = false;
  #lastReceived = 0;
  #room = 0;
  caughtUp = 0;
  lost = 0;

  constructor(logEntries: number) {
    this.#log = new PublicationLog(logEntries * (LOG_ENTRY_BYTES + 20));
    this.outbox = new Outbox(
      new SendQueues(LIMITS),
      { graceMs: 1_000, maxLagMs: 1_000 },
      this.#log,
    );
  }

  publish(channel: string, bytes: number): void {
    const publication = { channel, offset: 0, body: new Uint8Array(bytes), publishedAt: 0 };
    this.#log.append(publication);
    if (!this.#subscribed.has(channel)) return;
    const verdict = this.outbox.offer(publication, 0);
    this.#offered.set(this.outbox.lastSequence, publication);
    this.#unknown.get(channel)?.push(this.outbox.lastSequence);
    if (verdict === 'nearlyFull') this.flush();
    if (verdict === 'refused') expect(this.outbox.blocked || this.outbox.isBehind).toBe(true);
  }

  /** Leaves a channel, or receives it again. It need not get what it has not had of the channel by then. */
  toggle(channel: string): void {
    this.#hasLeft = true;
    if (!this.#subscribed.delete(channel)) {
      this.#subscribed.add(channel);
      return;
    }
    this.outbox.leave(channel);
  }

  /** The socket takes more. */
  drain(frames: number): void {
    this.#room += frames;
    this.outbox.blocked = false;
    this.flush();
  }

  flush(): void {
    while (this.outbox.size > 0 && !this.outbox.blocked) {
      this.#receive(this.outbox.peek() as Uint8Array, peekSequence(this.outbox) as number);
      shift(this.outbox);
      this.#room -= 1;
      this.outbox.blocked = this.#room <= 0;
    }
    for (const { channel, missing } of this.outbox.takeLosses() ?? []) {
      const lost = countOf(missing) ?? Number.NaN;
      const gap = new Uint8Array(1);
      this.#gaps.set(gap, [channel, lost]);
      expect(this.outbox.offerControl(gap)).not.toBe('slow');
      this.lost += lost;
    }
    this.caughtUp += this.outbox.catchUp();
  }

  /** In the end everything reaches the client, or the client is told of it. */
  settle(): void {
    for (let i = 0; i < 1_000; i += 1) {
      this.drain(1_000_000);
      if (this.outbox.size === 0 && !this.outbox.isBehind) break;
    }
    expect(this.outbox.isBehind).toBe(false);
    if (this.#hasLeft) return;
    for (const [channel, unknown] of this.#unknown)
      expect([channel, unknown]).toEqual([channel, []]);
  }

  #receive(frame: Uint8Array, sequence: number): void {
    if (sequence === CONTROL) {
      const [channel, lost] = this.#gaps.get(frame) ?? ['', 0];
      this.#unknown.get(channel)?.splice(0, lost);
      return;
    }
    expect(sequence).toBeGreaterThan(this.#lastReceived);
    this.#lastReceived = sequence;
    const sent = this.#offered.get(sequence) as Sent;
    expect(frame === sent.body, `seq ${sequence} is what took that number`).toBe(true);
    // A gap precedes the next publication of its channel: nothing before this one is unknown.
    if (!this.#hasLeft) expect(this.#unknown.get(sent.channel)?.shift()).toBe(sequence);
  }
}

const publish = {
  weight: 6,
  arbitrary: fc.record({
    kind: fc.constant('publish' as const),
    channel: fc.constantFrom(...CHANNELS),
    amount: fc.nat(LIMITS.publicationBytes),
  }),
};

const read = {
  weight: 1,
  arbitrary: fc.record({ kind: fc.constantFrom('drain', 'flush'), amount: fc.nat(12) }),
};

const leave = {
  weight: 1,
  arbitrary: fc.record({
    kind: fc.constant('toggle' as const),
    channel: fc.constantFrom(...CHANNELS),
    amount: fc.constant(0),
  }),
};

type Step = { readonly kind: string; readonly channel?: string; readonly amount: number };

function run(client: Client, steps: readonly Step[]): void {
  for (const { kind, channel = '', amount } of steps) {
    if (kind === 'publish') client.publish(channel, amount);
    else if (kind === 'toggle') client.toggle(channel);
    else if (kind === 'drain') client.drain(amount);
    else client.flush();
  }
  client.settle();
}

const stepsOf = (...kinds: readonly fc.WeightedArbitrary<Step>[]) =>
  fc.array(fc.oneof(...kinds), { maxLength: 120, size: 'max' });

it('gives a client all that it missed, or tells it, whatever the log still holds', () => {
  let caughtUp = 0;
  let lost = 0;
  fc.assert(
    fc.property(fc.nat(40), stepsOf(publish, read), (logEntries, steps) => {
      const client = new Client(logEntries);
      run(client, steps);
      caughtUp += client.caughtUp;
      lost += client.lost;
    }),
    cases(500),
  );
  expect(Math.min(caughtUp, lost)).toBeGreaterThan(100);
});

it('never gives a client what was published while it did not receive the channel', () => {
  fc.assert(
    fc.property(fc.nat(40), stepsOf(publish, read, leave), (logEntries, steps) => {
      run(new Client(logEntries), steps);
    }),
    cases(500),
  );
});

it('loses nothing as long as the log holds all of it', () => {
  fc.assert(
    fc.property(stepsOf(publish, read), (steps) => {
      const client = new Client(1_000);
      run(client, steps);
      expect(client.lost).toBe(0);
    }),
    cases(300),
  );
});
