import type { ChannelError, TradewindError } from './errors.ts';

/** Where edges are reached. A function is called for each attempt. */
export type UrlSource = string | URL | (() => string | URL | Promise<string | URL>);

/** A token, or a function that gets one. Throw `AuthError` in it to end the client. */
export type TokenSource = string | ((context: TokenContext) => string | Promise<string>);

/** Why a token is asked for now. */
export interface TokenContext {
  /** `connect`: a connection begins. `expiring`: the present token ends soon. `refused`: the last one was refused. */
  readonly reason: 'connect' | 'expiring' | 'refused';
  /** Attempts before this one that failed, from 0. */
  readonly attempt: number;
  /** Aborted when the client no longer waits for the token. */
  readonly signal: AbortSignal;
}

/** The part of a WebSocket that the SDK uses. Browsers, Node from 22, Deno and Bun have one; a `ws` socket fits too. */
export interface WebSocketLike {
  readonly readyState: number;
  /** The SDK sets it to `arraybuffer` if publications are binary. */
  binaryType?: string;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(
    type: 'open' | 'message' | 'close' | 'error',
    listener: (event: never) => void,
  ): void;
}

export type WebSocketConstructor = new (
  url: string,
  protocols?: string | string[],
) => WebSocketLike;

/** Times are in ms. Each default is in brackets. */
export interface ClientOptions {
  /** What the client sends to prove who it is [none]. */
  readonly token?: TokenSource;
  /** How long the functions for token and URL may take [10,000]. */
  readonly tokenTimeoutMs?: number;
  /** Aborting it closes the client. */
  readonly signal?: AbortSignal;
  /** From opening a socket to `welcome` [15,000]. */
  readonly connectTimeoutMs?: number;
  /**
   * From a request to its first answer [10,000]. After that the client probes the connection, and sends the request again if
   * the probe is answered.
   */
  readonly requestTimeoutMs?: number;
  /**
   * The first wait is up to `firstMs` [1,000], waits grow to `maxMs` [30,000] until a connection has lived for `stableMs`
   * [10,000].
   */
  readonly backoff?: {
    readonly firstMs?: number;
    readonly maxMs?: number;
    readonly stableMs?: number;
  };
  /** Replaces what the server announces: a ping after `pingMs` without a frame, and the connection is dead `timeoutMs` later. */
  readonly heartbeat?: { readonly pingMs?: number; readonly timeoutMs?: number };
  /** How long a connection may take to answer after a hint that it is dead (wake-up, network change) [3,000]. */
  readonly probeTimeoutMs?: number;
  /** From the end of a channel's last consumer to `unsubscribe` [2,500]. */
  readonly lingerMs?: number;
  /** From the end of the last channel to the end of the connection [10,000]. */
  readonly idleMs?: number;
  /** Whether a hidden page keeps its connection, or closes it after `pauseAfterMs` ['keep']. */
  readonly hidden?: 'keep' | 'pause';
  /** From hiding the page to closing its connection, with `hidden: 'pause'` [60,000]. */
  readonly pauseAfterMs?: number;
  /** Keeps the positions of channels beyond this client [none]: see `sessionPositions`. */
  readonly positions?: PositionStore;
  /** Passed to `JSON.parse` for the `data` of every publication: see `exactNumbers`. */
  readonly reviver?: Reviver;
  /** The class of the sockets [`globalThis.WebSocket`]. */
  readonly webSocket?: WebSocketConstructor;
  /** A format that the client offers to nodes before JSON [none]: `connect` of `@tradewind/client/binary` sets it. */
  readonly format?: WireFormat;
  /** Called with each entry of the client's log [none]. */
  readonly log?: (entry: LogEntry) => void;
}

/** The second argument of `JSON.parse`. `context.source` is missing in runtimes that do not give it. */
export type Reviver = (
  this: unknown,
  key: string,
  value: unknown,
  context?: { readonly source?: string },
) => unknown;

/** A format in which nodes send publications, besides JSON. */
export interface WireFormat {
  /** The WebSocket subprotocol that names the format. */
  readonly subprotocol: string;
  /** Makes the decoder of one connection. */
  decoder(limits: Session['limits']): WireDecoder;
}

/** Decodes the frames of one connection. If a method throws, the client reports a `ProtocolError` with that as its `cause`. */
export interface WireDecoder {
  /** Called with the message of each text frame after `welcome`, in order. */
  told(message: object): void;
  /** Decodes a binary frame. Returns the publication, and the number of characters that its JSON has. */
  publication(
    frame: ArrayBuffer,
    reviver: Reviver | undefined,
  ): readonly [publication: ReceivedPublication, characters: number];
}

