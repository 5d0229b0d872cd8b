import type {
  Channel,
  ChannelState,
  ConsumerOptions,
  Handlers,
  Item,
  IterateOptions,
  Position,
  Publication,
  Subscription,
} from '../types.ts';
import type { HeldChannel } from './channel.ts';

/** A channel as one sees it who wants the latest of each interval. It shares everything with those who want all. */
export class LatestChannel implements Channel<unknown> {
  readonly #channel: HeldChannel;
  readonly #everyMs: number;

  constructor(channel: HeldChannel, everyMs: number) {
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
    options?: ConsumerOptions,
  ): Subscription {
    return this.#channel.subscribe(consumer, options, this.#everyMs);
  }

  messages(
    options?: IterateOptions,
  ): AsyncIterableIterator<Publication<unknown>> & AsyncDisposable {
    return this.#channel.messages(options, this.#everyMs);
  }

  items(options?: IterateOptions): AsyncIterableIterator<Item<unknown>> & AsyncDisposable {
    return this.#channel.items(options, this.#everyMs);
  }

  [Symbol.asyncIterator](): AsyncIterator<Publication<unknown>> {
    return this.messages();
  }
}
