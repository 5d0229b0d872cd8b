import type { Socket } from 'node:net';
import type { Position } from '@tradewind/protocol';
import type { WebSocket } from 'ws';
import type { HubLimits } from '../../hub/hub.ts';
import {
  answers,
  createHub,
  FakeChannelStore,
  type HubUnderTest,
  refusalOf,
  StoreError,
} from '../../hub/testing/hub-under-test.ts';
import { FakeSink } from '../../outbound/testing/fake-sink.ts';
import { FrameDecoder, TEXT } from '../../outbound/testing/frame-decoder.ts';
import type { Connection } from '../connection/connection.ts';
import { FanOut } from '../fan-out.ts';
import type { FanOutSettings } from '../fan-out-settings.ts';
import { DEFAULTS, RecordedEvents } from './fan-out-server.ts';
import { FakeWebSocket } from './test-connection.ts';

/** What a client hears of its connection. */
interface WireEvents {
  frame(text: string): void;
  refused(status: number, retryAfterSeconds: number | undefined): void;
  closed(code: number | undefined): void;
}

/** What happens to one connection. */
export interface Fate {
  /** Frames that reach the client before the connection ends; infinite if it does not. */
  readonly frames: number;
  /** How it ends: it breaks, or nothing arrives any more. */
  readonly end: 'cut' | 'silence';
}

/** The status of a handshake that a full node refuses, and the seconds after which it may be repeated. */
const FULL = { status: 503, retryAfterSeconds: 1 };

/** One node: the real hub and fan-out, between a Redis and sockets that a test plays. */
export class SimulatedNode {
  readonly fanOut: FanOut;
  readonly #hub: HubUnderTest;
  /** What the link to Redis delivers. */
  readonly #subscribed = new Set<string>();
  #isLinked = true;
  isFull = false;

  constructor(store: FakeChannelStore, hub: Partial<HubLimits>, fanOut: Partial<FanOutSettings>) {
    this.#hub = createHub(hub, true, store);
    const settings = { ...DEFAULTS, ...fanOut };
    this.fanOut = new FanOut(settings, new RecordedEvents(), (listener) =>
      this.#hub.hub.connect(listener),
    );
  }