/** A publication as a node sends it. */
export interface ReceivedPublication {
  /** Its number on this connection. */
  readonly seq: number;
  readonly channel: string;
  /** Missing for a plain `PUBLISH`. */
  readonly offset?: number;
  /** When it was published, ms since the Unix epoch by the server's clock. */
  readonly ts: number;
  readonly data: unknown;
}

/** One entry of the client's log: an event and its fields. */
export interface LogEntry {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A position in a channel's history, the same on every node. */
export interface Position {
  readonly epoch: string;
  /** The offset of the last publication that was used; 0 is before the first. */
  readonly offset: number;
}

/**
 * Keeps positions longer than a client lives. The client calls both methods synchronously, and reports what they throw as an
 * `error`.
 */
export interface PositionStore {
  /** Returns the position to continue after; undefined if there is none. */
  load(channel: string): Position | undefined;
  /** Called with what has changed, at most once a second, and when a page ends. Undefined: delete the position. */
  save(positions: ReadonlyMap<string, Position | undefined>): void;
}

/** What a node said when it accepted this client. */
export interface Session {
  /** The node's name for the connection; the node's log uses it too. */
  readonly id: string;
  /** The node's name. */
  readonly node: string;
  /** Who the token says you are. */
  readonly subject?: string;
  /** What the node accepts of this client; see docs/protocol.md. */
  readonly limits: {
    readonly maxMessageBytes: number;
    readonly maxChannels: number;
    readonly maxChannelsPerRequest: number;
    readonly maxHistory: number;
    readonly maxPublicationBytes: number;
  };
}

/** What the client does now. */
export type ClientState =
  | { readonly name: 'idle' }
  | { readonly name: 'connecting'; readonly attempt: number }
  | {
      readonly name: 'online';
      readonly session: Session;
      /** Since when the node is cut off from Redis, in ms since the Unix epoch; missing while it is not. */
      readonly degradedSince?: number;
      /**
       * The old node ends the connection at `deadline` (ms since the Unix epoch), and the client moves to another node. `leaving`
       * stays until the old connection is closed, though `session` is already the new node's by then.
       */
      readonly leaving?: { readonly deadline: number };
    }
  | {
      readonly name: 'waiting';
      readonly attempt: number;
      /** When the client connects again, in ms since the Unix epoch. */
      readonly retryAt: number;
      readonly cause: TradewindError;
    }
  | { readonly name: 'paused'; readonly why: PauseReason }
  | { readonly name: 'closed'; readonly error?: TradewindError };

/** Why a client has no connection: the page is offline, hidden or frozen, or the application called `pause()` (`asked`). */
export type PauseReason = 'offline' | 'hidden' | 'frozen' | 'asked';

/** The client entered another state. */
export interface StateChange {
  readonly state: ClientState;
  readonly previous: ClientState;
}

/** A channel entered another state. */
export interface ChannelStateChange {
  readonly channel: string;
  readonly state: ChannelState;
}

/** The events of a client: name → what its listeners are called with. Those of channels come for all channels. */
export interface ClientEvents {
  state: StateChange;
  channel: ChannelStateChange;
  gap: Gap;
  resync: Resync;
  error: TradewindError;
}

/** Reads channels over a connection that it keeps alive. Its owner must `close()` it. */
export interface Client extends AsyncDisposable {
  readonly state: ClientState;
  /**
   * Returns the channel of this name, always the same object for the same `latest`. Throws `ChannelError` if the name is not a
   * channel name, and `RangeError` if `latest.everyMs` is not one of its five values.
   */
  channel<T = unknown>(name: string, options?: ChannelOptions<T>): Channel<T>;
  /** Connects, and resolves when a node has accepted this client. Rejects when the client is closed or `signal` is aborted. */
  ready(options?: { readonly signal?: AbortSignal }): Promise<Session>;
  /**
   * Calls `listener` at each event until the result is disposed of or `signal` is aborted. The client reports what it throws
   * as an `error`, and still calls the other listeners.
   */
  on<K extends keyof ClientEvents>(
    type: K,
    listener: (event: ClientEvents[K]) => void,
    options?: { readonly signal?: AbortSignal },
  ): Disposable;
  /** Replaces the connection: a live one without a gap. A client that waits before its next attempt connects at once. */
  reconnect(): void;
  /** Ends the connection until `resume`. Channels keep their positions. */
  pause(): void;
  /** Ends `pause`. */
  resume(): void;
  /** Returns the figures of this moment. */
  stats(): ClientStats;
  /** Ends the connection and all consumers. Never rejects, and takes at most 1 s. Iterators end as if the channel were over. */
  close(): Promise<void>;
}

/** Figures of a client since it was made, unless a field says otherwise. */
export interface ClientStats {
  /** Publications received, duplicates included. */
  readonly received: number;
  /** Publications that were left out, because they had come before. */
  readonly duplicates: number;
  /** Frames of an unknown type, or for a channel that the client does not hold. */
  readonly ignored: number;
  /** Publications that a schema refused. */
  readonly invalid: number;
  /** Gaps by their reason. */
  readonly gaps: Readonly<Partial<Record<GapReason, number>>>;
  /** Connections after the first. */
  readonly reconnects: number;
  /** The latest round trip to the node, ms; missing until one was measured, also after a move to another node or a jump of the clock. */
  readonly rttMs?: number;
  /** The server's clock minus this one, ms; missing until it is known. */
  readonly clockOffsetMs?: number;
  /** How old the latest 256 live publications were when they came, ms. */
  readonly lagMs?: { readonly p50: number; readonly p99: number };
  /** Publications that wait in iterators now. */
  readonly buffered: number;
  /** Channels that the client holds now. */
  readonly channels: number;
}

/** The newest publication of each interval instead of all of them. */
export interface Latest {
  /** The interval, ms. */
  readonly everyMs: 100 | 250 | 500 | 1_000 | 2_000;
}

/** How a channel begins, and what its consumers get. */
export interface ChannelOptions<T> {
  /** Continue after this position, even if the store of positions has another. */
  readonly since?: Position;
  /** Begin with this many of the latest publications, at most the number that the server replays (1,000). */
  readonly history?: number;
  /**
   * Consumers of the returned channel get the newest publication of each interval, with the number that they `skipped`. Other
   * channel objects of the same name keep their own pace. While one of them needs more, the server sends more, and the client
   * leaves the rest out for the slower consumers.
   */
  readonly latest?: Latest;
  /** Checks and converts the `data` of each publication [none]. */
  readonly schema?: StandardSchema<T>;
  /**
   * What happens if the schema refuses a publication: `report` emits an `error` event, and `throw` ends the channel's
   * iterators ['report'].
   */
  readonly invalid?: 'report' | 'throw';
}

/** Standard Schema, version 1 (Zod, Valibot, ArkType and others). It must answer synchronously. */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (
      value: unknown,
    ) =>
      | { readonly value: T; readonly issues?: undefined }
      | { readonly issues: readonly { readonly message: string }[] }
      | Promise<unknown>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}

