import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Position } from '@tradewind/protocol';
import { expect, it } from 'vitest';
import { TextOfFrames } from '../../../../test/support/clients/text-of-frames.ts';
import { shortOrLong } from '../../../../test/support/suite/length.ts';
import { createRandom } from '../../../../test/support/suite/random.ts';
import { createHub, FakeChannelStore } from '../hub/testing/hub-under-test.ts';
import { BINARY_FRAMES } from '../outbound/binary-frames.ts';
import { JSON_FRAMES } from '../outbound/json-frames.ts';
import { HubPort } from '../threads/hub-port.ts';
import type { FeedCall } from '../threads/worker-messages.ts';
import { WorkerPort } from '../threads/worker-port.ts';
import { FanOut } from './fan-out.ts';
import { DEFAULTS, RecordedEvents } from './testing/fan-out-server.ts';
import { FormatClient } from './testing/format-client.ts';
import { LIMITS } from './testing/test-connection.ts';

/** Repeats one run: the seed that a failed run printed. */
const SEED = process.env.BINARY_SEED;
/** The long form takes an hour; with a number it can be had in pieces. */
const RUNS = Number(process.env.BINARY_RUNS ?? shortOrLong(100, 100_000));
const STEPS = 60;
const CHANNELS = ['a', 'b'];
const MAX_HISTORY = 30;
const KEPT = 20;
/** Of a queue. All of it fits into one write, so that formats of different sizes stall at the same publication. */
const SLOTS = 8;
const BACKLOG_BYTES = 6_000;
/** More turns of the event loop than anything takes from Redis to a socket and back. */
const TURNS = 12;

const PLENTY = { perSecond: 1, burst: 1_000_000_000 };
const SETTINGS = {
  ...DEFAULTS,
  formats: [JSON_FRAMES, BINARY_FRAMES],
  logBytes: 16_000,
  outbox: { ...LIMITS, slots: SLOTS },
  subscriptions: { maxChannelsPerClient: 8, maxHistory: MAX_HISTORY, replayRate: PLENTY },
  requestRate: PLENTY,
  subscribeRate: PLENTY,
} as const;

/** A worker as threads have it: the feed crosses as bytes, and only when the test says so. */
class Worker {
  readonly fanOut: FanOut;
  readonly #toWorker: (readonly Uint8Array<ArrayBuffer>[])[] = [];
  readonly #toHub: { readonly calls: readonly FeedCall[]; readonly bytes: number }[] = [];
  readonly #hubEnd: HubPort;
  #workerEnd: WorkerPort | undefined;
  isFrozen = false;

  constructor({ hub }: ReturnType<typeof createHub>) {
    this.#hubEnd = new HubPort({
      post: (buffers) => this.#toWorker.push(buffers),
      connect: (port) => hub.connect(port),
      hasHistory: true,
      backlogBytes: BACKLOG_BYTES,
    });
    this.fanOut = new FanOut(SETTINGS, new RecordedEvents(), (listener) => {
      this.#workerEnd = new WorkerPort(
        (calls, bytes) => this.#toHub.push({ calls, bytes }),
        listener,
      );
      return this.#workerEnd;
    });
  }

  pass(): void {
    if (!this.isFrozen)
      for (const buffers of this.#toWorker.splice(0)) this.#workerEnd?.makeCalls(buffers);
    for (const { calls, bytes } of this.#toHub.splice(0)) {
      for (const call of calls) this.#hubEnd.handle(call);
      this.#hubEnd.confirmBytes(bytes);
    }
  }

  /** The thread dies, and all its clients lose their connections. */
  async end(): Promise<void> {
    this.#workerEnd?.close();
    this.#hubEnd.close();
    await this.fanOut.stop();
  }
}

/** Two clients of one worker to which the same happens: one reads text, and one reads binary frames. */
class Pair {
  readonly #clients: readonly [text: FormatClient, binary: FormatClient];
  readonly held = new Set<string>();
  isStalled = false;
  /** Whether both asked for publications of the past. */
  hasAsked = false;

