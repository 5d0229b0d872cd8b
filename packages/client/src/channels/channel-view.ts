import { Listener } from '../consumers/listener.ts';
import { Reader } from '../consumers/reader.ts';
import { deferred } from '../deferred.ts';
import { ClosedError } from '../errors.ts';
import type {
  Channel,
  ChannelState,
  ConsumerOptions,
  Handlers,
  Item,
  IterateOptions,
  Position,
  Publication,
  SubscribedInfo,
  Subscription,
} from '../types.ts';
import type { HeldChannel } from './channel.ts';

/** A channel as the application has it. All views of one channel share everything; consumers of a view have its pace. */
export class ChannelView implements Channel<unknown> {
  readonly #channel: HeldChannel;
  readonly #everyMs: number | undefined;

  /** @param everyMs the interval of which its consumers want the latest; undefined: they want all. */
  constructor(channel: HeldChannel, everyMs: number | undefined) {
    this.#channel = channel;
    this.#everyMs = everyMs;
  }

  get name(): string {
    return this.#channel.name;
  }

  get state(): ChannelState {
    return this.#channel.state;
  }

  get position(): Position | undefined {
    return this.#channel.position;
  }

  get latest(): Publication<unknown> | undefined {
    return this.#channel.latest;
  }

  get quietSince(): number | undefined {
    return this.#channel.quietSince;
  }

  subscribe(
    consumer: ((publication: Publication<unknown>) => void) | Handlers<unknown>,
    { signal }: ConsumerOptions = {},
  ): Subscription {
    signal?.throwIfAborted();
    this.#channel.throwIfClosed();
    const handlers = typeof consumer === 'function' ? { publication: consumer } : consumer;
    const stopped = signal && (() => signal.removeEventListener('abort', unsubscribe));
    const listener = new Listener(this.#channel, handlers, stopped);
    const ready = deferred<SubscribedInfo>();
    listener.ready = ready;
    const unsubscribe = (): void => {
      listener.stop();
      ready.reject(signal?.aborted ? signal.reason : new ClosedError());
      this.#channel.leave(listener);
    };
    signal?.addEventListener('abort', unsubscribe);
    this.#channel.admit(listener, this.#everyMs);
    return { ready: ready.promise, unsubscribe, [Symbol.dispose]: unsubscribe };
  }

  messages(
    options?: IterateOptions,
  ): AsyncIterableIterator<Publication<unknown>> & AsyncDisposable {
    return this.#read(options, false) as AsyncIterableIterator<Publication<unknown>> &
      AsyncDisposable;
  }

  items(options?: IterateOptions): AsyncIterableIterator<Item<unknown>> & AsyncDisposable {
    return this.#read(options, true);
  }

  [Symbol.asyncIterator](): AsyncIterator<Publication<unknown>> {
    return this.messages();
  }

  #read(options: IterateOptions = {}, tellsAll: boolean): Reader {
    if (!options.signal?.aborted) this.#channel.throwIfClosed();
    const reader = new Reader(this.#channel, this.name, options, tellsAll);
    if (!reader.isOver) this.#channel.admit(reader, this.#everyMs);
    return reader;
  }
}