  /** Makes Redis confirm the subscriptions that the hub asked for since the last call. */
  subscribe(): void {
    const { hub, source } = this.#hub;
    const fresh = new Set<string>();
    for (const call of source.calls.splice(0)) {
      const name = call.slice(1);
      if (call.startsWith('+')) fresh.add(name);
      else {
        fresh.delete(name);
        this.#subscribed.delete(name);
      }
    }
    if (!this.#isLinked) return;
    for (const name of fresh) this.#subscribed.add(name);
    if (fresh.size > 0) hub.subscribed([...fresh]);
  }

  receive(channel: string, message: Buffer): void {
    if (this.#subscribed.has(channel)) this.#hub.hub.message(channel, message);
  }

  /** Makes Redis forbid a channel that it allowed. */
  refuse(channel: string): void {
    if (this.#subscribed.delete(channel)) this.#hub.hub.refused(channel, refusalOf('NOPERM'));
  }

  loseLink(): void {
    if (!this.#isLinked) return;
    this.#isLinked = false;
    this.#subscribed.clear();
    this.#hub.hub.linkLost('the test cut it');
  }

  restoreLink(): void {
    if (this.#isLinked) return;
    this.#isLinked = true;
    const { hub, source } = this.#hub;
    source.calls.length = 0;
    for (const name of source.wanted) this.#subscribed.add(name);
    hub.subscribed([...source.wanted]);
    hub.linkRestored();
  }

  /** Sends everybody away. Returns the connections, which are closed at the deadline by `Connection.finish`. */
  sendAway(afterMs: number, deadlineMs: number): readonly Connection[] {
    const leaving = [...this.fanOut.connections];
    for (const connection of leaving) {
      connection.send({ type: 'reconnect', afterMs, deadlineMs, reason: 'draining' });
    }
    return leaving;
  }

  stop(): void {
    this.fanOut.stop();
    this.#hub.hub.stop();
  }
}

/** A connection between a client and a node, frame by frame. */
export class SimulatedWire {
  readonly #node: SimulatedNode;
  readonly #events: WireEvents;
  readonly #fate: Fate;
  readonly #webSocket = new FakeWebSocket();
  readonly sink = new FakeSink();
  readonly #decoder = new FrameDecoder();
  #connection: Connection | undefined;
  #decoded = 0;
  #pongs = 0;
  #frames = 0;
  #isOver = false;

  constructor(node: SimulatedNode, fate: Fate, events: WireEvents) {
    this.#node = node;
    this.#fate = fate;
    this.#events = events;
  }

  send(text: string): void {
    if (!this.#isOver) this.#webSocket.emit('message', Buffer.from(text), false);
  }

  /** The client closes it. */
  close(code: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#webSocket.end(code);
  }

  /** The node ends without a word. */
  kill(): void {
    if (this.#connection !== undefined) this.#end(undefined);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Advances the connection as far as possible now. Returns whether anything happened. */
  advance(): boolean {
    if (this.#isOver) return false;
    if (this.#connection === undefined) return this.#open();
    this.#connection.flush();
    if (this.#webSocket.pings > this.#pongs) {
      this.#pongs = this.#webSocket.pings;
      this.#webSocket.emit('pong', Buffer.alloc(0));
    }
    const bytes = Buffer.concat(this.sink.copies.slice(this.#decoded));
    this.#decoded = this.sink.copies.length;
    const frames = this.#decoder.push(bytes).filter(({ opcode }) => opcode === TEXT);
    for (const { payload } of frames) {
      if (this.#frames >= this.#fate.frames) break;
      this.#frames += 1;
      this.#events.frame(payload.toString());
      if (this.#isOver) return true;
    }
    if (this.#frames >= this.#fate.frames) {
      if (this.#fate.end === 'silence') return false;
      this.#end(undefined);
      return true;
    }
    const [close] = this.#webSocket.closes;
    if (close !== undefined) this.#end(close.code);
    else if (this.#webSocket.terminated) this.#end(undefined);
    return frames.length > 0 || this.#isOver;
  }

  #open(): boolean {
    if (this.#node.isFull) {
      this.#isOver = true;
      this.#events.refused(FULL.status, FULL.retryAfterSeconds);
      return true;
    }
    if (this.#fate.frames === 0) {
      if (this.#fate.end === 'silence') return false;
      this.#end(undefined);
      return true;
    }
    this.#connection = this.#node.fanOut.open(
      this.#webSocket as unknown as WebSocket,
      this.sink as unknown as Socket,
    );
    return true;
  }

  /** Ends the connection, and tells both sides. */
  #end(code: number | undefined): void {
    const NO_CLOSE_FRAME = 1006;
    this.#isOver = true;
    if (this.#connection !== undefined) this.#webSocket.end(code ?? NO_CLOSE_FRAME);
    this.#events.closed(code);
  }
}

/** What Redis holds of a channel, and the position of each number. */
interface SimulatedChannel {
  n: number;
  readonly positions: Map<number, Position>;
}

/** What happens to a publication on its way. */
export type Payload = 'fine' | 'unreadable' | 'too_large';

export interface TierSettings {
  readonly hub: Partial<HubLimits>;
  readonly fanOut: Partial<FanOutSettings>;
  /** Publications that Redis keeps of a channel. */
  readonly historySize: number;
  /** How long a request takes to reach Redis, in ms on the clock of the test. */
  readonly delayMs: () => number;
}

/** A Redis whose requests take `delayMs` to reach it. */
class DistantChannelStore extends FakeChannelStore {
  readonly #delayMs: () => number;

  constructor(delayMs: () => number) {
    super();
    this.#delayMs = delayMs;
  }

  override async readPositions(
    ...args: Parameters<FakeChannelStore['readPositions']>
  ): ReturnType<FakeChannelStore['readPositions']> {
    await this.#travel();
    return await super.readPositions(...args);
  }

  override async readHistory(
    ...args: Parameters<FakeChannelStore['readHistory']>
  ): ReturnType<FakeChannelStore['readHistory']> {
    await this.#travel();
    return await super.readHistory(...args);
  }

  async #travel(): Promise<void> {
    const ms = this.#delayMs();
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

/** Two nodes on one Redis. Its publications are numbered: see `DeliveryRecord`. */
export class SimulatedTier {
  readonly nodes: readonly SimulatedNode[];
  readonly #store: FakeChannelStore;
  readonly #channels = new Map<string, SimulatedChannel>();
  readonly #historySize: number;
  readonly #largest: number;
  #epochs = 0;

  constructor({ hub, fanOut, historySize, delayMs }: TierSettings) {
    this.#store = new DistantChannelStore(delayMs);
    this.nodes = [0, 1].map(() => new SimulatedNode(this.#store, hub, fanOut));
    this.#historySize = historySize;
    this.#largest = hub.maxPublicationBytes ?? 100;
  }

  /** @param lostBy the node that the message does not reach. */
  publish(name: string, payload: Payload = 'fine', lostBy?: SimulatedNode): void {
    const channel = this.#of(name);
    const { epoch, offset } = this.#store.positions.get(name) ?? this.#newEpoch(name);
    channel.n += 1;
    const position = { epoch, offset: offset + 1 };
    channel.positions.set(channel.n, position);
    const bytes = {
      fine: () => Buffer.from(`{"n":${channel.n}}`),
      unreadable: () => Buffer.from([0xff]),
      too_large: () => Buffer.alloc(this.#largest + 1, '1'),
    }[payload]();
    this.#store.positions.set(name, position);
    const publishedAt = Date.now();
    const log = [
      ...(this.#store.logs.get(name) ?? []),
      { offset: position.offset, publishedAt, payload: bytes },
    ];
    this.#store.logs.set(name, log.slice(-this.#historySize));
    const header = `@1:${epoch}:${position.offset}:${publishedAt};`;
    const message = Buffer.concat([Buffer.from(header), bytes]);
    for (const node of this.nodes) if (node !== lostBy) node.receive(name, message);
  }

  publishPlain(name: string): void {
    for (const node of this.nodes) node.receive(name, Buffer.from('"plain"'));
  }

  /** Whether history can be read. */
  set isReadable(isReadable: boolean) {
    if (isReadable) delete this.#store.faults.history;
    else this.#store.faults.history = new StoreError('passing');
  }

  /** Makes Redis keep only this many of the latest publications. */
  trim(name: string, kept: number): void {
    const log = this.#store.logs.get(name) ?? [];
    this.#store.logs.set(name, log.slice(log.length - Math.min(log.length, kept)));
  }

  /** Makes Redis forget the channel. */
  forget(name: string): void {
    this.#store.positions.delete(name);
    this.#store.logs.delete(name);
  }

  numbersOf(name: string): number {
    return this.#of(name).n;
  }

  positionOf(name: string, n: number): Position | undefined {
    return this.#of(name).positions.get(n);
  }

  endOf(name: string): Position | undefined {
    return this.#store.positions.get(name);
  }

  /** Lets the nodes do what needs no clock. */
  async turns(): Promise<void> {
    for (const node of this.nodes) node.subscribe();
    await answers();
  }

  stop(): void {
    for (const node of this.nodes) node.stop();
  }

  #newEpoch(name: string): Position {
    this.#epochs += 1;
    this.#store.logs.delete(name);
    return { epoch: `redis${this.#epochs}`, offset: 0 };
  }

  #of(name: string): SimulatedChannel {
    const channel = this.#channels.get(name) ?? { n: 0, positions: new Map() };
    this.#channels.set(name, channel);
    return channel;
  }
}