  constructor({ fanOut }: Worker) {
    this.#clients = [
      new FormatClient(fanOut, JSON_FRAMES, new TextOfFrames()),
      new FormatClient(fanOut, BINARY_FRAMES, new TextOfFrames()),
    ];
  }

  get references(): number {
    return this.#clients[1].reader.references;
  }

  get bytes(): readonly number[] {
    return this.#clients.map(({ bytes }) => bytes);
  }

  request(message: object): void {
    for (const client of this.#clients) client.request(message);
  }

  /** What a client that leaves is not given any more depends on what it has read, so it reads the rest first. */
  leave(channel: string): void {
    this.drain();
    this.check();
    this.request({ type: 'unsubscribe', channels: [channel] });
  }

  /** A frame that both are sent blocks both sockets: otherwise a reference, which only one is told, could block that one sooner. */
  stall(): void {
    this.isStalled = true;
    for (const client of this.#clients) {
      client.received();
      client.sink.stalled = true;
    }
    this.request({ type: 'ping' });
    for (const { connection } of this.#clients) connection.flush();
  }

  drain(): void {
    this.isStalled = false;
    for (const { sink } of this.#clients) sink.drain();
  }

  /**
   * Compares all that the two received of each channel. The order across channels, and of the answer about a channel that is held,
   * is not promised and depends on sizes. So do the numbers of publications, which count over all channels.
   * `welcome` has a session of its own, and waits differ from client to client.
   */
  check(): readonly string[] {
    const [text, binary] = this.#clients.map((client) =>
      client
        .received()
        .slice(1)
        .filter((frame) => !frame.startsWith('{"type":"pong"'))
        .map((frame) => frame.replace(/,"retryAfterMs":\d+|"seq":\d+,/, '')),
    );
    for (const channel of CHANNELS) {
      const isOf = (frame: string): boolean =>
        frame.includes(`"${channel}"`) && !frame.includes('"subscribed"');
      expect(binary?.filter(isOf)).toEqual(text?.filter(isOf));
    }
    expect(binary?.toSorted()).toEqual(text?.toSorted());
    expect(this.#clients.map(({ webSocket }) => webSocket.closes)).toEqual([[], []]);
    return text ?? [];
  }

  end(): void {
    for (const { webSocket } of this.#clients) webSocket.end(1006);
  }
}

/** A tier whose publications, losses, clients and threads are up to chance. */
class World {
  readonly #random: ReturnType<typeof createRandom>;
  readonly #store = new FakeChannelStore();
  readonly #node = createHub(
    { maxHistory: MAX_HISTORY, maxPublicationBytes: 2_000, lingerMs: 0 },
    true,
    this.#store,
    { sample: 2, price: 0.1 },
  );
  readonly #subscribed = new Set<string>();
  readonly #workers: Worker[];
  readonly #pairs: Pair[];
  /** The last position that a client of the pair had, by channel. */
  readonly #positions: Map<string, Position>[] = [new Map(), new Map()];
  #epochs = 0;
  #texts = 0;
  readonly seen = { publications: 0, gaps: 0, recovered: 0, references: 0, saved: 0, resyncs: 0 };

  constructor(seed: number) {
    this.#random = createRandom(seed);
    this.#workers = [new Worker(this.#node), new Worker(this.#node)];
    this.#pairs = this.#workers.map((worker) => new Pair(worker));
    for (const channel of CHANNELS) this.#newEpoch(channel);
  }

  async run(): Promise<void> {
    await this.#runTurns(TURNS);
    for (let step = 0; step < STEPS; step += 1) {
      await this.#step(this.#random.below(40));
      if (this.#random.below(3) === 0) await this.#runTurns(1 + this.#random.below(3));
      for (const pair of this.#pairs) if (!pair.isStalled) pair.check();
    }
    for (const worker of this.#workers) worker.isFrozen = false;
    for (const pair of this.#pairs) pair.drain();
    await this.#runTurns(TURNS);
    for (const [i, pair] of this.#pairs.entries()) await this.#count(i, pair);
  }

  async stop(): Promise<void> {
    for (const worker of this.#workers) await worker.end();
    this.#node.hub.stop();
  }

  async #step(chance: number): Promise<void> {
    const channel = CHANNELS[this.#random.below(CHANNELS.length)] as string;
    const i = this.#random.below(this.#pairs.length);
    const pair = this.#pairs[i] as Pair;
    if (chance < 18) {
      for (let n = this.#random.below(8); n >= 0; n -= 1) this.#publish(channel, 'arrives');
    } else if (chance === 18) this.#publish(channel, 'is lost on the link');
    else if (chance === 19) this.#publish(channel, 'is lost for good');
    else if (chance === 20) this.#newEpoch(channel);
    else if (chance === 21) this.#plain(channel);
    else if (chance < 26) await this.#join(i, pair, channel);
    else if (chance === 26) pair.leave(channel);
    else if (chance < 30) pair.stall();
    else if (chance < 35) pair.drain();
    else if (chance === 35) await this.#reconnect(i);
    else if (chance === 36) {
      const worker = this.#workers[i] as Worker;
      await this.#count(i, pair);
      await worker.end();
      this.#workers[i] = new Worker(this.#node);
      this.#pairs[i] = new Pair(this.#workers[i] as Worker);
    } else if (chance === 37) (this.#workers[i] as Worker).isFrozen = true;
    else (this.#workers[i] as Worker).isFrozen = false;
  }

  async #reconnect(i: number): Promise<void> {
    const pair = this.#pairs[i] as Pair;
    await this.#count(i, pair);
    pair.end();
    this.#pairs[i] = new Pair(this.#workers[i] as Worker);
  }

  async #join(i: number, pair: Pair, channel: string): Promise<void> {
    const since = this.#random.below(3) > 0 ? this.#positions[i]?.get(channel) : undefined;
    const history = this.#random.below(3) === 0 ? this.#random.below(MAX_HISTORY) : undefined;
    if (since !== undefined || history !== undefined) {
      if (pair.hasAsked) await this.#readReplays(i, pair);
      pair.hasAsked = true;
    }
    pair.request({ type: 'subscribe', id: 1, channels: [{ channel, since, history }] });
  }

  /**
   * Lets both read the replays that they were promised. All replays of a worker share memory, and one of each finds room. With
   * more, the sizes would decide which of the two is served later, and with the history of a later time.
   */
  async #readReplays(i: number, pair: Pair): Promise<void> {
    (this.#workers[i] as Worker).isFrozen = false;
    pair.drain();
    await this.#runTurns(TURNS);
  }

  /** What a stalled client has read so far depends on sizes, so it reads the rest first. */
  async #count(i: number, pair: Pair): Promise<void> {
    pair.drain();
    await this.#runTurns(TURNS);
    for (const text of pair.check()) {
      const message = JSON.parse(text);
      if (message.type === undefined) this.seen.publications += 1;
      if (message.type === 'gap') this.seen.gaps += 1;
      if (message.type === 'resync') this.seen.resyncs += 1;
      for (const { channel, epoch, offset, recovered } of message.channels ?? []) {
        if (recovered === true) this.seen.recovered += 1;
        if (epoch !== undefined) this.#positions[i]?.set(channel, { epoch, offset });
      }
    }
    const [text = 0, binary = 0] = pair.bytes;
    this.seen.saved += text - binary;
    this.seen.references += pair.references;
  }

  #publish(channel: string, fate: 'arrives' | 'is lost on the link' | 'is lost for good'): void {
    const { epoch, offset: before } = this.#store.positions.get(channel) as Position;
    const offset = before + 1;
    const payload = this.#payload();
    const publishedAt = Date.now() - this.#random.below(1_000);
    this.#store.positions.set(channel, { epoch, offset });
    if (fate !== 'is lost for good') {
      const log = [...(this.#store.logs.get(channel) ?? []), { offset, publishedAt, payload }];
      this.#store.logs.set(channel, log.slice(-KEPT));
    }
    if (fate !== 'arrives' || !this.#subscribed.has(channel)) return;
    const header = Buffer.from(`@1:${epoch}:${offset}:${publishedAt};`);
    this.#node.hub.message(channel, Buffer.concat([header, payload]));
  }

  #plain(channel: string): void {
    if (this.#subscribed.has(channel)) this.#node.hub.message(channel, this.#payload());
  }

  /** A trade like the others most of the time; and anything else, text that is not JSON among it. */
  #payload(): Buffer {
    this.#texts += 1;
    const random = this.#random;
    const trade = `{"symbol":"ETH","id":"${1_206_419_187 + this.#texts}","price":"1666.${random.below(99)}","size":"${random.below(9_999)}"}`;
    switch (random.below(12)) {
      case 0:
        return Buffer.from(String(random.below(1_000)));
      case 1:
        return Buffer.from(`zwölf € ${'𝄞'.repeat(random.below(20))} ${random.next()}`);
      case 2:
        return Buffer.from(`["quote",{"bid":${random.next()},"ask":null,"depth":[1,[2,[3]]]}]`);
      case 3:
        return Buffer.from(`{"t":"${'word '.repeat(random.below(150))}"}`);
      case 4:
        return Buffer.from(JSON.stringify(Array.from({ length: 20 }, () => random.next())));
      default:
        return Buffer.from(trade);
    }
  }

  #newEpoch(channel: string): void {
    this.#epochs += 1;
    this.#store.positions.set(channel, { epoch: `e${this.#epochs}`, offset: 0 });
    this.#store.logs.delete(channel);
  }

  async #runTurns(turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn += 1) {
      const { hub, source } = this.#node;
      const fresh: string[] = [];
      for (const call of source.calls.splice(0)) {
        if (call.startsWith('+')) fresh.push(call.slice(1));
        else this.#subscribed.delete(call.slice(1));
      }
      for (const channel of fresh) this.#subscribed.add(channel);
      if (fresh.length > 0) hub.subscribed(fresh);
      await nextTurn();
      for (const worker of this.#workers) worker.pass();
    }
  }
}

it('a client with binary frames gets what one with text frames gets, byte for byte, or is told the same', async () => {
  const seen = { publications: 0, gaps: 0, recovered: 0, references: 0, saved: 0, resyncs: 0 };
  const first = SEED === undefined ? Date.now() % 1_000_000_000 : Number(SEED);
  for (let run = 0; run < (SEED === undefined ? RUNS : 1); run += 1) {
    const seed = first + run;
    const world = new World(seed);
    try {
      await world.run();
    } catch (error) {
      throw new Error(`BINARY_SEED=${seed}: ${(error as Error).message}`, { cause: error });
    } finally {
      await world.stop();
    }
    for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += world.seen[key];
  }
  if (SEED !== undefined) return;
  expect(seen.publications).toBeGreaterThan(10 * RUNS);
  expect(seen.references, 'with many changes').toBeGreaterThan(2 * RUNS);
  expect(Math.min(seen.gaps, seen.recovered, seen.resyncs)).toBeGreaterThan(RUNS / 5);
});
