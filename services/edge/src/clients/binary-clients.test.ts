import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { TextOfFrames } from '../../../../test/support/clients/text-of-frames.ts';
import { BINARY_FRAMES } from '../outbound/binary-frames.ts';
import { JSON_FRAMES } from '../outbound/json-frames.ts';
import type { WireFormat } from '../outbound/wire-format.ts';
import { until } from './testing/deadline.ts';
import { publicationsOf } from './testing/fake-upstream.ts';
import { DEFAULTS } from './testing/fan-out-server.ts';
import { FanOutUnderTest } from './testing/fan-out-under-test.ts';
import { FormatClient } from './testing/format-client.ts';
import { LIMITS } from './testing/test-connection.ts';

const FORMATS = [JSON_FRAMES, BINARY_FRAMES] as const;
const EPOCH = 'k3x9';

/** What a publication of this number says. */
function textOf(n: number): string {
  return `{"symbol":"ETH","id":${n},"price":"1666.${n}","size":"26.062"}`;
}

/** The numbers in the publications that a client has received. */
function numbersOf(client: FormatClient): number[] {
  const messages = client.received().map((text) => JSON.parse(text) as Record<string, unknown>);
  return messages
    .filter(({ type }) => type === undefined)
    .map(({ data }) => (data as { id: number }).id);
}

/** A node with the channel `a`, which publishes deflated. */
function start(settings: ConstructorParameters<typeof FanOutUnderTest>[0] = {}) {
  const server = new FanOutUnderTest({ formats: FORMATS, ...settings });
  let offset = 0;
  let reference = { id: 0, data: '' };
  return {
    server,
    [Symbol.dispose]: () => server[Symbol.dispose](),
    refer(id: number): void {
      reference = { id, data: textOf(1_000 + id) };
      server.upstream.refer('a', id, reference.data);
    },
    publish(times = 1): void {
      for (let i = 0; i < times; i += 1) {
        offset += 1;
        const data = textOf(offset);
        const bytes = deflateRawSync(data, { dictionary: Buffer.from(reference.data) });
        const deflated = reference.id === 0 ? undefined : { bytes, reference: reference.id };
        server.upstream.publish('a', JSON.parse(data), offset, deflated);
      }
    },
    subscriber(format: WireFormat = BINARY_FRAMES) {
      const client = new FormatClient(server.fanOut, format, new TextOfFrames());
      client.request({ type: 'subscribe', channels: ['a'] });
      server.upstream.acknowledge(undefined, { epoch: EPOCH, offset });
      return client;
    },
  };
}

