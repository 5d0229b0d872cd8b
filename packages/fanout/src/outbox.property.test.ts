import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cases } from '../../../test/support/suite/length.ts';
import { countOf } from './losses.ts';
import { Outbox, type OutboxVerdict } from './outbox.ts';
import { PublicationLog } from './publication-log.ts';
import { CONTROL, type OutboxLimits, SendQueues } from './send-queues.ts';
import { SLOW_STRIKES, type SlowPolicy } from './slow-policy.ts';
import { peekSequence, shift } from './testing/next-entry.ts';

interface Entry {
  readonly sequence: number;
  readonly frame: Uint8Array;
}

/** What an outbox promises, written down with arrays and no regard for speed. */
class Model {
  waiting: Entry[] = [];
  blocked = false;
  lastSequence = 0;
  losses = new Map<string, number>();
  /** When publications were refused while blocked, since the last one that was accepted. */
  strikes: number[] = [];
  behindSince: number | undefined;
  readonly limits: OutboxLimits;
  readonly policy: SlowPolicy;

  constructor(limits: OutboxLimits, policy: SlowPolicy) {
    this.limits = limits;
    this.policy = policy;
  }

  get publications(): Entry[] {
    return this.waiting.filter(({ sequence }) => sequence !== CONTROL);
  }

  get controls(): Entry[] {
    return this.waiting.filter(({ sequence }) => sequence === CONTROL);
  }

  offer(channel: string, frame: Uint8Array, now: number): OutboxVerdict {
    this.lastSequence += 1;
    const depth = this.publications.length + 1;
    const bytes = bytesOf(this.publications) + frame.length;
    const fits = depth <= this.limits.slots && bytes <= this.limits.bytes;
    if (!fits || this.losses.size > 0) {
      this.losses.set(channel, (this.losses.get(channel) ?? 0) + 1);
      if (!this.blocked) return 'refused';
      this.strikes.push(now);
      return this.isStruckOut(now) || this.isLate(now) ? 'slow' : 'refused';
    }
    this.waiting.push({ sequence: this.lastSequence, frame });
    this.strikes = [];
    this.behindSince ??= now;
    const nextMayNotFit =
      depth === this.limits.slots || bytes > this.limits.bytes - this.limits.publicationBytes;
    return this.verdict(nextMayNotFit);
  }

  offerControl(frame: Uint8Array): OutboxVerdict {
    const count = this.controls.length + 1;
    const bytes = bytesOf(this.controls) + frame.length;
    if (count > this.limits.controls || bytes > this.limits.controlBytes) return 'slow';
    this.waiting.push({ sequence: CONTROL, frame });
    return this.verdict(count >= this.limits.controls / 2 || bytes >= this.limits.controlBytes / 2);
  }

  shift(): void {
    this.waiting.shift();
    this.settle();
  }

  takeLosses(): Map<string, number> | undefined {
    const { slots, bytes, controls } = this.limits;
    const isHalfFree =
      this.publications.length <= slots / 2 &&
      bytesOf(this.publications) <= bytes / 2 &&
      this.controls.length <= controls / 2;
    if (this.losses.size === 0 || !isHalfFree) return undefined;
    const { losses } = this;
    this.losses = new Map();
    this.settle();
    return losses;
  }

  clear(): void {
    this.waiting = [];
    this.losses = new Map();
    this.behindSince = undefined;
  }

  isLate(now: number): boolean {
    return this.behindSince !== undefined && now - this.behindSince >= this.policy.maxLagMs;
  }

  /** A client is behind while publications wait for it, or while it has not been told what is missing. */
  private settle(): void {
    if (this.publications.length === 0 && this.losses.size === 0) this.behindSince = undefined;
  }

  private isStruckOut(now: number): boolean {
    const [first] = this.strikes;
    if (first === undefined || this.strikes.length < SLOW_STRIKES) return false;
    return now - first >= this.policy.graceMs;
  }

  private verdict(nextMayNotFit: boolean): OutboxVerdict {
    if (!this.blocked && nextMayNotFit) return 'nearlyFull';
    return this.waiting.length === 1 ? 'wasIdle' : 'queued';
  }
}

function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { frame }) => sum + frame.length, 0);
}

class World {
  readonly queues: SendQueues;
  readonly outbox: Outbox;
  readonly model: Model;
  now = 0;

  constructor(limits: OutboxLimits, policy: SlowPolicy) {
    this.queues = new SendQueues(limits);
    this.outbox = new Outbox(this.queues, policy, new PublicationLog(0));
    this.model = new Model(limits, policy);
  }

