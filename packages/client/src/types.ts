import type { ChannelError, TradewindError } from './errors.ts';

/** Where edges are reached. A function is called for each attempt. */
export type UrlSource = string | URL | (() => string | URL | Promise<string | URL>);

/** A token, or a function that gets one. Throw `AuthError` in it to end the client. */
export type TokenSource = string | ((context: TokenContext) => string | Promise<string>);

export interface TokenContext {
  /** `connect`: a connection begins. `expiring`: the present token ends soon. `refused`: the last one was refused. */
  readonly reason: 'connect' | 'expiring' | 'refused';
  /** Attempts before this one that failed, from 0. */
  readonly attempt: number;
  /** Aborted when nobody waits for the token any more. */
  readonly signal: AbortSignal;
}

/** What the SDK uses of a WebSocket. Browsers, Node from 22, Deno and Bun have one; `ws` is one too. */
export interface WebSocketLike {
  readonly readyState: number;
  /** Set to `arraybuffer` where publications are binary. */
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
  readonly token?: TokenSource;
  /** How long the functions for token and URL may take [10,000]. */
  readonly tokenTimeoutMs?: number;
  /** Aborting it closes the client. */
  readonly signal?: AbortSignal;
  /** From opening a socket to `welcome` [15,000]. */
  readonly connectTimeoutMs?: number;
  /** From a request to its first answer [10,000]. Then the connection is probed, and the request is sent again. */
  readonly requestTimeoutMs?: number;
  /** The first wait is up to `firstMs` [1,000], waits grow to `maxMs` [30,000] until a connection has lived for `stableMs` [10,000]. */
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
  /** Whether a page that nobody sees keeps its connection ['keep'], or gives it up after `pauseAfterMs` [60,000]. */
  readonly hidden?: 'keep' | 'pause';
  readonly pauseAfterMs?: number;
  /** Keeps the positions of channels beyond this client [none]: see `sessionPositions`. */
  readonly positions?: PositionStore;
  /** Is given to `JSON.parse` for the `data` of every publication: see `exactNumbers`. */
  readonly reviver?: Reviver;
  /** [`globalThis.WebSocket`] */
  readonly webSocket?: WebSocketConstructor;
  /** A form of publications that is offered to nodes before JSON [none]: `connect` of `@tradewind/client/binary` sets it. */
  readonly format?: WireFormat;
  readonly log?: (entry: LogEntry) => void;
}

export type Reviver = (
  this: unknown,
  key: string,
  value: unknown,
  context?: { readonly source?: string },
) => unknown;

/** A form in which nodes send publications, beside JSON. */
export interface WireFormat {
  readonly subprotocol: string;
  /** Makes the decoder of one connection. */
  decoder(limits: Session['limits']): WireDecoder;
}

/** What both methods throw is a `ProtocolError`, whose `cause` it becomes. */
export interface WireDecoder {
  /** Is given every text frame behind `welcome`, in order. */
  told(message: object): void;
  /** Reads a binary frame. Returns the publication, and how many characters its JSON has. */
  publication(
    frame: ArrayBuffer,
    reviver: Reviver | undefined,
  ): readonly [publication: ReceivedPublication, characters: number];
}

/** A publication as a node sends it. */
export interface ReceivedPublication {
  readonly seq: number;
  readonly channel: string;
  readonly offset?: number;
  readonly ts: number;
  readonly data: unknown;
}