describe('a client with binary frames', () => {
  it('gets what a client with text frames gets, and less of it', () => {
    using node = start();
    const [binary, text] = [node.subscriber(), node.subscriber(JSON_FRAMES)];
    const { savedByChannel } = node.server.fanOut;
    savedByChannel.take(0);
    node.publish();
    node.refer(1);
    node.publish(20);
    node.server.upstream.gap({ channel: 'a', reason: 'link' });
    node.server.upstream.resync({ channel: 'a', epoch: 'next', offset: 0 });
    expect(binary.received().slice(1)).toEqual(text.received().slice(1));
    expect(binary.reader).toMatchObject({ publications: 21, references: 1 });
    expect(binary.bytes).toBeLessThan(0.6 * text.bytes);
    const { savedBytes } = node.server.fanOut.statistics;
    expect(savedBytes).toBeGreaterThan(20 * 80);
    expect(savedByChannel.take(1_000)('a')).toBe(savedBytes);
  });

  it('is told the number and the base of times, and a client with text frames only the number', () => {
    using node = start();
    const answerOf = (client: FormatClient) => {
      client.received();
      const answer = client.sink.frames.find(({ payload }) => payload.includes('"subscribed"'));
      return JSON.parse(String(answer?.payload)).channels[0];
    };
    expect(answerOf(node.subscriber())).toEqual({
      ...{ channel: 'a', ref: 1, ts: expect.any(Number), epoch: EPOCH, offset: 0 },
    });
    expect(answerOf(node.subscriber(JSON_FRAMES))).toEqual({
      ...{ channel: 'a', ref: 1, epoch: EPOCH, offset: 0 },
    });
  });

  it('that comes later is told the reference with its answer', () => {
    using node = start();
    node.subscriber();
    node.refer(1);
    node.refer(2);
    node.publish();
    const late = node.subscriber();
    expect(late.reader.references).toBe(0);
    node.publish();
    expect(numbersOf(late)).toEqual([2]);
    expect(late.reader.references).toBe(1);
  });

  describe.each([
    ['may not have the past of the channel', false],
    ['has used up its replay budget', true],
  ])('that %s', (_, isAllowed) => {
    function startRaw() {
      const replayRate = { perSecond: 1, burst: 1 };
      const { subscriptions } = DEFAULTS;
      const node = start(isAllowed ? { subscriptions: { ...subscriptions, replayRate } } : {});
      node.subscriber();
      node.refer(1);
      node.publish();
      const client = new FormatClient(node.server.fanOut, BINARY_FRAMES, new TextOfFrames());
      const { session } = client.connection;
      if (!isAllowed) session.rights = { ...session.rights, allowsHistory: () => false };
      client.request({ type: 'subscribe', channels: ['a'] });
      if (isAllowed) {
        expect(client.reader.references).toBe(0);
        client.received();
        expect(client.reader.references, 'the first one is within the budget').toBe(1);
        client.request({ type: 'unsubscribe', channels: ['a'] });
        client.request({ type: 'subscribe', channels: ['a'] });
      }
      client.received();
      return { node, client, told: client.reader.references };
    }

    it('is told no reference, and reads everything raw', () => {
      const { node, client, told } = startRaw();
      using _node = node;
      node.publish();
      node.refer(2);
      node.publish(3);
      expect(numbersOf(client)).toEqual([2, 3, 4, 5]);
      expect(client.reader.references).toBe(told);
      node.server.upstream.gap({ channel: 'a', reason: 'link' });
      expect(client.received().at(-1)).toContain('"gap"');
    });

    it('reads the latest, and what waited for it, raw', async () => {
      const { node, client, told } = startRaw();
      using _node = node;
      const latest = { everyMs: 100 };
      client.request({ type: 'subscribe', channels: [{ channel: 'a', latest }] });
      node.publish(9);
      await until(() => numbersOf(client).at(-1) === 10, 'the latest');
      client.request({ type: 'subscribe', channels: ['a'] });
      node.refer(2);
      client.sink.stalled = true;
      node.publish(40);
      client.connection.flush();
      client.sink.drain();
      expect(numbersOf(client).at(-1)).toBe(50);
      expect(client.reader.references).toBe(told);
    });
  });

  it('whose next token has no right to the past is told no further reference', async () => {
    const verify = async (token: string) => {
      const rights = { ...DEFAULTS.rights, allowsHistory: () => token === 'past' };
      return {
        subject: 'u',
        issuedAt: 0,
        expiresAt: Date.now() + 60_000,
        tokenId: undefined,
        rights,
      };
    };
    using node = start({ tokens: { verify } });
    const client = new FormatClient(node.server.fanOut, BINARY_FRAMES, new TextOfFrames());
    const identify = async (token: string) => {
      client.request({ type: 'auth', token });
      await until(
        () => client.connection.session.rights.allowsHistory('a') === (token === 'past'),
        'the rights of the token',
      );
    };
    await identify('past');
    client.request({ type: 'subscribe', channels: ['a'] });
    node.server.upstream.acknowledge(undefined, { epoch: EPOCH, offset: 0 });
    node.refer(1);
    node.publish();
    await identify('none');
    node.refer(2);
    node.publish();
    expect(numbersOf(client)).toEqual([1, 2]);
    expect(client.reader.references).toBe(1);
  });

  it('that asks again for a channel that it holds is told nothing twice', () => {
    using node = start();
    const client = node.subscriber();
    node.refer(1);
    client.request({ type: 'subscribe', channels: ['a'] });
    node.publish();
    expect(numbersOf(client)).toEqual([1]);
    expect(client.reader.references).toBe(1);
  });

  it('that wants the latest gets it with what it skipped, also where the reference changes meanwhile', async () => {
    using node = start();
    const [binary, text] = [node.subscriber(), node.subscriber(JSON_FRAMES)];
    const latest = { everyMs: 100 };
    for (const client of [binary, text]) {
      client.request({ type: 'subscribe', channels: [{ channel: 'a', latest }] });
    }
    node.refer(1);
    node.publish(9);
    // What is held back was deflated against the reference before this one.
    node.refer(2);
    const bothEndWith = (n: number) => () =>
      [binary, text].every((client) => numbersOf(client).at(-1) === n);
    await until(bothEndWith(9), 'the latest');
    node.publish(5);
    await until(bothEndWith(14), 'the next');
    expect(binary.received().slice(1)).toEqual(text.received().slice(1));
    expect(binary.received().at(-1)).toContain('"skipped":');
    expect(binary.reader.references, 'none was of use').toBe(0);
  });

  it('that wants the latest is no reason to deflate, and one that wants all is', () => {
    using node = start();
    const client = node.subscriber();
    const { deflated } = node.server.upstream;
    const ask = (channel: object) => client.request({ type: 'subscribe', channels: [channel] });
    expect([...deflated]).toEqual(['a']);
    ask({ channel: 'a', latest: { everyMs: 100 } });
    expect([...deflated]).toEqual([]);
    ask({ channel: 'a', latest: { everyMs: 250 } });
    expect([...deflated]).toEqual([]);
    ask({ channel: 'a' });
    expect([...deflated]).toEqual(['a']);
    client.request({ type: 'unsubscribe', channels: ['a'] });
    expect([...deflated]).toEqual([]);
  });

  it('that left a channel and comes back can read it', () => {
    using node = start();
    const [client] = [node.subscriber(), node.subscriber()];
    node.refer(1);
    node.publish();
    client.request({ type: 'unsubscribe', channels: ['a'] });
    client.request({ type: 'subscribe', channels: ['a'] });
    node.publish();
    expect(numbersOf(client)).toEqual([1, 2]);
  });

  it('reads a replay: deflated against what it was told, and raw otherwise', () => {
    using node = start();
    node.subscriber();
    node.refer(1);
    node.publish(3);
    node.refer(2);
    node.publish(3);
    const client = new FormatClient(node.server.fanOut, BINARY_FRAMES, new TextOfFrames());
    client.request({
      type: 'subscribe',
      channels: [{ channel: 'a', since: { epoch: EPOCH, offset: 0 } }],
    });
    expect(numbersOf(client)).toEqual([1, 2, 3, 4, 5, 6]);
    const sizes = client.sink.frames.flatMap(({ opcode, payload }) =>
      opcode === 2 ? [payload.length] : [],
    );
    expect(Math.min(...sizes.slice(0, 3))).toBeGreaterThan(Math.max(...sizes.slice(3)));
  });

  it('shares what a replay is made of with others for no longer than a second or two', async () => {
    let made = 0;
    const counted: WireFormat = {
      ...BINARY_FRAMES,
      bodyOf(publication) {
        made += 1;
        return BINARY_FRAMES.bodyOf(publication);
      },
    };
    using node = start({ formats: [JSON_FRAMES, counted] });
    node.subscriber(JSON_FRAMES);
    node.publish(3);
    const replay = () => {
      const client = new FormatClient(node.server.fanOut, counted, new TextOfFrames());
      const since = { epoch: EPOCH, offset: 0 };
      client.request({ type: 'subscribe', channels: [{ channel: 'a', since }] });
      expect(numbersOf(client)).toEqual([1, 2, 3]);
      client.webSocket.end(1006);
      return made;
    };
    const first = replay();
    await until(() => replay() > first, 'they are made again');
  });

  it('reads what the node had to read from history', () => {
    using node = start();
    node.subscriber();
    node.refer(1);
    node.server.upstream.resync({ channel: 'a', epoch: EPOCH, offset: 3 });
    const client = new FormatClient(node.server.fanOut, BINARY_FRAMES, new TextOfFrames());
    client.request({
      type: 'subscribe',
      channels: [{ channel: 'a', since: { epoch: EPOCH, offset: 0 } }],
    });
    node.server.upstream.answer('a', EPOCH, publicationsOf('a', 1, 3));
    const data = client.received().flatMap((text) => JSON.parse(text).data ?? []);
    expect(data).toEqual([1, 2, 3]);
  });

  it('that is slow catches up across references, and gets the same gap as a client with text frames', () => {
    for (const logBytes of [1_000_000, 30_000]) {
      using node = start({ outbox: { ...LIMITS, slots: 8 }, logBytes });
      const clients = [node.subscriber(), node.subscriber(JSON_FRAMES)];
      node.refer(1);
      node.publish(2);
      for (const client of clients) {
        client.received();
        client.sink.stalled = true;
      }
      for (let round = 0; round < 10; round += 1) {
        node.publish(10);
        if (round % 3 === 2) node.refer(2 + round);
        for (const { connection } of clients) connection.flush();
      }
      for (const { connection } of clients) expect(connection.outbox.isBehind).toBe(true);
      for (const { sink } of clients) sink.drain();
      node.publish(5);
      const [binary, text] = clients.map((client) => client.received().slice(1));
      expect(binary).toEqual(text);
      const gaps = binary?.filter((frame) => frame.includes('"gap"')).length;
      expect(gaps).toBe(logBytes === 30_000 ? 1 : 0);
    }
  });

  it('saves nothing of what its full queue refuses', () => {
    using node = start({ outbox: { ...LIMITS, slots: 8 } });
    const client = node.subscriber();
    client.received();
    client.sink.stalled = true;
    const { statistics } = node.server.fanOut;
    node.publish(20);
    const { savedBytes, refusals } = statistics;
    expect(refusals).toBeGreaterThan(0);
    node.publish(20);
    expect(statistics.refusals).toBe(refusals + 20);
    expect(statistics.savedBytes).toBe(savedBytes);
  });

  it('that is being sent away still gets what waits for it, though nobody holds the channel any more', () => {
    using node = start({ outbox: { ...LIMITS, slots: 8 } });
    const client = node.subscriber();
    node.refer(1);
    node.publish();
    client.received();
    client.sink.stalled = true;
    node.publish(1);
    client.connection.flush();
    node.publish(20);
    client.connection.finish('draining');
    expect(node.server.upstream.wanted.has('a')).toBe(false);
    client.sink.drain();
    expect(numbersOf(client)).toEqual(Array.from({ length: 22 }, (_, i) => i + 1));
    expect(client.webSocket.closes).toHaveLength(1);
  });

  it('makes its worker ask for deflated publications, exactly while there is one', () => {
    using node = start();
    const { upstream } = node.server;
    node.subscriber(JSON_FRAMES);
    expect(upstream.deflated.has('a')).toBe(false);
    const clients = [node.subscriber(), node.subscriber()];
    expect(upstream.deflated.has('a')).toBe(true);
    clients[0]?.request({ type: 'unsubscribe', channels: ['a'] });
    expect(upstream.deflated.has('a')).toBe(true);
    clients[1]?.webSocket.end(1006);
    expect(upstream.deflated.has('a')).toBe(false);
  });
});
