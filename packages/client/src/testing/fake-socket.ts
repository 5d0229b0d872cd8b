import { TradewindClient } from '../client.ts';
import type { ClientEvents, ClientOptions, UrlSource, WebSocketLike } from '../types.ts';
import { FakeRuntime, settle } from './fake-runtime.ts';

type Sent = Record<string, unknown> & {
  readonly type: string;
  readonly id: number;
  readonly channels: readonly (string | { readonly channel: string; readonly since?: unknown })[];
};

export const LIMITS = {
  maxMessageBytes: 32_768,
  maxChannels: 512,
  maxChannelsPerRequest: 128,
  maxHistory: 1_000,
  maxPublicationBytes: 65_536,
};

/** A node asks its clients to leave. */
export const MOVE_NOTICE = {
  type: 'reconnect',
  afterMs: 1_000,
  deadlineMs: 20_000,
  reason: 'draining',
};

/** A socket whose other end is the test. */
export class FakeSocket implements WebSocketLike {
  readonly url: string;
  readonly protocols: unknown;
  readonly sent: Sent[] = [];
  readyState = 0;
  binaryType = 'blob';
  closedWith: number | undefined;
  /** Whether the other end answers a close. */
  answersClose = true;
  #seq = 0;
  readonly #listeners = new Map<string, Set<(event: never) => void>>();

  constructor(url: string, protocols?: unknown) {
    this.url = url;
    this.protocols = protocols;
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(code?: number): void {
    this.closedWith = code;
    this.readyState = 2;
    if (this.answersClose) queueMicrotask(() => this.ends(code ?? 1005));
  }

  /** The other end, or the network, ends it. */
  ends(code = 1006): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.#fire('close', { code });
  }

  opens(): void {
    this.readyState = 1;
    this.#fire('open', {});
  }

  tell(message: object): void {
    this.tellText(JSON.stringify(message));
  }

  tellText(data: string): void {
    this.#fire('message', { data });
  }

  tellBytes(data: ArrayBuffer): void {
    this.#fire('message', { data });
  }

  welcome(fields: object = {}): void {
    this.opens();
    this.tell({
      type: 'welcome',
      session: 's1',
      node: 'edge-1',
      serverTime: 1_796_000_000_000,
      protocol: 'tradewind.v1.json',
      auth: 'none',
      heartbeat: { clientPingMs: 20_000, timeoutMs: 10_000 },
      limits: LIMITS,
      ...fields,
    });
  }

  publish(channel: string, offset: number | undefined, data: unknown = { n: offset }): void {
    this.#seq += 1;
    this.tell({
      seq: this.#seq,
      channel,
      ...(offset !== undefined && { offset }),
      ts: 1_796_000_000_000,
      data,
    });
  }

  requests(type: string): Sent[] {
    return this.sent.filter((message) => message.type === type);
  }

  /** Every channel that was asked for, in order. */
  get asked(): { readonly channel: string; readonly since?: unknown; readonly history?: number }[] {
    return this.requests('subscribe').flatMap(({ channels }) =>
      channels.map((each) => (typeof each === 'string' ? { channel: each } : each)),
    );
  }

  /** Answers the last `subscribe` that names this channel. */
  answer(channel: string, fields: object = {}, done = true): void {
    const request = this.requests('subscribe').findLast(({ channels }) =>
      channels.some((each) => (typeof each === 'string' ? each : each.channel) === channel),
    );
    if (request === undefined) throw new Error(`nobody asked for ${channel}`);
    const channels = [{ channel, ref: 1, ...fields }];
    this.tell({ type: 'subscribed', id: request.id, channels, rejected: [], done });
  }

  reject(channel: string, code: string, fields: object = {}): void {
    const { id } = this.requests('subscribe').at(-1)!;
    const rejected = [{ channel, code, ...fields }];
    this.tell({ type: 'subscribed', id, channels: [], rejected, done: true });
  }

  /** Answers the last `unsubscribe`. */
  released(): void {
    const { id, channels } = this.requests('unsubscribe').at(-1)!;
    this.tell({ type: 'unsubscribed', id, channels });
  }

  #fire(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }
}

/** A client with a fake runtime and fake sockets. */
export class Bench {
  readonly runtime = new FakeRuntime();
  readonly sockets: FakeSocket[] = [];
  readonly client: TradewindClient;
  readonly events: { [K in keyof ClientEvents]: ClientEvents[K][] } = {
    state: [],
    channel: [],
    gap: [],
    resync: [],
    error: [],
  };

  constructor(options: ClientOptions = {}, url: UrlSource = 'ws://edge/ws') {
    const { sockets } = this;
    class Socket extends FakeSocket {
      constructor(...args: ConstructorParameters<typeof FakeSocket>) {
        super(...args);
        sockets.push(this);
      }
    }
    this.client = new TradewindClient(url, { webSocket: Socket, ...options }, this.runtime);
    for (const type of Object.keys(this.events) as (keyof ClientEvents)[]) {
      this.client.on(type, (event) => void (this.events[type] as unknown[]).push(event));
    }
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  /** The next socket is accepted by a node. */
  async accept(fields: object = {}): Promise<FakeSocket> {
    await settle();
    this.socket.welcome(fields);
    await settle();
    return this.socket;
  }

  /** A client that holds a channel at an offset, with one iterator and its items so far. */
  async live(channel: string, offset = 10, epoch = 'e1'): Promise<FakeSocket> {
    const socket = await this.accept();
    socket.answer(channel, { epoch, offset });
    await settle();
    return socket;
  }

  /** The node asks the client to leave, and another one accepts it: the new socket, while the old one lives. */
  async moves(): Promise<FakeSocket> {
    this.socket.tell(MOVE_NOTICE);
    await this.runtime.pass(MOVE_NOTICE.afterMs);
    return await this.accept();
  }

  /** Collects what an iterator gives until it ends. */
  collect<T>(items: AsyncIterable<T>): { readonly items: T[]; error?: unknown; isDone: boolean } {
    const collected: { items: T[]; error?: unknown; isDone: boolean } = {
      items: [],
      isDone: false,
    };
    void (async () => {
      try {
        for await (const item of items) collected.items.push(item);
      } catch (error) {
        collected.error = error;
      }
      collected.isDone = true;
    })();
    return collected;
  }
}
