import { deflateRawSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TextOfFrames } from '../../../../../test/support/clients/text-of-frames.ts';
import { shortOrLong } from '../../../../../test/support/suite/length.ts';
import { createRandom } from '../../../../../test/support/suite/random.ts';
import { BINARY_FRAMES } from '../../outbound/binary-frames.ts';
import { JSON_FRAMES } from '../../outbound/json-frames.ts';
import { FanOutUnderTest } from '../testing/fan-out-under-test.ts';
import { FormatClient } from '../testing/format-client.ts';

const EPOCH = 'k3x9';
const EVERY_MS = 250;
const RUNS = shortOrLong(100, 5_000);
const STEPS = 80;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  vi.advanceTimersByTime(10_000 - (performance.now() % 10_000));
});

afterEach(() => {
  vi.useRealTimers();
});

/** What a publication of this number says. */
function textOf(n: number): string {
  return `{"symbol":"ETH","id":${n},"price":"1666.${n % 97}","size":"26.062"}`;
}

/** A publication of some 7 KiB, of which a reference saves about a fifth. */
function noiseOf(n: number): string {
  const random = createRandom(n);
  const noise = Array.from({ length: 7_000 }, () => String.fromCharCode(35 + random.below(57)));
  return `{"id":${n},"noise":"${noise.join('')}"}`;
}

/** A node whose channel `a` publishes deflated, and one client that wants all of it. */
class Node implements Disposable {
  readonly server = new FanOutUnderTest({ formats: [JSON_FRAMES, BINARY_FRAMES] });
  readonly all = this.client();
  offset = 0;
  #reference = 0;
  readonly #text: (n: number) => string;

  constructor(text = textOf) {
    this.#text = text;
    this.all.request({ type: 'subscribe', channels: ['a'] });
    this.server.upstream.acknowledge(undefined, { epoch: EPOCH, offset: 0 });
  }

  client(): FormatClient {
    return new FormatClient(this.server.fanOut, BINARY_FRAMES, new TextOfFrames());
  }

