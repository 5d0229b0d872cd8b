import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CONTROL, Outbox, type OutboxLimits } from './outbox.ts';

const CHANNELS = ['a', 'b', 'c'];
const LIMITS: OutboxLimits = {
  slots: 6,
  bytes: 120,
  publicationBytes: 40,
  controls: 1_000,
  controlBytes: 1_000_000,
};

/**
 * A client behind a socket that takes so many frames and then blocks, with an owner who keeps to
 * the outbox's contract: flush on `brim` and at the end of a turn, tell losses when they are given.
 */
class Client {
  readonly outbox = new Outbox(LIMITS, { graceMs: 1_000, maxLagMs: 1_000 });
  readonly #gaps = new Map<Uint8Array, readonly [channel: string, lost: number]>();
  /** Publications of each channel by their seq. */
  readonly #published = new Map<string, number[]>(CHANNELS.map((channel) => [channel, []]));
  /** Publications of each channel that the client knows of: received, or told as lost. */
  readonly #known = new Map<string, number>(CHANNELS.map((channel) => [channel, 0]));
  #lastReceived = 0;
  #room = 0;

  publish(channel: string, bytes: number): void {
    const verdict = this.outbox.offer({ channel, tail: new Uint8Array(bytes), publishedAt: 0 }, 0);
    this.#published.get(channel)?.push(this.outbox.lastSequence);
    if (verdict === 'brim') this.flush();
    if (verdict === 'refused') expect(this.outbox.blocked).toBe(true);
  }

  /** The socket takes more. */
  drain(frames: number): void {
    this.#room += frames;
    this.outbox.blocked = false;
    this.flush();
  }

  flush(): void {
    while (this.outbox.size > 0 && !this.outbox.blocked) {
      this.#receive(this.outbox.peek() as Uint8Array, this.outbox.peekSequence());
      this.outbox.shift();
      this.#room -= 1;
      this.outbox.blocked = this.#room <= 0;
    }
    for (const [channel, lost] of this.outbox.takeLosses() ?? []) {
      const gap = new Uint8Array(1);
      this.#gaps.set(gap, [channel, lost]);
      expect(this.outbox.offerControl(gap)).not.toBe('slow');
    }
  }

  expectNothingUntold(): void {
    for (const [channel, sequences] of this.#published) {
      expect(this.#known.get(channel)).toBe(sequences.length);
    }
  }

  #receive(frame: Uint8Array, sequence: number): void {
    if (sequence === CONTROL) {
      const [channel, lost] = this.#gaps.get(frame) ?? ['', 0];
      this.#learn(channel, lost);
      return;
    }
    expect(sequence).toBeGreaterThan(this.#lastReceived);
    this.#lastReceived = sequence;
    const [channel, sequences] = [...this.#published].find(([, all]) => all.includes(sequence)) ?? [
      '',
      [],
    ];
    this.#learn(channel, 1);
    expect(this.#known.get(channel)).toBe(sequences.indexOf(sequence) + 1);
  }

  #learn(channel: string, publications: number): void {
    this.#known.set(channel, (this.#known.get(channel) ?? 0) + publications);
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      channel: fc.constantFrom(...CHANNELS),
      amount: fc.nat(LIMITS.publicationBytes),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('drain', 'flush'), amount: fc.nat(12) }),
  },
);

it('loses nothing while the socket takes bytes, and tells each loss before the channel goes on', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const client = new Client();
      for (const action of steps) {
        if (action.kind === 'publish') client.publish(action.channel, action.amount);
        else if (action.kind === 'drain') client.drain(action.amount);
        else client.flush();
      }
      client.drain(1_000_000);
      client.flush();
      client.expectNothingUntold();
    }),
    { numRuns: 500 },
  );
}, 60_000);
