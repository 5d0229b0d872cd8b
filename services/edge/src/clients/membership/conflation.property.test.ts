import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { cases } from '../../../../../test/support/suite/length.ts';
import { type FakeClient, FanOutUnderTest } from '../testing/fan-out-under-test.ts';

const INTERVALS_MS = [100, 250, 500, 1_000, 2_000];
const FIRST_EPOCH = 'e0';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

type Step =
  | { readonly kind: 'publish'; readonly count: number }
  | { readonly kind: 'gap' | 'resync' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'subscribe'; readonly client: number; readonly everyMs: number | undefined }
  | { readonly kind: 'unsubscribe' | 'stall' | 'drain'; readonly client: number };

const client = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('publish'), count: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('wait'),
      ms: fc.oneof(fc.integer({ min: 1, max: 120 }), fc.constantFrom(...INTERVALS_MS)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('gap', 'resync') }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('subscribe'),
      client,
      everyMs: fc.constantFrom(undefined, ...INTERVALS_MS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('unsubscribe', 'stall', 'drain'), client }),
  },
);

/** One client, and what it should have. Publications are counted over the whole run, from 1. */
class Follower {
  readonly #client: FakeClient;
  everyMs: number | undefined;
  isHeld = false;
  isStalled = false;
  /** The last publication that it was sent, or the last one before it joined; undefined while it has not joined. */
  #last: number | undefined;
  #read = 0;

  constructor(client: FakeClient) {
    this.#client = client;
  }

  subscribe(everyMs: number | undefined, published: number): void {
    const channel = { channel: 'a', ...(everyMs !== undefined && { latest: { everyMs } }) };
    const id = this.isHeld ? 'change' : `join ${published}`;
    this.isHeld = true;
    this.everyMs = everyMs;
    this.#client.request({ type: 'subscribe', id, channels: [channel] });
  }

  unsubscribe(): void {
    this.isHeld = false;
    this.#client.request({ type: 'unsubscribe', channels: ['a'] });
  }

  stall(): void {
    if (!this.isStalled) this.#client.stall();
    this.isStalled = true;
  }

  drain(): void {
    this.isStalled = false;
    this.#client.drain();
  }

  /** Reads what it was sent. Each publication is behind the one before it, and says how many are between them. */
  read(numberOf: ReadonlyMap<number, number>): void {
    this.#client.flush();
    for (const frame of this.#client.received.slice(this.#read)) {
      this.#read += 1;
      const { type, id, offset, skipped = 0 } = frame;
      if (type === 'subscribed' && String(id).startsWith('join')) {
        this.#last = Number(String(id).slice(5));
      }
      if (type !== undefined) continue;
      const number = numberOf.get(Number(offset)) as number;
      const last = this.#last as number;
      expect(number, 'in order').toBeGreaterThan(last);
      const between = number - last - 1;
      expect(skipped, 'delivered and skipped add up').toBe(between);
      this.#last = number;
    }
  }

  /** An interval has passed in which nothing was published. */
  expectNewest(published: number): void {
    if (!this.isHeld || this.isStalled) return;
    expect(this.#last, 'the newest').toBe(published);
  }
}

it('brings each client the newest within its interval, in order, and counts all that it leaves out', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      using server = new FanOutUnderTest();
      const followers = Array.from({ length: 4 }, () => new Follower(server.client()));
      // It wants all and reads at once: it loses nothing, whatever the others do.
      const all = server.client();
      all.request({ type: 'subscribe', channels: ['a'] });
      server.upstream.acknowledge(['a'], { epoch: FIRST_EPOCH, offset: 0 });
      const numberOf = new Map<number, number>();
      let epoch = 0;
      let offset = 0;
      for (const one of steps) {
        const follower = 'client' in one ? (followers[one.client] as Follower) : undefined;
        switch (one.kind) {
          case 'publish':
            for (let i = 0; i < one.count; i += 1) {
              offset += 1;
              numberOf.set(offset, numberOf.size + 1);
              server.upstream.publish('a', offset, offset);
            }
            break;
          case 'gap': {
            const notice = { epoch: `e${epoch}`, from: offset + 1, to: offset + 2, lost: 2 };
            offset += 2;
            server.upstream.gap({ channel: 'a', ...notice, reason: 'too_large' });
            break;
          }
          case 'resync':
            epoch += 1;
            offset += 10;
            server.upstream.resync({ channel: 'a', epoch: `e${epoch}`, offset });
            break;
          case 'subscribe':
            follower?.subscribe(one.everyMs, numberOf.size);
            break;
          case 'wait':
            vi.advanceTimersByTime(one.ms);
            break;
          default:
            follower?.[one.kind]();
        }
        for (const each of followers) each.read(numberOf);
        if (one.kind !== 'wait') continue;
        for (const each of followers) {
          if (one.ms >= (each.everyMs ?? 0)) each.expectNewest(numberOf.size);
        }
      }
      expect(all.offsets('a')).toEqual([...numberOf.keys()]);
      for (const each of followers) if (each.isHeld) each.unsubscribe();
      expect(server.fanOut.latestSubscriptions).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
    }),
    cases(300),
  );
});

it('sends no more than one publication in each interval', () => {
  const pauses = fc.array(fc.integer({ min: 0, max: 140 }), { maxLength: 60, size: 'max' });
  fc.assert(
    fc.property(pauses, fc.constantFrom(...INTERVALS_MS), (pausesMs, everyMs) => {
      using server = new FanOutUnderTest();
      const one = server.client();
      one.request({ type: 'subscribe', channels: [{ channel: 'a', latest: { everyMs } }] });
      server.upstream.acknowledge(['a'], { epoch: FIRST_EPOCH, offset: 0 });
      const windows: number[] = [];
      let sent = 0;
      const look = (): void => {
        const { length } = one.offsets('a');
        if (length > sent) windows.push(Math.floor(performance.now() / everyMs));
        expect(length - sent).toBeLessThanOrEqual(1);
        sent = length;
      };
      for (const [i, ms] of pausesMs.entries()) {
        for (let passed = 0; passed < ms; passed += 5) {
          vi.advanceTimersByTime(5);
          look();
        }
        server.upstream.publish('a', i, i + 1);
        look();
      }
      expect(new Set(windows).size).toBe(windows.length);
    }),
    cases(20),
  );
});
