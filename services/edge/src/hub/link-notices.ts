import type { FeedListener } from '../feed.ts';
import type { HubChannel } from './channel.ts';
import type { RedisLinks } from './redis-links.ts';

/** What it looks at. Its owner keeps them up to date. */
export interface LinkNoticesParts {
  readonly listeners: ReadonlySet<FeedListener>;
  readonly channels: ReadonlyMap<string, HubChannel>;
  readonly links: RedisLinks<HubChannel>;
}

/** Tells workers which of their channels are cut off from Redis: none, all, or those of the shards that are away. */
export class LinkNotices {
  readonly #listeners: LinkNoticesParts['listeners'];
  readonly #channels: LinkNoticesParts['channels'];
  readonly #links: LinkNoticesParts['links'];
  /** What each worker was told to be cut off: `none`, `all`, or the channels. */
  readonly #lastStates = new Map<FeedListener, 'none' | 'all' | ReadonlySet<string>>();
  #scheduled: NodeJS.Immediate | undefined;

  constructor({ listeners, channels, links }: LinkNoticesParts) {
    this.#listeners = listeners;
    this.#channels = channels;
    this.#links = links;
  }

  tellAll(): void {
    for (const listener of this.#listeners) this.tell(listener);
  }

  /** Once for all changes of this turn. */
  tellAllSoon(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.tellAll();
    });
  }

  tell(listener: FeedListener): void {
    const { degradedSince = Date.now(), areAllDown } = this.#links;
    const before = this.#lastStates.get(listener);
    if (areAllDown) {
      this.#lastStates.set(listener, 'all');
      if (before !== 'all') listener.onDegraded(degradedSince);
      return;
    }
    const cutOff = new Set<string>();
    for (const { name, link, listeners } of this.#channels.values())
      if (!this.#links.isUp(link) && listeners.has(listener)) cutOff.add(name);
    if (cutOff.size === 0) {
      this.#lastStates.set(listener, 'none');
      if (before !== 'none') listener.onRestored();
      return;
    }
    // A promoted master is a link of its own, which changes nothing for clients until it is up.
    if (typeof before === 'object' && areSame(before, cutOff)) return;
    this.#lastStates.set(listener, cutOff);
    listener.onDegraded(degradedSince, [...cutOff]);
  }

  /** The worker is told its state anew when its turn comes next. */
  forget(listener: FeedListener): void {
    this.#lastStates.delete(listener);
  }

  /** Nobody is told anything any more. */
  stop(): void {
    clearImmediate(this.#scheduled);
    this.#lastStates.clear();
  }
}

/** Whether two sets hold the same names. Each has up to all channels of a node: they are not sorted for that. */
function areSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  if (one.size !== other.size) return false;
  for (const name of one) if (!other.has(name)) return false;
  return true;
}
