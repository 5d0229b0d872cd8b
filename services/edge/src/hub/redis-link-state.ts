/** A channel that is subscribed to over a link. */
export interface LinkedChannel {
  /** The server, and the data on it, that the channel was last read from; undefined if it is not known. */
  server: string | undefined;
}

/** How a link came up. */
export interface LinkRecovery {
  /** How long it was down, in ms. */
  readonly afterMs: number;
  /** Whether it is up for the first time. */
  readonly isFirst: boolean;
}

/**
 * What the hub knows of one link to Redis: since when it is down, which server it leads to, and which channels are
 * subscribed over it. It has no clock. For a Redis Cluster there is one for each shard.
 */
export class RedisLinkState<Channel extends LinkedChannel> {
  readonly #readIdentity: () => Promise<string | undefined>;
  readonly #relink: (channel: Channel, isSameServer: boolean) => void;
  /** ms since the Unix epoch. */
  #degradedSince: number | undefined;
  #wasEverUp = false;
  /** Counts losses: an identity that was requested before a loss belongs to another connection. */
  #losses = 0;
  #isReading = false;
  /** Undefined until Redis has answered, or refused to tell, which server it is. */
  #server: { readonly identity: string | undefined } | undefined;
  readonly #linked = new Set<Channel>();
  /** Channels that are subscribed again, while the server is not known yet. */
  readonly #relinking = new Set<Channel>();

  /**
   * Begins with a link that is not up yet.
   *
   * @param readIdentity resolves with the server, and the data on it, that the link leads to; undefined if Redis does not tell.
   * @param relink hears of each channel that is subscribed again, as soon as it is known whether the server is the one
   *   that the channel was last read from. If it is not, writes may be lost and offsets handed out twice.
   * @param now ms since the Unix epoch.
   */
  constructor(
    readIdentity: () => Promise<string | undefined>,
    relink: (channel: Channel, isSameServer: boolean) => void,
    now: number,
  ) {
    this.#readIdentity = readIdentity;
    this.#relink = relink;
    this.#degradedSince = now;
  }

  /** Since when the link is down, in ms since the Unix epoch; undefined while it is up. */
  get degradedSince(): number | undefined {
    return this.#degradedSince;
  }

  /** Whether the link was ever up. */
  get wasEverUp(): boolean {
    return this.#wasEverUp;
  }

  /**
   * Records that the link is lost, or that an attempt to bring it up failed. Returns whether it was up until now.
   *
   * @param now ms since the Unix epoch.
   */
  markLost(now: number): boolean {
    this.#losses += 1;
    this.#isReading = false;
    this.#server = undefined;
    this.#linked.clear();
    this.#relinking.clear();
    if (this.#degradedSince !== undefined) return false;
    this.#degradedSince = now;
    return true;
  }

  /**
   * Records that the link is up. Returns undefined if it was up before.
   *
   * @param now ms since the Unix epoch.
   */
  markUp(now: number): LinkRecovery | undefined {
    if (this.#degradedSince === undefined) return undefined;
    const recovery = { afterMs: now - this.#degradedSince, isFirst: !this.#wasEverUp };
    this.#degradedSince = undefined;
    this.#wasEverUp = true;
    return recovery;
  }

  /** Adds a channel that is subscribed for the first time. */
  add(channel: Channel): void {
    channel.server = this.#server?.identity;
    this.#linked.add(channel);
  }

  /** Adds a channel that is subscribed again after the link was lost. {@link identifyServer} must follow. */
  addAgain(channel: Channel): void {
    this.#relinking.add(channel);
  }

  /** Removes a channel. */
  forget(channel: Channel): void {
    this.#linked.delete(channel);
    this.#relinking.delete(channel);
  }

  /** Reads once for each connection which server it leads to, and then relinks the channels that wait for that. */
  identifyServer(): void {
    this.#relinkAll();
    if (this.#isReading) return;
    this.#isReading = true;
    const losses = this.#losses;
    const learn = (identity: string | undefined): void => {
      if (losses !== this.#losses) return;
      this.#server = { identity };
      for (const channel of this.#linked) channel.server = identity;
      this.#relinkAll();
    };
    this.#readIdentity().then(learn, () => learn(undefined));
  }

  /** Compares with the server that each channel was last read from, because a channel may have missed some connections. */
  #relinkAll(): void {
    if (this.#server === undefined) return;
    const { identity } = this.#server;
    for (const channel of this.#relinking) {
      const isSameServer = identity !== undefined && identity === channel.server;
      channel.server = identity;
      this.#relinking.delete(channel);
      this.#linked.add(channel);
      this.#relink(channel, isSameServer);
    }
  }
}
