import type { Position } from '@tradewind/protocol';

/**
 * Reads the positions of channels, in the order of their names. A channel without history has no position. An error in place of a
 * position concerns that channel alone.
 */
export type ReadPositions = (
  channels: readonly string[],
) => Promise<readonly (Position | Error | undefined)[]>;

/** Hears of the reads of one reader. */
export interface PositionListener<C> {
  /** The read of this channel's position begins now. */
  onSent(channel: C): void;
  onPosition(channel: C, position: Position | undefined): void;
  /** Redis could not be reached, or refused the read. */
  onFailed(channel: C, error: Error): void;
}

/** The most channels that one command reads. */
const CHANNELS_PER_READ = 512;

/**
 * Reads the positions of channels, one command at a time. Channels that are requested while a command is in flight are part of
 * the next one, so that Redis gets one command a round trip, however many channels need one.
 */
export class PositionReader<C extends { readonly name: string }> {
  readonly #read: ReadPositions;
  readonly #isRefusal: (error: unknown) => boolean;
  readonly #listener: PositionListener<C>;
  readonly #requested = new Set<C>();
  #isReading = false;
  #scheduled: NodeJS.Immediate | undefined;

  /** @param isRefusal whether an error may concern only some of the channels. */
  constructor(
    read: ReadPositions,
    isRefusal: (error: unknown) => boolean,
    listener: PositionListener<C>,
  ) {
    this.#read = read;
    this.#isRefusal = isRefusal;
    this.#listener = listener;
  }

  /** Reads the channel's position, together with all that are requested in this turn of the event loop. */
  request(channel: C): void {
    this.#requested.add(channel);
    if (!this.#isReading) this.#scheduled ??= setImmediate(() => void this.#readAll());
  }

  /** Cancels the request for this channel, if its read has not begun. */
  forget(channel: C): void {
    this.#requested.delete(channel);
  }

  /** Ends its timer, and cancels all requests whose reads have not begun. */
  stop(): void {
    this.#requested.clear();
    clearImmediate(this.#scheduled);
  }

  async #readAll(): Promise<void> {
    this.#scheduled = undefined;
    this.#isReading = true;
    while (this.#requested.size > 0) {
      const channels: C[] = [];
      for (const channel of this.#requested) {
        if (channels.length === CHANNELS_PER_READ) break;
        this.#requested.delete(channel);
        channels.push(channel);
      }
      await this.#readSome(channels);
    }
    this.#isReading = false;
  }

  async #readSome(channels: readonly C[]): Promise<void> {
    for (const channel of channels) this.#listener.onSent(channel);
    const names = channels.map(({ name }) => name);
    const outcome = await this.#read(names).catch((error: Error) => error);
    if (outcome instanceof Error) {
      await this.#fail(channels, outcome);
      return;
    }
    for (const [i, channel] of channels.entries()) {
      const position = outcome[i];
      if (position instanceof Error) this.#listener.onFailed(channel, position);
      else this.#listener.onPosition(channel, position);
    }
  }

  /** Reads each half alone if Redis refuses, because a channel that it refuses must not keep the others from being read. */
  async #fail(channels: readonly C[], error: Error): Promise<void> {
    if (channels.length > 1 && this.#isRefusal(error)) {
      const middle = Math.ceil(channels.length / 2);
      await this.#readSome(channels.slice(0, middle));
      await this.#readSome(channels.slice(middle));
    } else {
      for (const channel of channels) this.#listener.onFailed(channel, error);
    }
  }
}
