import { isChannelName, LATEST_INTERVALS_MS } from '@tradewind/protocol';
import { HeldChannel } from './channels/channel.ts';
import { Connections } from './connection/connections.ts';
import { PageHints } from './connection/page-hints.ts';
import { Core, settingsOf } from './core.ts';
import { deferred } from './deferred.ts';
import { ChannelError, ClosedError, type TradewindError } from './errors.ts';
import type { Surroundings } from './surroundings.ts';
import type {
  Channel,
  ChannelOptions,
  Client,
  ClientEvents,
  ClientOptions,
  ClientState,
  ClientStats,
  Session,
  UrlSource,
} from './types.ts';

/** The client of the application. {@link Connections} does the work. */
export class TradewindClient implements Client {
  readonly #core: Core;
  readonly #connections: Connections;
  /** All channels that somebody still has, so that one name is one object. */
  readonly #known = new Map<string, WeakRef<HeldChannel>>();
  readonly #forget = new FinalizationRegistry<string>((name) => {
    if (this.#known.get(name)?.deref() === undefined) this.#known.delete(name);
  });
  readonly #hints: PageHints;
  #closing: Promise<void> | undefined;

  constructor(url: UrlSource, options: ClientOptions, surroundings: Surroundings) {
    this.#core = new Core(settingsOf(url, options), surroundings);
    this.#connections = new Connections(this.#core, (error) => void this.#close(error, error));
    this.#hints = new PageHints(this.#core, this.#connections);
    const { signal } = options;
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted) this.#abort();
  }

  get state(): ClientState {
    return this.#connections.state;
  }

  channel<T = unknown>(name: string, options: ChannelOptions<T> = {}): Channel<T> {
    if (!isChannelName(name)) throw new ChannelError(String(name), 'bad_channel', false);
    const { latest, ...own } = options;
    if (latest !== undefined && !LATEST_INTERVALS_MS.includes(latest.everyMs)) {
      throw new RangeError(`latest.everyMs must be one of ${LATEST_INTERVALS_MS}.`);
    }
    let channel = this.#known.get(name)?.deref();
    if (channel === undefined) {
      channel = new HeldChannel(name, this.#core, this.#connections);
      this.#known.set(name, new WeakRef(channel));
      this.#forget.register(channel, name);
    }
    channel.configure(own as ChannelOptions<unknown>);
    return channel.viewFor(latest?.everyMs) as Channel<unknown> as Channel<T>;
  }

  async ready({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Session> {
    signal?.throwIfAborted();
    const own = this.#core.settings.signal;
    const result = deferred<Session>();
    const look = (state: ClientState): void => {
      if (state.name === 'online') result.resolve(state.session);
      else if (state.name === 'closed') {
        result.reject(own?.aborted ? own.reason : (state.error ?? new ClosedError()));
      }
    };
    const listening = this.on('state', ({ state }) => look(state));
    const abort = (): void => result.reject(signal?.reason);
    signal?.addEventListener('abort', abort);
    this.#connections.waiters += 1;
    look(this.state);
    this.#connections.needed();
    try {
      return await result.promise;
    } finally {
      listening[Symbol.dispose]();
      signal?.removeEventListener('abort', abort);
      this.#connections.waiters -= 1;
      this.#connections.needed();
    }
  }

  on<K extends keyof ClientEvents>(
    type: K,
    listener: (event: ClientEvents[K]) => void,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Disposable {
    const listeners = this.#core.listeners(type);
    const end = (): void => {
      listeners.delete(listener);
      signal?.removeEventListener('abort', end);
    };
    listeners.add(listener);
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
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
    const { channels, accepts, freshness } = this.#connections;
    let buffered = 0;
    for (const channel of channels.values()) buffered += channel.waiting;
    return {
      ...this.#core.counts,
      gaps: { ...this.#core.gaps },
      reconnects: Math.max(0, accepts - 1),
      ...freshness.stats(),
      buffered,
      channels: channels.size,
    };
  }

  close(): Promise<void> {
    return this.#close(undefined, undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #abort = (): void => {
    void this.#close(undefined, this.#core.settings.signal?.reason);
  };

  #close(error: TradewindError | undefined, reason: unknown): Promise<void> {
    if (this.#closing === undefined) {
      this.#core.settings.signal?.removeEventListener('abort', this.#abort);
      this.#hints.stop();
      this.#closing = this.#connections.close(error);
      const { channels } = this.#connections;
      for (const channel of [...channels.values()]) channel.end(reason);
      channels.clear();
    }
    return this.#closing;
  }
}
