import type { ErrorCode } from '@tradewind/protocol';
import { type Rate, TokenBucket } from '@tradewind/runtime';
import type { Feed, FeedListener } from './feed.ts';
import { type DropReason, takeIn } from './intake.ts';
import { TailMemory } from './tail-memory.ts';

/** As much of Redis as the hub needs: `RedisSubscriber` is one. */
export interface Source {
  want(channel: string): void;
  unwant(channel: string): void;
}

/** An error that Redis answered with; `RedisRefusedError` is one. */
export interface SourceError extends Error {
  /** The first word of the reply. */
  readonly code: string;
}

/** Redis' code for what its ACL does not allow. */
const NO_PERMISSION = 'NOPERM';

/** How much of Redis one node may take up. */
export interface HubLimits {
  /** Distinct channels that the node may be subscribed to. */
  readonly maxChannels: number;
  /** New channels that the node may subscribe to in Redis. */
  readonly subscribeRate: Rate;
  /** How long a channel stays subscribed to after the last one here left it, in ms. */
  readonly lingerMs: number;
  /** The largest payload that is passed on, in bytes. */
  readonly maxPublicationBytes: number;
}

/** What the hub reports. */
export interface HubEvents {
  received(channel: string, bytes: number): void;
  dropped(channel: string, reason: DropReason): void;
  refused(channel: string, error: Error): void;
  degraded(cause: string): void;
  /** The first attempts to reach Redis failed. */
  notLinkedYet(cause: string): void;
  restored(afterMs: number): void;
}

/** A worker's link to the hub. */
export interface HubFeed extends Feed {
  /** Detaches the worker: all its interest goes, and it is told nothing more. */
  close(): void;
}

interface HubChannel {
  readonly name: string;
  readonly ref: number;
  /** `lost`: it was live, and has been cut off since. */
  state: 'subscribing' | 'live' | 'lost';
  /** The workers with interest. */
  readonly listeners: Set<FeedListener>;
}

/**
 * The node's one link to Redis: it holds one subscription for each channel that any worker has
 * interest in, turns what arrives into publications, and passes each to the workers with interest.
 * It knows nothing of sockets.
 */
export class Hub {
  readonly #source: Source;
  readonly #limits: HubLimits;
  readonly #events: HubEvents;
  readonly #tails = new TailMemory();
  readonly #listeners = new Set<FeedListener>();
  readonly #channels = new Map<string, HubChannel>();
  /** Channels that nobody here wants any more → when to let go of them; the oldest come first. */
  readonly #lingering = new Map<string, number>();
  readonly #subscribeBudget: TokenBucket;
  #lingerTimer: NodeJS.Timeout | undefined;
  #lastRef = 0;
  /** Since when the node has been cut off, ms since the Unix epoch. */
  #degradedSince: number | undefined = Date.now();
  #everLinked = false;

  constructor(source: Source, limits: HubLimits, events: HubEvents) {
    this.#source = source;
    this.#limits = limits;
    this.#events = events;
    this.#subscribeBudget = new TokenBucket(limits.subscribeRate, performance.now());
  }

  /** Channels that the node is, or wants to be, subscribed to; those that linger included. */
  get channels(): number {
    return this.#channels.size;
  }

  /** Since when the node has been cut off from Redis (ms since the Unix epoch), or undefined. */
  get degradedSince(): number | undefined {
    return this.#degradedSince;
  }

  /** Whether the node was ever linked to Redis since it started. */
  get everLinked(): boolean {
    return this.#everLinked;
  }

  /** Channels that a worker has interest in. */
  get watchedChannels(): number {
    return this.#channels.size - this.#lingering.size;
  }

