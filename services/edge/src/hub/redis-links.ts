import { type LinkedChannel, RedisLinkState } from './redis-link-state.ts';

/** The name of the only link where Redis is no cluster. */
export const ONLY_LINK = '';

/** A channel, and the link that it belongs to. */
export interface RoutedChannel extends LinkedChannel {
  /** Undefined while no master of a cluster is known to have its slot. */
  link: string | undefined;
}

/** The outcome of a link that has come up. */
export interface LinkUp {
  /** How long the node was without this link, or without the lost one that it succeeds, in ms. */
  readonly afterMs: number;
  /** Whether the link ends a loss. False if there was no such link before. */
  readonly endsLoss: boolean;
}

/**
 * The links of a node to Redis: one, or one for each shard of a cluster. It has no clock.
 *
 * Until a cluster has told its shards there is one link, which is not up.
 */
export class RedisLinks<Channel extends RoutedChannel> {
  readonly #readIdentity: (link: string) => Promise<string | undefined>;
  readonly #relink: (channel: Channel, isSameServer: boolean) => void;
  readonly #links = new Map<string, RedisLinkState<Channel>>();
  /** When each link that is lost and has no successor was lost, in ms since the Unix epoch. At most one for each master. */
  readonly #lost = new Map<string, number>();
  #wereEverUp = false;

  /**
   * See `RedisLinkState` for the callbacks.
   *
   * @param now ms since the Unix epoch.
   */
  constructor(
    readIdentity: (link: string) => Promise<string | undefined>,
    relink: (channel: Channel, isSameServer: boolean) => void,
    now: number,
  ) {
    this.#readIdentity = readIdentity;
    this.#relink = relink;
    this.add(ONLY_LINK, now);
  }

  /** Adds the link of a shard's master, which is not up yet. `now` is in ms since the Unix epoch. */
  add(link: string, now: number): void {
    if (link !== ONLY_LINK) this.#links.delete(ONLY_LINK);
    if (this.#links.has(link)) return;
    const readIdentity = () => this.#readIdentity(link);
    this.#links.set(link, new RedisLinkState(readIdentity, this.#relink, now));
  }

  /** Removes the link of a master that has no slots any more. */
  remove(link: string): void {
    this.#links.delete(link);
    this.#noteUp();
  }

  /** The state of a channel's link; undefined while it has none. */
  of({ link }: Pick<RoutedChannel, 'link'>): RedisLinkState<Channel> | undefined {
    return link === undefined ? undefined : this.#links.get(link);
  }

  /** Whether this link is up. False for one that does not exist. */
  isUp(link: string | undefined): boolean {
    const state = this.of({ link });
    return state !== undefined && state.degradedSince === undefined;
  }

  /** Since when any link has been down, in ms since the Unix epoch: the earliest time of those that are down. Undefined while all are up. */
  get degradedSince(): number | undefined {
    const since = this.#all().flatMap(({ degradedSince }) => degradedSince ?? []);
    return since.length === 0 ? undefined : Math.min(...since);
  }

  /** Whether no link is up. */
  get areAllDown(): boolean {
    return this.#all().every(({ degradedSince }) => degradedSince !== undefined);
  }

  /** Whether most links were ever up. Links that are added later do not change that. */
  get wereEverUp(): boolean {
    return this.#wereEverUp;
  }

  /** How many links there are, how many of them are up, and the names of the others. */
  get counts(): { readonly all: number; readonly up: number; readonly away: readonly string[] } {
    const away = [...this.#links].flatMap(([name, { degradedSince }]) =>
      degradedSince === undefined ? [] : name,
    );
    return { all: this.#links.size, up: this.#links.size - away.length, away };
  }

  /** See `RedisLinkState.markLost`. */
  markLost(link: string, now: number): boolean {
    const wasUp = this.of({ link })?.markLost(now) ?? false;
    if (wasUp) this.#lost.set(link, now);
    return wasUp;
  }

  /** See `RedisLinkState.markUp`. */
  markUp(link: string, now: number): LinkUp | undefined {
    const recovery = this.of({ link })?.markUp(now);
    this.#noteUp();
    if (recovery === undefined) return undefined;
    const { isFirst, afterMs } = recovery;
    const lost = isFirst ? this.#lostWithoutState : link;
    if (lost === undefined) return { afterMs, endsLoss: false };
    const since = this.#lost.get(lost);
    this.#lost.delete(lost);
    return { afterMs: since === undefined ? afterMs : now - since, endsLoss: true };
  }

  /**
   * Once all links are up, ends the losses of masters that are gone, because no link comes up that would end them. Returns how long
   * each took, in ms. Returns none while a link is down.
   */
  takeEndedLosses(now: number): number[] {
    if (this.degradedSince !== undefined) return [];
    const ended = Array.from(this.#lost.values(), (since) => now - since);
    this.#lost.clear();
    return ended;
  }

  /** Removes a channel from its link. */
  forget(channel: Channel): void {
    for (const link of this.#links.values()) link.forget(channel);
  }

  /**
   * The lost link that a new one succeeds: a promoted master has a link of its own, and the lost one is then no master's any more.
   * Undefined for a shard that joins while another is lost.
   */
  get #lostWithoutState(): string | undefined {
    return [...this.#lost.keys()].find((link) => !this.#links.has(link));
  }

  #noteUp(): void {
    const links = this.#all();
    this.#wereEverUp ||= 2 * links.filter(({ wasEverUp }) => wasEverUp).length > links.length;
  }

  #all(): RedisLinkState<Channel>[] {
    return [...this.#links.values()];
  }
}
