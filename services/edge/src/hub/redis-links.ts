import { type LinkedChannel, type LinkRecovery, RedisLinkState } from './redis-link-state.ts';

/** The name of the only link where Redis is no cluster. */
export const ONLY_LINK = '';

/** A channel, and the link that it belongs to. */
export interface RoutedChannel extends LinkedChannel {
  /** Undefined while no master of a cluster is known to have its slot. */
  link: string | undefined;
}

/**
 * The links of a node to Redis: one, or one for each shard of a cluster. It has no clock.
 *
 * Before a cluster has told its shards there is one link, which is not up.
 */
export class RedisLinks<Channel extends RoutedChannel> {
  readonly #readIdentity: (link: string) => Promise<string | undefined>;
  readonly #relink: (channel: Channel, isSameServer: boolean) => void;
  readonly #links = new Map<string, RedisLinkState<Channel>>();
  #wereEverUp = false;

  /** See `RedisLinkState`. @param now ms since the Unix epoch. */
  constructor(
    readIdentity: (link: string) => Promise<string | undefined>,
    relink: (channel: Channel, isSameServer: boolean) => void,
    now: number,
  ) {
    this.#readIdentity = readIdentity;
    this.#relink = relink;
    this.add(ONLY_LINK, now);
  }

  /** A shard has a master. Its link is not up yet. */
  add(link: string, now: number): void {
    if (link !== ONLY_LINK) this.#links.delete(ONLY_LINK);
    if (this.#links.has(link)) return;
    const readIdentity = () => this.#readIdentity(link);
    this.#links.set(link, new RedisLinkState(readIdentity, this.#relink, now));
  }

  /** A master has no slots any more. */
  remove(link: string): void {
    this.#links.delete(link);
    this.#noteUp();
  }

  /** The state of a channel's link; undefined while it has none. */
  of({ link }: Pick<RoutedChannel, 'link'>): RedisLinkState<Channel> | undefined {
    return link === undefined ? undefined : this.#links.get(link);
  }

  /** Whether what belongs to this link arrives. */
  isUp(link: string | undefined): boolean {
    const state = this.of({ link });
    return state !== undefined && state.degradedSince === undefined;
  }

  /** Since when the first of the links that are down is down, in ms since the Unix epoch; undefined while all are up. */
  get degradedSince(): number | undefined {
    const since = this.#all().flatMap(({ degradedSince }) => degradedSince ?? []);
    return since.length === 0 ? undefined : Math.min(...since);
  }

  /** Whether no link is up. */
  get areAllDown(): boolean {
    return this.#all().every(({ degradedSince }) => degradedSince !== undefined);
  }

  /** Whether most links have ever been up. Links that are added later do not undo that. */
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
    return this.of({ link })?.markLost(now) ?? false;
  }

  /** See `RedisLinkState.markUp`. */
  markUp(link: string, now: number): LinkRecovery | undefined {
    const recovery = this.of({ link })?.markUp(now);
    this.#noteUp();
    return recovery;
  }

  /** The channel is let go, or leaves its link. */
  forget(channel: Channel): void {
    for (const link of this.#links.values()) link.forget(channel);
  }

  #noteUp(): void {
    const links = this.#all();
    this.#wereEverUp ||= 2 * links.filter(({ wasEverUp }) => wasEverUp).length > links.length;
  }

  #all(): RedisLinkState<Channel>[] {
    return [...this.#links.values()];
  }
}