export interface LogEntry {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A position in a channel's history, the same on every node. */
export interface Position {
  readonly epoch: string;
  /** The last publication that was used; 0 is before the first. */
  readonly offset: number;
}

/** Where positions outlive a client. Both are called synchronously, and what they throw is reported as an `error`. */
export interface PositionStore {
  load(channel: string): Position | undefined;
  /** At most once a second, and when a page ends. Undefined: the position is gone. */
  save(positions: ReadonlyMap<string, Position | undefined>): void;
}

/** What a node said when it accepted this client. */
export interface Session {
  /** The node's name for the connection; it is in the node's log. */
  readonly id: string;
  readonly node: string;
  /** Who the token says you are. */
  readonly subject?: string;
  readonly limits: {
    readonly maxMessageBytes: number;
    readonly maxChannels: number;
    readonly maxChannelsPerRequest: number;
    readonly maxHistory: number;
    readonly maxPublicationBytes: number;
  };
}

export type ClientState =
  | { readonly name: 'idle' }
  | { readonly name: 'connecting'; readonly attempt: number }
  | {
      readonly name: 'online';
      readonly session: Session;
      /** The node is cut off from Redis since then, in ms since the Unix epoch. */
      readonly degradedSince?: number;
      /**
       * The client moves to another node until `deadline` (ms since the Unix epoch). It is of the old node, and stays until the old
       * connection is closed: `session` is the new node's before that.
       */
      readonly leaving?: { readonly deadline: number };
    }
  | {
      readonly name: 'waiting';
      readonly attempt: number;
      /** ms since the Unix epoch. */
      readonly retryAt: number;
      readonly cause: TradewindError;
    }
  | { readonly name: 'paused'; readonly why: PauseReason }
  | { readonly name: 'closed'; readonly error?: TradewindError };

export type PauseReason = 'offline' | 'hidden' | 'frozen' | 'asked';

export interface StateChange {
  readonly state: ClientState;
  readonly previous: ClientState;
}

export interface ChannelStateChange {
  readonly channel: string;
  readonly state: ChannelState;
}

export interface ClientEvents {
  state: StateChange;
  channel: ChannelStateChange;
  gap: Gap;
  resync: Resync;
  error: TradewindError;
}

export interface Client extends AsyncDisposable {
  readonly state: ClientState;
  /**
   * A channel of this name, always the same object for the same `latest`. Throws `ChannelError` if the name cannot be one, and
   * `RangeError` if there is no such interval.
   */
  channel<T = unknown>(name: string, options?: ChannelOptions<T>): Channel<T>;
  /** Connects, and resolves when a node has accepted this client. Rejects when the client is closed or `signal` is aborted. */
  ready(options?: { readonly signal?: AbortSignal }): Promise<Session>;
  /** Events. What a listener throws is reported as an `error` and stops nobody else. */
  on<K extends keyof ClientEvents>(
    type: K,
    listener: (event: ClientEvents[K]) => void,
    options?: { readonly signal?: AbortSignal },
  ): Disposable;
  /** Moves to another connection, without a hole where a connection is live, and at once where a wait was going on. */
  reconnect(): void;
  /** Ends the connection until `resume`. Channels keep their positions. */
  pause(): void;
  resume(): void;
  stats(): ClientStats;
  /** Ends everything. Never rejects, and takes at most 1 s. Iterators end as if the channel were over. */
  close(): Promise<void>;
}

export interface ClientStats {
  /** Publications received, duplicates included. */
  readonly received: number;
  readonly duplicates: number;
  /** Frames of an unknown type or for a channel that is not held. */
  readonly ignored: number;
  /** Publications that a schema refused. */
  readonly invalid: number;
  readonly gaps: Readonly<Partial<Record<GapReason, number>>>;
  /** Connections after the first. */
  readonly reconnects: number;
  readonly rttMs?: number;
  /** The server's clock minus this one. */
  readonly clockOffsetMs?: number;
  /** Of the latest 256 live publications. */
  readonly lagMs?: { readonly p50: number; readonly p99: number };
  /** Publications that wait in iterators. */
  readonly buffered: number;
  readonly channels: number;
}

/** The newest publication of each interval instead of all of them. */
export interface Latest {
  /** The interval, ms. */
  readonly everyMs: 100 | 250 | 500 | 1_000 | 2_000;
}

export interface ChannelOptions<T> {
  /** Continue after this position. It wins over the store of positions. */
  readonly since?: Position;
  /** Begin with so many of the latest publications, at most what the server replays (1,000). */
  readonly history?: number;
  /**
   * Consumers of the channel that is returned get the newest publication of each interval, with what they `skipped`. Others of the
   * same name get all that they want; while one of them wants more, the server sends more, and this client leaves it out.
   */
  readonly latest?: Latest;
  readonly schema?: StandardSchema<T>;
  /** What a refused publication does: an `error` event and nothing else ['report'], or it ends the channel's iterators. */
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

export interface Channel<T> extends AsyncIterable<Publication<T>> {
  readonly name: string;
  readonly state: ChannelState;
  /** The last publication that was received; missing while there is none with an offset. */
  readonly position?: Position | undefined;
  readonly latest?: Publication<T> | undefined;
  /** While live: when the last publication came, or the subscription began (ms since the Unix epoch). */
  readonly quietSince?: number | undefined;
  subscribe(
    consumer: ((publication: Publication<T>) => void) | Handlers<T>,
    options?: ConsumerOptions,
  ): Subscription;
  /** Publications, each with what was `missed` before it. Ends by `break`, `return()`, its signal, or the channel. */
  messages(options?: IterateOptions): AsyncIterableIterator<Publication<T>> & AsyncDisposable;
  /** Publications, and whatever was lost, in its place. */
  items(options?: IterateOptions): AsyncIterableIterator<Item<T>> & AsyncDisposable;
}

export interface Handlers<T> {
  publication?(publication: Publication<T>): void;
  /** All that came in one turn of the event loop, at most 1,024. */
  batch?(publications: readonly Publication<T>[]): void;
  gap?(gap: Gap): void;
  resync?(resync: Resync): void;
  state?(state: ChannelState): void;
}

export interface Subscription extends Disposable {
  /** Resolves when a node has confirmed the channel. Rejects when it cannot be had, or `unsubscribe` came first. */
  readonly ready: Promise<SubscribedInfo>;
  unsubscribe(): void;
}

export interface SubscribedInfo {
  readonly channel: string;
  readonly epoch?: string;
  readonly offset?: number;
}

export interface ConsumerOptions {
  readonly signal?: AbortSignal;
}

export interface IterateOptions extends ConsumerOptions {
  /** Publications that may wait [1,024]. */
  readonly buffer?: number;
  /** Memory that they may take, in bytes: two for each character of their frames [4 MiB]. */
  readonly bufferBytes?: number;
  /**
   * What happens to more than that. `gap` [default]: the oldest go, and are told exactly. `latest`: of each `key` only the
   * newest waits. `pause`: the channel is not taken in until half is free, and then continues where it was. `error`: the
   * iterator ends with `SlowConsumerError` behind what waits.
   */
  readonly overflow?: 'gap' | 'latest' | 'pause' | 'error';
  /** For `latest`. By default a channel has one key. If it throws, the iterator ends with `listener_failed` behind what waits. */
  readonly key?: (publication: Publication<unknown>) => string;
}

export interface Publication<T> {
  readonly kind: 'publication';
  readonly channel: string;
  readonly data: T;
  /** When it was published, ms since the Unix epoch by the server's clock. */
  readonly ts: number;
  /** Missing for a plain `PUBLISH`. */
  readonly offset?: number;
  readonly epoch?: string;
  /** Of the past: it was published before this client asked. */
  readonly replayed: boolean;
  /** How old it was when it came, by the server's clock. */
  readonly lagMs?: number;
  /** How many came since the last one and were left out, because `latest` was asked for. They are not lost. */
  readonly skipped?: number;
  /** What this consumer did not get since its last publication. */
  readonly missed?: Missed;
}

export interface Missed {
  /** How many publications; missing if nobody can know. */
  readonly count?: number;
  /** The latest 64 of them. */
  readonly gaps: readonly Gap[];
  readonly resync?: Resync;
}

/**
 * `slow`, `trimmed`, `link`, `unreadable`, `too_large`: told by the server, see docs/protocol.md. `away`: the history did not reach back over
 * a lost connection. `overflow`: this consumer was too slow. `handover`: lost in a move to another node. `unannounced`:
 * offsets jumped, and the server told nothing.
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

/** These publications never come. */
export interface Gap {
  readonly kind: 'gap';
  readonly channel: string;
  readonly epoch?: string;
  /** The first and the last offset, both included. Without them publications without offsets are missing. */
  readonly from?: number;
  readonly to?: number;
  /** How many; missing if nobody can know. */
  readonly lost?: number;
  readonly reason: GapReason;
}

/** What follows does not continue what came before. */
export interface Resync {
  readonly kind: 'resync';
  readonly channel: string;
  /** The new epoch; missing if the channel has no offsets now. */
  readonly epoch?: string;
  /** What is live begins behind this offset; missing if history comes first. */
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

export type Item<T> = Publication<T> | Gap | Resync | Recovered;

export type ChannelState =
  | { readonly name: 'idle' | 'subscribing' | 'recovering' | 'live' | 'detached' }
  | {
      readonly name: 'retrying';
      /** ms since the Unix epoch. */
      readonly retryAt: number;
      readonly error: ChannelError;
    }
  | { readonly name: 'failed'; readonly error: ChannelError };
