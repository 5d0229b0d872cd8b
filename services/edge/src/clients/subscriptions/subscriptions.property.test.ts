import { PublicationLog } from '@tradewind/fanout';
import type { Subscribed } from '@tradewind/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../../test/support/suite/length.ts';
import { LimitGuard } from '../../limits.ts';
import type { Connection } from '../connection/connection.ts';
import { Membership } from '../membership/membership.ts';
import { FakeUpstream, listenerOf } from '../testing/fake-upstream.ts';
import { createTestConnection, type TestConnection } from '../testing/test-connection.ts';
import { Subscriptions } from './subscriptions.ts';

const CHANNELS = ['a', 'b', 'c', 'd'];
const CLIENTS = 3;
const LIMIT = 3;

type Step =
  | {
      readonly kind: 'subscribe' | 'unsubscribe';
      readonly client: number;
      readonly names: string[];
    }
  | { readonly kind: 'acknowledge' | 'refuse'; readonly names: string[] }
  | { readonly kind: 'leave'; readonly client: number }
  | { readonly kind: 'available'; readonly available: boolean };

const names = fc.array(fc.constantFrom(...CHANNELS), { minLength: 1, maxLength: 5 });
const client = fc.integer({ min: 0, max: CLIENTS - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('subscribe' as const), client, names }),
  fc.record({ kind: fc.constant('unsubscribe' as const), client, names }),
  fc.record({ kind: fc.constant('acknowledge' as const), names }),
  fc.record({ kind: fc.constant('refuse' as const), names }),
  fc.record({ kind: fc.constant('leave' as const), client }),
  fc.record({ kind: fc.constant('available' as const), available: fc.boolean() }),
);

describe('Subscriptions, in any order of events', () => {
  it('declares a channel exactly while a client holds it or waits for it, and settles every request once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World();
        for (const each of steps) {
          world.do(each);
          world.check();
        }
        world.end();
      }),
      cases(1_000),
    );
  });
});

/** The real subscriptions beside the simplest model of them. `FakeUpstream` throws on a broken alternation. */
class World {
  readonly #membership = new Membership();
  readonly #upstream = new FakeUpstream();
  readonly #subscriptions: Subscriptions;
  readonly #clients: TestConnection[];
  /** Per client and channel: `waits` or `holds`. */
  readonly #model: Map<string, 'waits' | 'holds'>[];
  /** Channels that upstream has acknowledged and that are still wanted. */
  readonly #flowing = new Set<string>();
  /** How many channels each request named, by its id; without those of clients that left. */
  readonly #asked = new Map<number, { readonly client: number; readonly count: number }>();
  #requests = 0;

  constructor() {
    this.#subscriptions = new Subscriptions(
      this.#membership,
      { heldBackOf: () => undefined },
      {
        maxChannelsPerClient: LIMIT,
        maxHistory: 1_000,
        replayRate: { perSecond: 1, burst: 1_000_000_000 },
      },
      new PublicationLog(1_000_000),
      this.#upstream,
      () => {},
      new LimitGuard(true, () => {}),
    );
    this.#upstream.connect(listenerOf(this.#subscriptions));
    this.#subscriptions.cutOff = 'none';
    this.#clients = Array.from({ length: CLIENTS }, () => createTestConnection());
    this.#model = this.#clients.map(() => new Map());
  }

  do(step: Step): void {
    if (step.kind === 'subscribe') this.#subscribe(step.client, step.names);
    else if (step.kind === 'unsubscribe') this.#unsubscribe(step.client, step.names);
    else if (step.kind === 'leave') this.#leave(step.client);
    else if (step.kind === 'available')
      this.#subscriptions.cutOff = step.available ? 'none' : 'all';
    else this.#hear(step.kind, [...new Set(step.names)]);
  }

  check(): void {
    const wanted = new Set(this.#model.flatMap((held) => [...held.keys()]));
    for (const name of this.#flowing) if (!wanted.has(name)) this.#flowing.delete(name);
    expect(new Set(this.#upstream.wanted)).toEqual(wanted);
    expect(this.#subscriptions.interest).toBe(wanted.size);
    this.#model.forEach((held, i) => {
      for (const name of CHANNELS) {
        const isHeld = this.#membership.index.has(name, this.#connection(i));
        expect(isHeld, `client ${i} holds ${name}`).toBe(held.get(name) === 'holds');
      }
    });
  }

  /** Upstream settles the rest; then each request has its answer, in frames of which the last is done. */
  end(): void {
    this.#hear('acknowledge', CHANNELS);
    this.check();
    const answers = this.#clients.flatMap(({ sent }) => sent());
    for (const [id, { count }] of this.#asked) {
      const frames = answers.filter(
        (frame): frame is Subscribed => frame.type === 'subscribed' && frame.id === id,
      );
      const settled = frames.flatMap(({ channels, rejected = [] }) => [...channels, ...rejected]);
      const done = frames.map((frame) => frame.done);
      expect(settled).toHaveLength(count);
      expect(done).toEqual([...Array(frames.length - 1).fill(false), true]);
    }
  }

  #subscribe(at: number, names: readonly string[]): void {
    const held = this.#model[at] as Map<string, 'waits' | 'holds'>;
    for (const name of names) {
      if (held.has(name) || held.size >= LIMIT || this.#subscriptions.cutOff === 'all') continue;
      held.set(name, this.#flowing.has(name) ? 'holds' : 'waits');
    }
    const channels = names.map((channel) => ({ channel, since: undefined, history: undefined }));
    this.#requests += 1;
    const id = this.#requests;
    this.#asked.set(id, { client: at, count: names.length });
    this.#subscriptions.subscribe(
      this.#connection(at),
      { type: 'subscribe', id, channels, rejected: [] },
      0,
    );
  }

  #unsubscribe(at: number, channels: readonly string[]): void {
    for (const name of channels) this.#model[at]?.delete(name);
    const request = { type: 'unsubscribe', id: undefined, channels } as const;
    this.#subscriptions.unsubscribe(this.#connection(at), request);
  }

  /** A connection leaves, and another client takes its place. */
  #leave(at: number): void {
    this.#model[at]?.clear();
    this.#subscriptions.removeClient(this.#connection(at));
    this.#clients[at] = createTestConnection();
    for (const [id, { client }] of this.#asked) if (client === at) this.#asked.delete(id);
  }

  #hear(kind: 'acknowledge' | 'refuse', names: readonly string[]): void {
    const wanted = names.filter((name) => this.#upstream.wanted.has(name));
    for (const name of wanted) {
      if (kind === 'acknowledge') this.#flowing.add(name);
      for (const held of this.#model) {
        if (kind === 'refuse') held.delete(name);
        else if (held.has(name)) held.set(name, 'holds');
      }
    }
    if (kind === 'acknowledge') this.#upstream.acknowledge(wanted);
    else this.#upstream.refuse(wanted, 'unavailable');
  }

  #connection(at: number): Connection {
    return (this.#clients[at] as TestConnection).connection;
  }
}