  /** Attaches a worker. */
  connect(listener: FeedListener): HubFeed {
    this.#listeners.add(listener);
    queueMicrotask(() => {
      if (!this.#listeners.has(listener)) return;
      if (this.#degradedSince === undefined) listener.restored();
      else listener.degraded(this.#degradedSince);
    });
    return {
      declare: (channel) => this.#declare(channel, listener),
      drop: (channel) => this.#drop(channel, listener),
      close: () => this.#disconnect(listener),
    };
  }

  /** Lets go of everything. The source is its owner's to stop. */
  stop(): void {
    clearTimeout(this.#lingerTimer);
    this.#listeners.clear();
    this.#channels.clear();
    this.#lingering.clear();
  }

  // What Redis tells.

  message(channel: string, payload: Buffer): void {
    const known = this.#channels.get(channel);
    if (known === undefined) return;
    this.#events.received(channel, payload.length);
    if (known.listeners.size === 0) return;
    const intake = takeIn(
      channel,
      payload,
      this.#limits.maxPublicationBytes,
      Date.now(),
      this.#tails,
    );
    if (!intake.ok) {
      this.#events.dropped(channel, intake.reason);
      return;
    }
    for (const listener of known.listeners) listener.published(intake.publication);
  }

  subscribed(names: readonly string[]): void {
    const acknowledged = new Map<FeedListener, { channel: string; ref: number }[]>();
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel === undefined || channel.state === 'live') continue;
      const wasLost = channel.state === 'lost';
      channel.state = 'live';
      for (const listener of channel.listeners) {
        if (wasLost) {
          listener.gap({ channel: name, reason: 'link' });
          continue;
        }
        const list = acknowledged.get(listener) ?? [];
        acknowledged.set(listener, list);
        list.push({ channel: name, ref: channel.ref });
      }
    }
    for (const [listener, list] of acknowledged) listener.acknowledged(list);
  }

  /**
   * Redis refuses a channel. When it may not be had, or nobody receives it yet, it is given up here,
   * and whoever wants it is told that they may retry. Any other error passes (a busy script, say): the
   * source goes on to ask for the channel, and its subscribers are told a gap when it flows again.
   */
  refused(name: string, error: SourceError): void {
    this.#events.refused(name, error);
    const isLost = this.#channels.get(name)?.state === 'lost';
    if (!isLost || error.code === NO_PERMISSION) this.#giveUp(name, 'unavailable');
  }

  linkLost(cause: string): void {
    if (this.#everLinked) this.#events.degraded(cause);
    else this.#events.notLinkedYet(cause);
    for (const channel of [...this.#channels.values()]) {
      if (channel.state === 'subscribing') this.#giveUp(channel.name, 'unavailable');
      else channel.state = 'lost';
    }
    if (this.#degradedSince !== undefined) return;
    this.#degradedSince = Date.now();
    for (const listener of this.#listeners) listener.degraded(this.#degradedSince);
  }

  linkRestored(): void {
    if (this.#degradedSince === undefined) return;
    const afterMs = Date.now() - this.#degradedSince;
    this.#degradedSince = undefined;
    this.#everLinked = true;
    this.#events.restored(afterMs);
    for (const listener of this.#listeners) listener.restored();
  }

  #disconnect(listener: FeedListener): void {
    this.#listeners.delete(listener);
    for (const name of this.#channels.keys()) this.#drop(name, listener);
  }

  #declare(name: string, listener: FeedListener): void {
    const known = this.#channels.get(name);
    const code = known === undefined ? this.#refusal() : undefined;
    if (this.#degradedSince !== undefined || code !== undefined) {
      queueMicrotask(() => {
        if (!this.#listeners.has(listener) || this.#isListening(name, listener)) return;
        listener.refused([name], code ?? 'unavailable');
      });
      return;
    }
    const channel = known ?? this.#subscribe(name);
    channel.listeners.add(listener);
    this.#lingering.delete(name);
    if (channel.state === 'live') {
      queueMicrotask(() => {
        if (this.#channels.get(name) !== channel || !this.#isListening(name, listener)) return;
        listener.acknowledged([{ channel: name, ref: channel.ref }]);
      });
    }
  }

  /** An answer that waits for its call to return may be overtaken by a drop and a new declaration. */
  #isListening(name: string, listener: FeedListener): boolean {
    return this.#channels.get(name)?.listeners.has(listener) === true;
  }

  #refusal(): ErrorCode | undefined {
    const full = this.#channels.size >= this.#limits.maxChannels;
    if (full && this.#lingering.size === 0) return 'node_channels_full';
    if (!this.#subscribeBudget.take(performance.now())) return 'rate_limited';
    if (full) this.#releaseOldest();
    return undefined;
  }

  #subscribe(name: string): HubChannel {
    this.#lastRef += 1;
    const channel: HubChannel = {
      name,
      ref: this.#lastRef,
      state: 'subscribing',
      listeners: new Set(),
    };
    this.#channels.set(name, channel);
    this.#source.want(name);
    return channel;
  }

  #drop(name: string, listener: FeedListener): void {
    const channel = this.#channels.get(name);
    if (channel?.listeners.delete(listener) !== true || channel.listeners.size > 0) return;
    this.#lingering.set(name, performance.now() + this.#limits.lingerMs);
    this.#lingerTimer ??= setTimeout(this.#releaseLingering, this.#limits.lingerMs);
  }

  readonly #releaseLingering = (): void => {
    const now = performance.now();
    this.#lingerTimer = undefined;
    for (const [name, until] of this.#lingering) {
      if (until > now) {
        this.#lingerTimer = setTimeout(this.#releaseLingering, Math.ceil(until - now));
        return;
      }
      this.#release(name);
    }
  };

  #releaseOldest(): void {
    const [oldest] = this.#lingering.keys();
    if (oldest !== undefined) this.#release(oldest);
  }

  #giveUp(name: string, code: ErrorCode): void {
    const listeners = this.#channels.get(name)?.listeners ?? [];
    this.#release(name);
    for (const listener of listeners) listener.refused([name], code);
  }

  #release(name: string): void {
    this.#lingering.delete(name);
    this.#channels.delete(name);
    this.#source.unwant(name);
  }
}
