/** The part of a channel that decides whether it must give way to another one. */
export interface UsableChannel {
  /** Whether anything was ever published to it, as far as the node knows. */
  readonly isUsed: boolean;
  /** The number of other channels that its client held when it asked for this one; the least, if several clients asked. */
  others: number;
}

/**
 * Channels to which nothing was ever published, which give way when the node is full, because inventing names costs a client
 * nothing. They are sorted by the order of magnitude of `others`. A client gets room at the cost of clients that hold at least
 * twice as many channels. So neither 20 nor 1,000 connections with invented names keep any other client from a channel, and
 * none of them takes room from a client that holds few.
 */
export class UnusedChannels<Channel extends UsableChannel> {
  readonly #byMagnitude: Set<Channel>[] = [];

  /** Adds a channel that has just been asked for. */
  add(channel: Channel): void {
    const magnitude = magnitudeOf(channel.others);
    while (this.#byMagnitude.length <= magnitude) this.#byMagnitude.push(new Set());
    this.#byMagnitude[magnitude]?.add(channel);
  }

  /** Removes a channel. Does nothing if it was removed already. */
  delete(channel: Channel): void {
    this.#byMagnitude[magnitudeOf(channel.others)]?.delete(channel);
  }

  /** Records that another client, which holds `others` channels, wants the channel. */
  noteInterest(channel: Channel, others: number): void {
    if (others >= channel.others) return;
    this.delete(channel);
    channel.others = others;
    this.add(channel);
  }

  /** The channel that must give way to one of a client that holds `others` channels; undefined if none must. */
  findFor(others: number): Channel | undefined {
    for (let at = this.#byMagnitude.length - 1; at > magnitudeOf(others); at -= 1) {
      const channels = this.#byMagnitude[at] ?? [];
      for (const channel of channels) {
        if (!channel.isUsed) return channel;
        this.delete(channel);
      }
    }
    return undefined;
  }
}

function magnitudeOf(others: number): number {
  return Math.floor(Math.log2(others + 1));
}
