/** A channel that is subscribed to over a link. */
export interface LinkedChannel {
  /** Which server, with which data, the channel was last read from; undefined if that is not known. */
  server: string | undefined;
}

/** That a link is up, after it was not. */
export interface LinkRecovery {
  /** How long it was not up, in ms. */
  readonly afterMs: number;
  /** Whether it is up for the first time. */
  readonly isFirst: boolean;
}

/**
 * What the hub knows of one link to Redis: since when it is lost, which server it leads to, and which channels are
 * subscribed over it. It has no clock. A Redis Cluster takes one for each shard.
 */
export class RedisLinkState<Channel extends LinkedChannel> {
  readonly #readIdentity: () => Promise<string | undefined>;
  readonly #relink: (channel: Channel, isSameServer: boolean) => void;
  /** ms since the Unix epoch. */
  #degradedSince: number | undefined;
  #wasEverUp = false;
  /** Counts losses: an identity that was asked for before one is of another link. */
  #losses = 0;
  #isReading = false;
  /** Undefined until Redis has told, or refused to tell, which server it is. */
  #server: { readonly identity: string | undefined } | undefined;
  readonly #linked = new Set<Channel>();
  /** Subscribed again, while it is not known yet to which server. */
  readonly #relinking = new Set<Channel>();

  /**
   * The link is not up yet.
   *
   * @param readIdentity asks which server, with which data, the link leads to; undefined if Redis does not tell.
   * @param relink hears of each channel that is subscribed again, as soon as it is known whether the server is the one
   *   that the channel was last read from. Only then may writes be lost, and offsets be given out twice.
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

  /** Since when the link is lost, or not up yet, in ms since the Unix epoch; undefined while it is up. */
  get degradedSince(): number | undefined {
    return this.#degradedSince;
  }

  get wasEverUp(): boolean {
    return this.#wasEverUp;
  }

  /**
   * The link is lost, or an attempt failed to bring it up. Returns whether it was up until now.
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
   * The link is up. Returns undefined if it was before.
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

  /** The channel is subscribed for the first time. */
  add(channel: Channel): void {
    channel.server = this.#server?.identity;
    this.#linked.add(channel);
  }

  /** The channel is subscribed again after the link was lost. {@link identifyServer} must follow. */
  addAgain(channel: Channel): void {
    this.#relinking.add(channel);
  }

  /** The channel is let go. */
  forget(channel: Channel): void {
    this.#linked.delete(channel);
    this.#relinking.delete(channel);
  }

  /** Finds out once for each link which server it leads to, and then relinks the channels that wait for it. */
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

  /** A channel may have missed some links. What counts is the server that it was last read from. */
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
