import type { Revocation } from '@tradewind/bus';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { shortOrLong } from '../../../../test/support/suite/length.ts';
import { RevocationTable } from '../auth/revocation-table.ts';
import { rightsTo } from '../auth/rights.ts';
import type { Identity, Refusal } from '../auth/token-verifier.ts';
import { Subscriptions } from './subscriptions/subscriptions.ts';
import { publicationOf } from './testing/fake-upstream.ts';
import { type FakeClient, FanOutUnderTest } from './testing/fan-out-under-test.ts';

const PLAIN = ['a', 'b'];
const SEQUENCED = ['c', 'd'];
const CHANNELS = [...PLAIN, ...SEQUENCED];
const SUBJECTS = ['u1', 'u2'];
const SEATS = 3;
const FOR_EVER = Number.MAX_SAFE_INTEGER;
const LIFE_MS = 3_600_000;

/** What a token says. It was issued in this step of the run. */
interface Claims {
  readonly subject: string;
  readonly tokenId: string;
  readonly issuedAt: number;
  readonly channels: readonly string[];
}

interface Step {
  readonly kind:
    | 'subscribe'
    | 'unsubscribe'
    | 'publish'
    | 'acknowledge'
    | 'answer'
    | 'refresh'
    | 'verify'
    | 'revoke'
    | 'stall'
    | 'drain'
    | 'reconnect';
  readonly seat: number;
  readonly channels: readonly string[];
  readonly amount: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    ...(
      [
        ...['subscribe', 'subscribe', 'publish', 'publish', 'publish', 'acknowledge', 'answer'],
        ...['refresh', 'refresh', 'verify', 'verify', 'unsubscribe', 'revoke', 'stall', 'drain'],
        'reconnect',
      ] as Step['kind'][]
    ).map((kind) => fc.constant(kind)),
  ),
  seat: fc.nat({ max: SEATS - 1 }),
  channels: fc.subarray(CHANNELS, { minLength: 1 }),
  amount: fc.nat({ max: 19 }),
});

/** One client after the other, and what it may have, by the simplest account. */
class Seat {
  client!: FakeClient;
  /** The token that counts; undefined before the first one and after the end. */
  token: Claims | undefined;
  /** Tokens that are being verified: each waits for its turn. */
  verifying: { readonly claims: Claims; readonly go: () => void }[] = [];
  /** The step in which the client last had the right to each channel. */
  lastRight = new Map<string, number>();
  /** Plain publications that were published while it had the right to them. */
  readonly mayHave = new Set<number>();
  /** How much of what it received has been judged. */
  judged = 0;
  /** Channels behind whose `unsubscribed` nothing may come before the next `subscribed`. */
  readonly left = new Set<string>();
  /** What was written to its socket when its token was revoked. */
  writtenAtEnd: number | undefined;
}

/** A fan-out worker whose clients refresh and lose tokens in any order, beside a model of what each may have. */
class World {
  readonly #server: FanOutUnderTest;
  readonly #seats: Seat[];
  readonly #table = new RevocationTable();
  readonly #revocations: Revocation[] = [];
  readonly #endsSessions: boolean;
  /** For each publication, its channel and the step in which it was published. */
  readonly #published: { readonly channel: string; readonly at: number }[] = [];
  /** The publications of each sequenced channel, in the order of their offsets. */
  readonly #logs = new Map<string, number[]>(SEQUENCED.map((channel) => [channel, []]));
  #now = 0;
  #requests = 0;
  received = 0;
  revoked = 0;
  narrowed = 0;