/** One channel of a client. The client subscribes to it while it has a consumer. */
export interface Channel<T> extends AsyncIterable<Publication<T>> {
  readonly name: string;
  readonly state: ChannelState;
  /** The last publication that was received; missing while there is none with an offset. */
  readonly position?: Position | undefined;
  /** The newest publication that was received. */
  readonly latest?: Publication<T> | undefined;
  /** While live: when the last publication came, or the subscription began (ms since the Unix epoch). */
  readonly quietSince?: number | undefined;
  /**
   * Calls `consumer` until `unsubscribe` or its signal. Throws `ClosedError` if the client is closed, and the signal's reason
   * if that is aborted.
   */
  subscribe(
    consumer: ((publication: Publication<T>) => void) | Handlers<T>,
    options?: ConsumerOptions,
  ): Subscription;
  /**
   * Iterates over publications, each with what was `missed` before it. Ends by `break`, `return()`, its signal, or the
   * channel.
   */
  messages(options?: IterateOptions): AsyncIterableIterator<Publication<T>> & AsyncDisposable;
  /** As `messages`, but gaps, resyncs and recoveries are items too, each at the point where it happened. */
  items(options?: IterateOptions): AsyncIterableIterator<Item<T>> & AsyncDisposable;
}

/** What a consumer is called with; each is optional. */
export interface Handlers<T> {
  publication?(publication: Publication<T>): void;
  /** Called with the publications of one turn of the event loop, at most 1,024. */
  batch?(publications: readonly Publication<T>[]): void;
  gap?(gap: Gap): void;
  resync?(resync: Resync): void;
  state?(state: ChannelState): void;
}

/** A consumer that `subscribe` began. */
export interface Subscription extends Disposable {
  /** Resolves when a node has confirmed the channel. Rejects when the node refuses it for good, or `unsubscribe` comes first. */
  readonly ready: Promise<SubscribedInfo>;
  unsubscribe(): void;
}

