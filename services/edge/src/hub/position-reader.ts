import type { Position } from '@tradewind/protocol';

/** Reads where channels stand, in the order of the names; undefined: no history. */
export type ReadPositions = (
  channels: readonly string[],
) => Promise<readonly (Position | undefined)[]>;

/** Whom position reads tell. */
export interface PositionListener<C> {
  /** The question about this channel is being put now. */
  asked(channel: C): void;
  answered(channel: C, position: Position | undefined): void;
  /** There is no answer: Redis could not be asked, or refused. */
  unanswered(channel: C, error: Error): void;
}

/** Channels that are asked about in one command. */
const CHANNELS_PER_READ = 512;

/**
 * Asks Redis where channels stand, one question at a time: whoever comes to ask while one is under way is
 * part of the next. So what confirms publications costs Redis one command a round trip, however many
 * there are.
 */
export class PositionReads<C extends { readonly name: string }> {
  readonly #read: ReadPositions;
  readonly #isRefusal: (error: unknown) => boolean;
  readonly #listener: PositionListener<C>;
  readonly #asking = new Set<C>();
  #isReading = false;
  #scheduled: NodeJS.Immediate | undefined;

  /** @param isRefusal whether an error may be about some of the channels alone. */
  constructor(
    read: ReadPositions,
    isRefusal: (error: unknown) => boolean,
    listener: PositionListener<C>,
  ) {
    this.#read = read;
    this.#isRefusal = isRefusal;
    this.#listener = listener;
  }

  /** Asks for the channel's position, with all others that ask in this turn of the event loop. */
  ask(channel: C): void {
    this.#asking.add(channel);
    if (!this.#isReading) this.#scheduled ??= setImmediate(() => void this.#readAll());
  }

  /** Does not ask about this channel, if it was not done yet. */
  forget(channel: C): void {
    this.#asking.delete(channel);
  }

  /** Forgets all questions that were not put yet. */
  clear(): void {
    this.#asking.clear();
  }

  /** Ends its timer. */
  stop(): void {
    this.clear();
    clearImmediate(this.#scheduled);
  }

  async #readAll(): Promise<void> {
    this.#scheduled = undefined;
    this.#isReading = true;
    while (this.#asking.size > 0) {
      const channels: C[] = [];
      for (const channel of this.#asking) {
        if (channels.length === CHANNELS_PER_READ) break;
        this.#asking.delete(channel);
        channels.push(channel);
      }
      await this.#readSome(channels);
    }
    this.#isReading = false;
  }

  async #readSome(channels: readonly C[]): Promise<void> {
    for (const channel of channels) this.#listener.asked(channel);
    const names = channels.map(({ name }) => name);
    const outcome = await this.#read(names).catch((error: Error) => error);
    if (outcome instanceof Error) await this.#notRead(channels, outcome);
    else
      for (const [i, channel] of channels.entries()) this.#listener.answered(channel, outcome[i]);
  }

  /** One channel that Redis keeps from us must not keep the others from being read. */
  async #notRead(channels: readonly C[], error: Error): Promise<void> {
    if (channels.length > 1 && this.#isRefusal(error)) {
      const middle = Math.ceil(channels.length / 2);
      await this.#readSome(channels.slice(0, middle));
      await this.#readSome(channels.slice(middle));
    } else {
      for (const channel of channels) this.#listener.unanswered(channel, error);
    }
  }
}