  /** @param endsSessions whether a revocation ends sessions, as it must. */
  constructor(endsSessions: boolean) {
    this.#endsSessions = endsSessions;
    const rate = { perSecond: 1, burst: 1_000_000 };
    this.#server = new FanOutUnderTest({
      tokens: { verify: (token) => this.#verify(JSON.parse(token)) },
      maxErrors: 1_000_000,
      requestRate: rate,
      subscribeRate: rate,
    });
    this.#seats = Array.from({ length: SEATS }, () => new Seat());
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const seat of this.#seats) await this.#sit(seat);
    for (const each of steps) {
      this.#now += 1;
      for (const seat of this.#seats) this.#noteRights(seat);
      await this.#do(each);
      for (const seat of this.#seats) this.#judge(seat);
    }
    for (const seat of this.#seats) {
      seat.client.sink.drain();
      for (let i = 0; i < 20; i += 1) seat.client.flush();
      this.#judge(seat);
    }
  }

  async end(): Promise<void> {
    for (const { verifying } of this.#seats) for (const { go } of verifying) go();
    await settled();
    this.#server[Symbol.dispose]();
  }

  async #do({ kind, seat: at, channels, amount }: Step): Promise<void> {
    const seat = this.#seats[at] as Seat;
    const { client } = seat;
    if (kind === 'publish') this.#publish(channels);
    else if (kind === 'acknowledge') this.#acknowledge();
    else if (kind === 'answer') this.#answer();
    else if (kind === 'stall') client.sink.stalled = true;
    else if (kind === 'drain') client.sink.drain();
    else if (kind === 'verify') await this.#letVerify(seat);
    else if (kind === 'revoke') await this.#revoke(seat, amount);
    else if (kind === 'reconnect' && (amount < 5 || !client.connection.isOpen))
      await this.#sit(seat);
    else if (!client.connection.isOpen) return;
    else if (kind === 'subscribe') this.#subscribe(client, channels, amount);
    else if (kind === 'unsubscribe') client.request({ type: 'unsubscribe', channels });
    else if (kind === 'refresh') this.#refresh(seat, channels, amount);
  }

  /** Another client takes the seat, with a token for everything, and subscribes to everything. */
  async #sit(seat: Seat): Promise<void> {
    seat.client?.end();
    for (const { go } of seat.verifying) go();
    seat.verifying = [];
    seat.client = this.#server.client();
    seat.token = undefined;
    seat.lastRight = new Map();
    seat.mayHave.clear();
    seat.left.clear();
    seat.judged = 0;
    seat.writtenAtEnd = undefined;
    this.#refresh(seat, CHANNELS, this.#now % 2);
    await this.#letVerify(seat);
    this.#subscribe(seat.client, CHANNELS, 0);
    this.#acknowledge();
  }

  #noteRights(seat: Seat): void {
    for (const channel of seat.token?.channels ?? []) seat.lastRight.set(channel, this.#now);
  }

  #publish(channels: readonly string[]): void {
    for (const channel of channels) {
      const number = this.#published.push({ channel, at: this.#now }) - 1;
      const log = this.#logs.get(channel);
      const offset = log === undefined ? 0 : log.push(number);
      for (const seat of this.#seats) {
        if (seat.token?.channels.includes(channel)) seat.mayHave.add(number);
      }
      this.#server.upstream.publish(channel, number, offset);
    }
  }

  #acknowledge(): void {
    const { upstream } = this.#server;
    for (const channel of [...upstream.wanted]) {
      if (upstream.isAcknowledged(channel)) continue;
      const log = this.#logs.get(channel);
      upstream.acknowledge(
        [channel],
        log === undefined ? undefined : { epoch: 'e', offset: log.length },
      );
    }
  }

  #answer(): void {
    const { upstream } = this.#server;
    for (const [channel, from] of [...upstream.pendingReads]) {
      const log = this.#logs.get(channel) as number[];
      const publications = log
        .map((number, i) => publicationOf(channel, number, i + 1))
        .filter(({ offset }) => offset >= from);
      upstream.answer(channel, 'e', publications);
    }
    for (const channel of [...upstream.ends.keys()]) upstream.answerEnd(channel);
  }

  #subscribe(client: FakeClient, names: readonly string[], amount: number): void {
    const channels = names.map((channel) => {
      if (PLAIN.includes(channel) || amount < 8) return channel;
      const log = this.#logs.get(channel) as number[];
      const since = { epoch: 'e', offset: Math.max(0, log.length - amount) };
      return amount < 14 ? { channel, history: amount } : { channel, since };
    });
    this.#requests += 1;
    client.request({ type: 'subscribe', id: this.#requests, channels });
  }

  #refresh(seat: Seat, channels: readonly string[], amount: number): void {
    const known = seat.token?.subject;
    const subject = known !== undefined && amount < 17 ? known : SUBJECTS[amount % 2];
    const tokenId = `${subject} ${amount % 3}`;
    const token = JSON.stringify({ subject, tokenId, issuedAt: this.#now, channels });
    seat.client.request({ type: 'auth', id: `t${this.#now}`, token });
    // The worker verifies one token of a client at a time, and answers another one with an error.
    const started = this.#started.splice(0);
    seat.verifying.push(...started);
  }

  readonly #started: Seat['verifying'] = [];

  /** As `TokenVerifier`: the table is asked last, without a pause before the answer. */
  async #verify(claims: Claims): Promise<Identity | Refusal> {
    const turn = Promise.withResolvers<void>();
    this.#started.push({ claims, go: turn.resolve });
    await turn.promise;
    const { channels, ...token } = claims;
    if (this.#table.covers(token, Date.now())) return { code: 'unauthorized', cause: 'revoked' };
    const rights = rightsTo((channel) => channels.includes(channel));
    return { ...token, expiresAt: Date.now() + LIFE_MS, rights };
  }

  async #letVerify(seat: Seat): Promise<void> {
    const next = seat.verifying.shift();
    if (next === undefined) return;
    const wasOpen = seat.client.connection.isOpen;
    const held = CHANNELS.filter((channel) => this.#holds(seat, channel));
    next.go();
    await settled();
    const { claims } = next;
    const isOther = seat.token !== undefined && seat.token.subject !== claims.subject;
    if (!wasOpen || isOther || this.#isRevoked(claims)) return;
    if (held.some((channel) => !claims.channels.includes(channel))) this.narrowed += 1;
    seat.token = claims;
    this.#noteRights(seat);
  }

  async #revoke(seat: Seat, amount: number): Promise<void> {
    const { subject = 'u1', tokenId = 'u1 0' } = seat.token ?? {};
    const issuedBefore = this.#now;
    const until = FOR_EVER;
    const revocations: readonly Revocation[] = [
      { subject, issuedBefore, until },
      { tokenId, until },
      { issuedBefore, until },
      { subject, issuedBefore: Math.max(1, issuedBefore - 5), until },
    ];
    const revocation = revocations[amount % revocations.length] as Revocation;
    this.#revocations.push(revocation);
    this.#table.add(revocation, Date.now());
    if (this.#endsSessions) {
      await this.#server.fanOut.endRevoked((token) => this.#table.covers(token, Date.now()));
    }
    for (const each of this.#seats) {
      if (each.token === undefined || !this.#isRevoked(each.token)) continue;
      this.revoked += 1;
      each.token = undefined;
      each.writtenAtEnd ??= each.client.sink.copies.length;
    }
  }

  #isRevoked({ subject, tokenId, issuedAt }: Claims): boolean {
    return this.#revocations.some(
      (each) =>
        (each.subject ?? subject) === subject &&
        (each.tokenId ?? tokenId) === tokenId &&
        issuedAt < (each.issuedBefore ?? FOR_EVER),
    );
  }

  #holds({ client }: Seat, channel: string): boolean {
    return this.#server.fanOut.index.has(channel, client.connection);
  }

  #judge(seat: Seat): void {
    const { client } = seat;
    client.flush();
    if (seat.writtenAtEnd !== undefined) {
      if (this.#endsSessions) expect(client.connection.isOpen, 'a revoked session').toBe(false);
      expect(client.sink.copies.length, 'written after the revocation').toBe(seat.writtenAtEnd);
    }
    for (const message of client.received.slice(seat.judged)) {
      const { type, channel = '', channels = [] } = message;
      if (type === undefined) this.#judgePublication(seat, channel, Number(message.data));
      if (type === 'unsubscribed') for (const name of channels as string[]) seat.left.add(name);
      if (type !== 'subscribed') continue;
      for (const each of channels as { channel: string }[]) seat.left.delete(each.channel);
    }
    seat.judged = client.received.length;
  }

  #judgePublication(seat: Seat, channel: string, number: number): void {
    this.received += 1;
    const { at } = this.#published[number] as { at: number };
    expect(seat.left.has(channel), `${channel} after its unsubscribed`).toBe(false);
    expect(seat.lastRight.get(channel) ?? -1, `${channel} without a right`).toBeGreaterThanOrEqual(
      at,
    );
    if (PLAIN.includes(channel))
      expect(seat.mayHave.has(number), `${number} on ${channel}`).toBe(true);
  }
}