  refer(): void {
    this.#reference += 1;
    this.server.upstream.refer('a', this.#reference, this.#text(this.#reference));
  }

  publish(times = 1): void {
    for (let i = 0; i < times; i += 1) {
      this.offset += 1;
      const data = this.#text(this.offset);
      const bytes = deflateRawSync(data, { dictionary: Buffer.from(this.#text(this.#reference)) });
      const deflated = this.#reference === 0 ? undefined : { bytes, reference: this.#reference };
      this.server.upstream.publish('a', JSON.parse(data), this.offset, deflated);
    }
  }

  latest(): FormatClient {
    const client = this.client();
    wantLatest(client, EVERY_MS);
    return client;
  }

  [Symbol.dispose](): void {
    this.server[Symbol.dispose]();
  }
}

function wantLatest(client: FormatClient, everyMs: number): void {
  client.request({ type: 'subscribe', channels: [{ channel: 'a', latest: { everyMs } }] });
}

/** The publications that a client was sent, decoded; it throws where a client could not read one. */
function numbersOf(client: FormatClient): number[] {
  return client.received().flatMap((text) => {
    const { type, data } = JSON.parse(text) as { type?: string; data?: { id: number } };
    if (type !== undefined || data === undefined) return [];
    expect(text).toContain(`"data":${textOf(data.id)}`);
    return [data.id];
  });
}

describe('a client that has the latest', () => {
  it('is told none of the references that last for less than its intervals', () => {
    using node = new Node();
    const client = node.latest();
    for (let window = 0; window < 20; window += 1) {
      for (let i = 0; i < 3; i += 1) {
        node.refer();
        node.publish(4);
      }
      vi.advanceTimersByTime(EVERY_MS);
    }
    expect(numbersOf(client).length).toBeGreaterThanOrEqual(20);
    expect(numbersOf(client).at(-1)).toBe(node.offset);
    expect(client.reader.references).toBe(0);
    node.all.received();
    expect(node.all.reader.references).toBe(60);
  });

  it('is told one that lasts, once, and reads deflated from there on', () => {
    using node = new Node();
    const client = node.latest();
    node.refer();
    const bytesOf = (): number => {
      const before = client.bytes;
      node.publish(4);
      vi.advanceTimersByTime(EVERY_MS);
      numbersOf(client);
      return client.bytes - before;
    };
    const sizes = Array.from({ length: 8 }, bytesOf);
    expect(numbersOf(client).at(-1)).toBe(node.offset);
    expect(client.reader.references).toBe(1);
    expect(sizes.at(-1)).toBeLessThan(0.5 * (sizes[0] as number));
  });

  it.each([
    ['one by one', 3],
    ['in every window', 1],
  ])('is told it when raw payloads cost what it takes, if they come %s', (_, windows) => {
    using node = new Node(noiseOf);
    const client = node.latest();
    // The reference is the first one, and says what none of the others does.
    node.publish();
    vi.advanceTimersByTime(windows * EVERY_MS);
    client.received();
    node.refer();
    const next = (): number => {
      const before = client.bytes;
      node.publish();
      vi.advanceTimersByTime(windows * EVERY_MS);
      client.received();
      return client.bytes - before;
    };
    const raw: number[] = [];
    let last = next();
    while (client.reader.references === 0) {
      raw.push(last);
      last = next();
    }
    const deflated = next();
    const told = last - deflated;
    const wasted = raw.reduce((sum, bytes) => sum + bytes - deflated, 0);
    expect(wasted).toBeLessThanOrEqual(told);
    expect(wasted).toBeGreaterThan(0.6 * told);
  });

  it('is told it for what it was sent itself, however many join', () => {
    using node = new Node();
    node.latest();
    node.refer();
    node.publish();
    const newcomers = Array.from({ length: 20 }, () => {
      const client = node.latest();
      node.publish();
      return client;
    });
    for (const client of newcomers) {
      expect(numbersOf(client)).toHaveLength(1);
      expect(client.reader.references).toBe(0);
    }
  });

  it('that wants all from now on is told what it lacks, and nothing twice', () => {
    using node = new Node();
    const client = node.latest();
    node.refer();
    client.request({ type: 'subscribe', channels: ['a'] });
    node.publish(3);
    expect(numbersOf(client)).toEqual([1, 2, 3]);
    expect(client.reader.references).toBe(1);
    wantLatest(client, EVERY_MS);
    node.publish();
    client.request({ type: 'subscribe', channels: ['a'] });
    node.publish();
    expect(numbersOf(client)).toEqual([1, 2, 3, 4, 5]);
    expect(client.reader.references).toBe(1);
  });

  it('gets nothing more once a reference has found no room in its queue, and leaves nothing to the next client', () => {
    using node = new Node();
    const client = node.latest();
    node.all.request({ type: 'subscribe', channels: ['b'] });
    node.server.upstream.acknowledge(['b'], { epoch: EPOCH, offset: 0 });
    node.refer();
    client.sink.stalled = true;
    client.request({ type: 'ping' });
    client.connection.flush();
    while (client.connection.outbox.offerControl(Buffer.alloc(1)) !== 'slow');
    // The first one wants all of what it had the latest of, so it must be told the reference.
    client.request({ type: 'subscribe', channels: ['a', 'b', 'c'] });
    expect(client.webSocket.closes).toMatchObject([{ reason: 'slow' }]);
    expect(node.server.fanOut.index.channelsOf(client.connection)).toEqual([]);
    expect(node.server.fanOut.index.count('b')).toBe(1);
    client.webSocket.end(1006);
    const next = node.client();
    node.server.upstream.publish('b', { id: 1 }, 1);
    expect(next.received().filter((text) => !text.includes('welcome'))).toEqual([]);
  });

  it('can read all that it is sent, whatever changes, and ends with the newest', () => {
    const first = Date.now() % 1_000_000_000;
    const seen = { references: 0, publications: 0 };
    for (let run = 0; run < RUNS; run += 1) {
      const random = createRandom(first + run);
      using node = new Node();
      const clients = Array.from({ length: 3 }, () => node.latest());
      const context = `seed ${first + run}`;
      const step = (client: FormatClient): void => {
        const chance = random.below(20);
        if (chance < 8) node.publish(1 + random.below(4));
        else if (chance < 10) node.refer();
        else if (chance < 14) vi.advanceTimersByTime(random.below(200));
        else if (chance === 14) client.request({ type: 'subscribe', channels: ['a'] });
        else if (chance < 17) wantLatest(client, [100, 250, 500][random.below(3)] as number);
        else if (chance === 17) client.sink.stalled = true;
        else if (chance === 18) client.sink.drain();
        else {
          client.request({ type: 'unsubscribe', channels: ['a'] });
          const since = { epoch: EPOCH, offset: Math.max(0, node.offset - random.below(5)) };
          const latest = { everyMs: 250 };
          client.request({ type: 'subscribe', channels: [{ channel: 'a', since, latest }] });
        }
        numbersOf(client);
      };
      for (let i = 0; i < STEPS; i += 1) step(clients[random.below(3)] as FormatClient);
      for (const client of clients) client.sink.drain();
      vi.advanceTimersByTime(1_000);
      node.publish();
      vi.advanceTimersByTime(1_000);
      for (const client of clients) {
        expect(numbersOf(client).at(-1), context).toBe(node.offset);
        expect(client.webSocket.closes, context).toEqual([]);
        seen.references += client.reader.references;
        seen.publications += client.reader.publications;
      }
    }
    expect(seen.references).toBeGreaterThan(RUNS);
    expect(seen.publications).toBeGreaterThan(20 * RUNS);
  });
});