/** Where a channel stood when a node confirmed it; without a position if the channel has no offsets. */
export interface SubscribedInfo {
  readonly channel: string;
  readonly epoch?: string;
  readonly offset?: number;
}

/** Options of every consumer. */
export interface ConsumerOptions {
  /** Aborting it ends the consumer. */
  readonly signal?: AbortSignal;
}

/** Options of an iterator, which keeps publications until they are read. */
export interface IterateOptions extends ConsumerOptions {
  /** The most publications that may wait [1,024]. */
  readonly buffer?: number;
  /** The most memory that they may take, in bytes: two for each character of their frames [4 MiB]. */
  readonly bufferBytes?: number;
  /**
   * What happens when the buffer is full. `gap` [default]: the oldest are dropped, and an exact gap tells which. `latest`: only
   * the newest of each `key` waits. `pause`: the iterator takes nothing until half of the buffer is free, and then continues
   * where it was. `error`: the iterator ends with `SlowConsumerError` after the publications that wait.
   */
  readonly overflow?: 'gap' | 'latest' | 'pause' | 'error';
  /**
   * The key of a publication, with `overflow: 'latest'` [one key for the channel]. If it throws, the iterator ends with
   * `listener_failed` after the publications that wait.
   */
  readonly key?: (publication: Publication<unknown>) => string;
}

/** What a consumer gets of one publication. */
export interface Publication<T> {
  readonly kind: 'publication';
  readonly channel: string;
  readonly data: T;
  /** When it was published, ms since the Unix epoch by the server's clock. */
  readonly ts: number;
  /** Missing for a plain `PUBLISH`. */
  readonly offset?: number;
  /** The epoch of `offset`. */
  readonly epoch?: string;
  /** Whether it comes from history: it was published before the client asked for it. */
  readonly replayed: boolean;
  /** How old it was when it came, ms by the server's clock; missing until that clock is known. */
  readonly lagMs?: number;
  /** The number of publications since the last one that `latest` left out. They are not lost. */
  readonly skipped?: number;
  /** What this consumer did not get since its last publication. */
  readonly missed?: Missed;
}

/** What a consumer never gets. */
export interface Missed {
  /** The number of publications; missing if it cannot be known. */
  readonly count?: number;
  /** The gaps, at most the latest 64. */
  readonly gaps: readonly Gap[];
  readonly resync?: Resync;
}

/**
 * The server reports `slow`, `trimmed`, `link`, `unreadable` and `too_large`: see docs/protocol.md. The client finds the others.
 * `away`: the history did not reach back to where a connection was lost. `overflow`: this consumer was too slow. `handover`:
 * lost in a move to another node. `unannounced`: offsets jumped, and the server reported no gap.
 */
export type GapReason =
  | 'slow'
  | 'trimmed'
  | 'link'
  | 'unreadable'
  | 'too_large'
  | 'away'
  | 'overflow'
  | 'handover'
  | 'unannounced';

/** Publications that never come. */
export interface Gap {
  readonly kind: 'gap';
  readonly channel: string;
  readonly epoch?: string;
  /** The first lost offset, included. Missing if publications without offsets were lost. */
  readonly from?: number;
  /** The last lost offset, included. Missing where `from` is. */
  readonly to?: number;
  /** The number of lost publications; missing if it cannot be known. */
  readonly lost?: number;
  readonly reason: GapReason;
}

/** A break: the publications after it do not continue those before it. */
export interface Resync {
  readonly kind: 'resync';
  readonly channel: string;
  /** The new epoch; missing if the channel has no offsets now. */
  readonly epoch?: string;
  /** Live publications begin after this offset; missing if history comes first. */
  readonly offset?: number;
  /** `started`: the channel had no offsets before, and nothing was lost. */
  readonly reason: 'history_lost' | 'epoch_changed' | 'offset_ahead' | 'started';
}

/** A lost connection cost nothing: everything up to `offset` has come. */
export interface Recovered {
  readonly kind: 'recovered';
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
}

/** What `items()` iterates over; `kind` tells which it is. */
export type Item<T> = Publication<T> | Gap | Resync | Recovered;

/**
 * `recovering`: its history is coming. `detached`: its connection was lost. `retrying`: the client asks again at `retryAt`.
 * `failed`: the client does not ask again by itself.
 */
export type ChannelState =
  | { readonly name: 'idle' | 'subscribing' | 'recovering' | 'live' | 'detached' }
  | {
      readonly name: 'retrying';
      /** When the client asks for the channel again, in ms since the Unix epoch. */
      readonly retryAt: number;
      readonly error: ChannelError;
    }
  | { readonly name: 'failed'; readonly error: ChannelError };
