import type { FeedListener } from '../feed.ts';
import type { HubChannel } from './channel.ts';
import type { RedisLinks } from './redis-links.ts';

/** What {@link LinkNotices} reads. Its owner keeps them up to date. */
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
  /** Which channels each worker was last told are cut off. */
  readonly #lastStates = new Map<FeedListener, 'none' | 'all' | ReadonlySet<string>>();
  #scheduled: NodeJS.Immediate | undefined;

  constructor({ listeners, channels, links }: LinkNoticesParts) {
    this.#listeners = listeners;
    this.#channels = channels;
    this.#links = links;
  }

  /** Tells all workers, as {@link tell} does. */
  tellAll(): void {
    for (const listener of this.#listeners) this.tell(listener);
  }

  /** Tells all workers once, for all changes of this turn of the event loop. */
  tellAllSoon(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.tellAll();
    });
  }

  /** Tells a worker which of its channels are cut off, unless it was told the same last. */
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
    // The link of a promoted master changes nothing for clients until it is up.
    if (typeof before === 'object' && areSame(before, cutOff)) return;
    this.#lastStates.set(listener, cutOff);
    listener.onDegraded(degradedSince, [...cutOff]);
  }

  /** Forgets what a worker was told, so that the next {@link tell} tells it in any case. */
  forget(listener: FeedListener): void {
    this.#lastStates.delete(listener);
  }

  /** Ends its timer. No worker is told anything any more. */
  stop(): void {
    clearImmediate(this.#scheduled);
    this.#lastStates.clear();
  }
}

/** Whether two sets hold the same names. They are not sorted for that, because each may hold all channels of a node. */
function areSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  if (one.size !== other.size) return false;
  for (const name of one) if (!other.has(name)) return false;
  return true;
}
