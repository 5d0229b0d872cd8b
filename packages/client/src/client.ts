import { isChannelName } from '@tradewind/protocol';
import { type ChannelHost, HeldChannel } from './channels/channel.ts';
import { Connections, type ConnectionsHost } from './connection/connections.ts';
import { deferred } from './deferred.ts';
import { ChannelError, ClosedError, TradewindError } from './errors.ts';
import { listenToHints } from './page/hints.ts';
import type { Cancel, Surroundings } from './surroundings.ts';
import type {
  Channel,
  ChannelOptions,
  Client,
  ClientEvents,
  ClientOptions,
  ClientState,
  ClientStats,
  Gap,
  GapReason,
  Position,
  Resync,
  Session,
  UrlSource,
  WebSocketConstructor,
} from './types.ts';

/** Positions are saved at most this often, ms: storage is synchronous. */
const SAVE_EVERY_MS = 1_000;

/** The client of the application: channels, events and figures. {@link Connections} does the rest. */
export class TradewindClient implements Client, ChannelHost, ConnectionsHost {
  readonly lingerMs: number;
  /** Channels that have, or just had, consumers. */
  readonly channels = new Map<string, HeldChannel>();
  readonly #options: ClientOptions;
  readonly #surroundings: Surroundings;
  readonly #connections: Connections;
  /** All channels that somebody still has, so that one name is one object. */
  readonly #known = new Map<string, WeakRef<HeldChannel>>();
  readonly #forget = new FinalizationRegistry<string>((name) => {
    if (this.#known.get(name)?.deref() === undefined) this.#known.delete(name);
  });
  readonly #listeners = new Map<string, Set<(event: never) => void>>();
  readonly #waiters = new Set<(state: ClientState) => void>();
  readonly #gaps: Partial<Record<GapReason, number>> = {};
  readonly #counts = { received: 0, duplicates: 0, ignored: 0, invalid: 0 };
  readonly #saved = new Map<string, Position | undefined>();
  #endSave: Cancel | undefined;
  #endHints: Cancel | undefined;
  #closing: Promise<void> | undefined;

  constructor(url: UrlSource, options: ClientOptions, surroundings: Surroundings) {
    assertTimes(options);
    const { signal, backoff = {} } = options;
    this.#options = options;
    this.#surroundings = surroundings;
    this.lingerMs = options.lingerMs ?? 2_500;
    this.#connections = new Connections(
      {
        url,
        token: options.token,
        tokenTimeoutMs: options.tokenTimeoutMs ?? 10_000,
        connectTimeoutMs: options.connectTimeoutMs ?? 15_000,
        requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
        probeTimeoutMs: options.probeTimeoutMs ?? 3_000,
        heartbeat: options.heartbeat ?? {},
        waits: { firstMs: backoff.firstMs ?? 1_000, maxMs: backoff.maxMs ?? 30_000 },
        stableMs: backoff.stableMs ?? 10_000,
        idleMs: options.idleMs ?? 10_000,
        hidden: options.hidden ?? 'keep',
        pauseAfterMs: options.pauseAfterMs ?? 60_000,
        reviver: options.reviver,
        webSocket: () =>
          options.webSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket!,
      },
      surroundings,
      this,
    );
    if (surroundings.page !== undefined) {
      this.#endHints = listenToHints(surroundings.page, this.#connections);
    }
    if (signal === undefined) return;
    const abort = (): void => void this.#close(undefined, signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  }

  get state(): ClientState {
    return this.#connections.state;
  }

  channel<T = unknown>(name: string, options: ChannelOptions<T> = {}): Channel<T> {
    if (!isChannelName(name)) throw new ChannelError(String(name), 'bad_channel', false);
    let channel = this.channels.get(name) ?? this.#known.get(name)?.deref();
    if (channel === undefined) {
      channel = new HeldChannel(name, this);
      this.#known.set(name, new WeakRef(channel));
      this.#forget.register(channel, name);
    }
    channel.configure(options as ChannelOptions<unknown>);
    return channel as Channel<unknown> as Channel<T>;
  }

  async ready({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Session> {
    signal?.throwIfAborted();
    this.#options.signal?.throwIfAborted();
    const { session } = this.#connections;
    if (session !== undefined) return session;
    const result = deferred<Session>();
    const look = (state: ClientState): void => {
      if (state.name === 'online') result.resolve(state.session);
      else if (state.name === 'closed') {
        result.reject(
          this.#options.signal?.aborted
            ? this.#options.signal.reason
            : (state.error ?? new ClosedError()),
        );
      }
    };
    const abort = (): void => result.reject(signal?.reason);
    signal?.addEventListener('abort', abort);
    this.#waiters.add(look);
    look(this.state);
    this.#connections.needed();
    try {
      return await result.promise;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#waiters.delete(look);
      this.#connections.needed();
    }
  }

  on<K extends keyof ClientEvents>(
    type: K,
    listener: (event: ClientEvents[K]) => void,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Disposable {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    const end = (): void => {
      listeners.delete(listener);
      signal?.removeEventListener('abort', end);
    };
    if (!signal?.aborted) listeners.add(listener);
    signal?.addEventListener('abort', end);
    return { [Symbol.dispose]: end };
  }

  reconnect(): void {
    this.#connections.reconnect();
  }

  pause(): void {
    this.#connections.pause('asked');
  }

  resume(): void {
    this.#connections.resume();
  }

  stats(): ClientStats {
    let buffered = 0;
    for (const channel of this.channels.values()) buffered += channel.waiting;
    return {
      ...this.#counts,
      gaps: { ...this.#gaps },
      reconnects: Math.max(0, this.#connections.accepts - 1),
      ...this.#connections.freshness.stats(),
      buffered,
      channels: this.channels.size,
    };
  }

  close(): Promise<void> {
    return this.#close(undefined, undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // For channels.

  now(): number {
    return this.#surroundings.now();
  }

  monotonic(): number {
    return this.#surroundings.monotonic();
  }

  after(ms: number, act: () => void): Cancel {
    return this.#surroundings.after(ms, act);
  }

  guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.report(new TradewindError('listener_failed', 'A listener threw.', false, error));
    }
  }

  assertOpen(): void {
    if (this.state.name === 'closed') throw new ClosedError();
  }

  activated(channel: HeldChannel): Position | undefined {
    this.channels.set(channel.name, channel);
    let position: Position | undefined;
    this.guard(() => {
      position = this.#options.positions?.load(channel.name);
    });
    this.#connections.needed();
    return position;
  }

  released(channel: HeldChannel): void {
    this.savePositions();
    this.channels.delete(channel.name);
    this.#saved.delete(channel.name);
    this.#connections.released(channel);
    this.#connections.needed();
  }

  reconcile(channel: HeldChannel): void {
    this.#connections.reconcile(channel);
  }

  progressed(channel: HeldChannel): void {
    this.#connections.progressed(channel);
  }

  channelChanged({ name, state }: HeldChannel): void {
    this.#emit('channel', { channel: name, state });
  }

  changedState(state: ClientState, previous: ClientState): void {
    this.#log({ event: 'state', state: state.name, previous: previous.name });
    for (const look of [...this.#waiters]) look(state);
    this.#emit('state', { state, previous });
  }

  told(item: Gap | Resync): void {
    if (item.kind === 'resync') this.#emit('resync', item);
    else {
      this.#gaps[item.reason] = (this.#gaps[item.reason] ?? 0) + 1;
      this.#emit('gap', item);
    }
  }

  invalid(error: ChannelError): void {
    this.#counts.invalid += 1;
    this.report(error);
  }

  duplicate(): void {
    this.#counts.duplicates += 1;
  }

  lagOf(ts: number): number | undefined {
    return this.#connections.freshness.lagOf(ts);
  }

  // For connections.

  isNeeded(): boolean {
    return this.channels.size > 0 || this.#waiters.size > 0;
  }

  failed(error: TradewindError): void {
    void this.#close(error, error);
  }

  received(): void {
    this.#counts.received += 1;
    if (this.#options.positions !== undefined && this.#endSave === undefined) {
      this.#endSave = this.after(SAVE_EVERY_MS, () => this.savePositions());
    }
  }

  ignored(): void {
    this.#counts.ignored += 1;
  }

  report(error: unknown): void {
    const known =
      error instanceof TradewindError
        ? error
        : new TradewindError('internal', String(error), false, error);
    this.#log({ event: 'error', code: known.code, error: known });
    this.#emit('error', known);
  }

  savePositions(): void {
    this.#endSave?.();
    this.#endSave = undefined;
    const { positions } = this.#options;
    if (positions === undefined) return;
    const changed = new Map<string, Position | undefined>();
    for (const { name, used } of this.channels.values()) {
      const saved = this.#saved.get(name);
      if (used?.offset === saved?.offset && used?.epoch === saved?.epoch) continue;
      changed.set(name, used);
      this.#saved.set(name, used);
    }
    if (changed.size > 0) this.guard(() => positions.save(changed));
  }

  #close(error: TradewindError | undefined, reason: unknown): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    this.savePositions();
    this.#endHints?.();
    const closing = this.#connections.close(error);
    this.#closing = closing;
    for (const channel of [...this.channels.values()]) channel.end(reason);
    this.channels.clear();
    this.#endSave?.();
    return closing;
  }

  #emit<K extends keyof ClientEvents>(type: K, event: ClientEvents[K]): void {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        (listener as (event: ClientEvents[K]) => void)(event);
      } catch (error) {
        // One that fails while it is told of a failure is told nothing more.
        if (type === 'error') this.#log({ event: 'listener_failed', error });
        else this.report(new TradewindError('listener_failed', 'A listener threw.', false, error));
      }
    }
  }

  #log(entry: { readonly event: string; readonly [field: string]: unknown }): void {
    try {
      this.#options.log?.(entry);
    } catch {
      // A log that fails has nobody to tell.
    }
  }
}

/** Throws a `RangeError` if a time or a size is not a number from 0. */
function assertTimes(options: ClientOptions): void {
  const all = { ...options, ...options.backoff, ...options.heartbeat };
  for (const [name, value] of Object.entries(all)) {
    if (name.endsWith('Ms') && !((value as number) >= 0)) {
      throw new RangeError(`${name} must be a number of ms from 0.`);
    }
  }
}