  expectEqual(): void {
    const { outbox, model } = this;
    const [next] = model.waiting;
    expect(outbox.size).toBe(model.waiting.length);
    expect(outbox.depth).toBe(model.publications.length);
    expect(outbox.depth).toBeLessThanOrEqual(model.limits.slots);
    expect(outbox.bytes).toBe(bytesOf(model.publications));
    expect(outbox.bytes).toBeLessThanOrEqual(model.limits.bytes);
    expect(outbox.lastSequence).toBe(model.lastSequence);
    expect(outbox.isLate(this.now)).toBe(model.isLate(this.now));
    expect(outbox.peek()).toBe(next?.frame);
    if (next !== undefined) expect(peekSequence(outbox)).toBe(next.sequence);
  }
}

type Action = (world: World, amount: number, channel: string) => void;

const ACTIONS: Record<string, Action> = {
  offer({ outbox, model, now }, amount, channel) {
    const body = new Uint8Array(amount % (model.limits.publicationBytes + 1));
    const verdict = outbox.offer({ channel, offset: 0, body, publishedAt: 0 }, now);
    expect(verdict).toBe(model.offer(channel, body, now));
  },
  burst(world, amount, channel) {
    for (let i = 0; i < amount % 24; i += 1) ACTIONS.offer?.(world, amount + 7 * i, channel);
  },
  offerControl({ outbox, model }, amount) {
    const frame = new Uint8Array(amount);
    expect(outbox.offerControl(frame)).toBe(model.offerControl(frame));
  },
  shift({ outbox, model }, amount) {
    for (let i = 0; i <= amount % 16 && outbox.size > 0; i += 1) {
      shift(outbox);
      model.shift();
    }
  },
  block({ outbox, model }) {
    model.blocked = !model.blocked;
    outbox.blocked = model.blocked;
  },
  takeLosses({ outbox, model }) {
    const losses = outbox.takeLosses();
    const counts =
      losses && new Map(losses.map(({ channel, missing }) => [channel, countOf(missing)]));
    expect(counts).toEqual(model.takeLosses());
  },
  trim({ queues }) {
    queues.trim();
  },
  clear({ outbox, model }) {
    outbox.clear();
    model.clear();
  },
  pass(world, amount) {
    world.now += amount;
  },
};

const limits = fc
  .record({
    slots: fc.integer({ min: 1, max: 40 }),
    publicationBytes: fc.integer({ min: 1, max: 40 }),
    spareBytes: fc.oneof(fc.nat(40), fc.nat(1_000)),
    controls: fc.integer({ min: 1, max: 12 }),
    controlBytes: fc.nat(200),
  })
  .map(({ spareBytes, ...rest }) => ({ ...rest, bytes: 2 * rest.publicationBytes + spareBytes }));

const policy = fc.record({ graceMs: fc.nat(60), maxLagMs: fc.integer({ min: 1, max: 400 }) });
const channel = fc.constantFrom('a', 'b', 'c');
const step = fc.tuple(
  fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('offer', 'burst', 'shift', 'takeLosses') },
    { weight: 4, arbitrary: fc.constantFrom('offerControl', 'block', 'pass') },
    { weight: 1, arbitrary: fc.constantFrom('trim', 'clear') },
  ),
  fc.nat(60),
  channel,
);

it('equals a list after any sequence of operations', () => {
  fc.assert(
    fc.property(limits, policy, fc.array(step, { maxLength: 80, size: 'max' }), (...parts) => {
      const [outboxLimits, slowPolicy, steps] = parts;
      const world = new World(outboxLimits, slowPolicy);
      for (const [action, amount, name] of steps) {
        ACTIONS[action]?.(world, amount, name);
        world.expectEqual();
      }
      while (world.outbox.size > 0) {
        shift(world.outbox);
        world.model.shift();
        world.expectEqual();
      }
    }),
    cases(500),
  );
});

it('finds room for one of the largest publications whenever losses were taken', () => {
  fc.assert(
    fc.property(limits, fc.array(fc.nat(40), { minLength: 1 }), (outboxLimits, sizes) => {
      const outbox = new Outbox(
        new SendQueues(outboxLimits),
        { graceMs: 0, maxLagMs: 1 },
        new PublicationLog(0),
      );
      outbox.blocked = true;
      const body = (bytes: number) =>
        new Uint8Array(Math.min(bytes, outboxLimits.publicationBytes));
      const offer = (bytes: number) =>
        outbox.offer({ channel: 'a', offset: 0, body: body(bytes), publishedAt: 0 }, 0);
      for (let i = 0; outbox.lastSequence === outbox.depth; i += 1) {
        offer(sizes[i % sizes.length] as number);
      }
      while (outbox.takeLosses() === undefined) shift(outbox);
      expect(['wasIdle', 'queued']).toContain(offer(outboxLimits.publicationBytes));
    }),
  );
});