/** Lets promises and what they begin settle. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Runs the property. @returns what happened in all runs. */
async function check(numRuns: number, endsSessions = true) {
  const totals = { received: 0, revoked: 0, narrowed: 0 };
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 20, maxLength: 60 }),
    async (steps) => {
      const world = new World(endsSessions);
      try {
        await world.run(steps);
      } finally {
        await world.end();
        totals.received += world.received;
        totals.revoked += world.revoked;
        totals.narrowed += world.narrowed;
      }
    },
  );
  const result = await fc.check(property, { numRuns });
  const failure = result.failed ? String(result.errorInstance) : undefined;
  return { ...totals, failure, report: fc.defaultReportMessage(result) };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('rights that end, in any order of refresh, subscribe, publish and revoke', () => {
  it('let no publication through afterwards', {
    timeout: shortOrLong(180_000, 1_800_000),
  }, async () => {
    const numRuns = shortOrLong(300, 10_000);
    const { report, received, revoked, narrowed } = await check(numRuns);
    expect(report).toBeUndefined();
    // Each thing happened often enough to be looked at.
    expect(received).toBeGreaterThan(numRuns);
    expect(revoked).toBeGreaterThan(numRuns / 10);
    expect(narrowed).toBeGreaterThan(numRuns / 10);
  });

  it('control: without ending the sessions of revoked tokens, publications come', async () => {
    expect((await check(1_000, false)).failure).toMatch(
      /written after the revocation|without a right/,
    );
  });

  it('control: without taking what a refreshed token no longer gives, publications come', async () => {
    vi.spyOn(Subscriptions.prototype, 'applyRights').mockImplementation(() => undefined);
    expect((await check(1_000)).failure).toMatch(/without a right|on [ab]:/);
  });
});
