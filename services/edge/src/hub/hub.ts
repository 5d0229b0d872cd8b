import type { ErrorCode } from '@tradewind/protocol';
import { type Rate, TokenBucket } from '@tradewind/runtime';
import { type Feed, type FeedListener, type HistoryAnswer, nothingOf } from '../feed.ts';
import { type Limited, LimitGuard } from '../limits.ts';
import { type ChannelContext, type ChannelEvents, HubChannel } from './channel.ts';
import type { ChannelStore } from './channel-store.ts';
import { Acknowledgements, type OnEndConfirmed } from './channel-waiters.ts';
import { LingeringChannels } from './lingering-channels.ts';
import { LinkNotices } from './link-notices.ts';
import { type DeflateStatistics, PayloadDeflater } from './payload-deflater.ts';
import { Recovery, type RecoveryEvents, type RecoverySettings } from './recovery.ts';
import { ONLY_LINK, RedisLinks } from './redis-links.ts';
import { UnusedChannels } from './unused-channels.ts';

/** The hub's links to Redis, by which it subscribes. `RedisSubscriber` is one with a single link. */
export interface Source {
  want(channel: string): void;
  unwant(channel: string): void;
  /** Resolves with the server, and the data on it, that the link leads to; undefined if Redis does not tell. */
  serverIdentity(link: string): Promise<string | undefined>;
  /**
   * In a cluster: the link of the channel's shard, which is undefined while no master is known to have its slot. Without this
   * method there is one link.
   */
  linkOf?(channel: string): string | undefined;
}

/** An error that Redis answered with; `RedisRefusedError` is one. */
export interface SourceError extends Error {
  /** The first word of the reply. */
  readonly code: string;
}

/** Redis' code for a command, key or channel that its ACL does not allow. */
const NO_PERMISSION = 'NOPERM';

/** How much one node may ask of Redis. */
export interface HubLimits extends RecoverySettings {
  /** The most distinct channels that the node may be subscribed to. */
  readonly maxChannels: number;
  /** The new channels that the node may subscribe to in Redis. */
  readonly subscribeRate: Rate;
  /** Whether a request beyond a rate is refused. */
  readonly enforcesRates: boolean;
  /** How long a channel stays subscribed after the last worker dropped it, in ms. */
  readonly lingerMs: number;
}

/** The most messages of one channel that may wait for a read: as many as several reads return. Beyond it they are dropped and read from history. */
const WAITING_MESSAGES = 4_096;

/** The most bytes of payload of such messages. */
const WAITING_BYTES = 4 * 1024 * 1024;

/** Reports what the hub does. */
export interface HubEvents extends ChannelEvents, RecoveryEvents {
  received(channel: string, bytes: number): void;
  limited: Limited;
  refused(channel: string, error: Error): void;
  degraded(cause: string): void;
  /** The first attempts to reach Redis failed. */
  neverLinked(cause: string): void;
  /** The node is linked to Redis for the first time, this long after it started. */
  linked(afterMs: number): void;
  /** The node is linked again, this long after it was cut off. `shard` names the master or its successor, if Redis is a cluster. */
  restored(afterMs: number, shard?: string): void;
}

/** A channel that a node holds, as telemetry sees it. */
export type HeldChannel = Pick<HubChannel, 'name' | 'state' | 'lastMessageAt' | 'position'>;

/** A worker's connection to the hub. */
export interface HubFeed extends Feed {
  /**
   * Like {@link Feed.readHistory}, for publications that did not reach the worker. They are read without waiting for the budget,
   * the oldest first, so that a long range takes several requests.
   */
  fillIn(channel: string, from: number, onAnswer: (answer: HistoryAnswer) => void): void;
  /** Detaches the worker. It counts as having dropped all channels, and hears nothing more. */
  close(): void;
}

/**
 * The side of the node that faces Redis: others call it a broker client or backplane. It holds one subscription for each
 * channel that any worker wants, and delivers each channel in the order of its offsets, whatever happens to the link. It
 * knows nothing of sockets or clients.
 */
export class Hub {
  readonly #source: Source;
  readonly #limits: HubLimits;
  readonly #events: HubEvents;
  readonly #recovery: Recovery;
  readonly #context: ChannelContext;
  readonly #listeners = new Set<FeedListener>();
  readonly #channels = new Map<string, HubChannel>();
  readonly #lingering: LingeringChannels;
  readonly #unused = new UnusedChannels<HubChannel>();
  readonly #deflater: PayloadDeflater;
  readonly #subscribeBudget: TokenBucket;
  readonly #guard: LimitGuard;
  #lastRef = 0;
  readonly #links: RedisLinks<HubChannel>;
  readonly #notices: LinkNotices;

  constructor(
    source: Source,
    store: ChannelStore,
    limits: HubLimits,
    events: HubEvents,
    deflater = new PayloadDeflater(),
  ) {
    this.#source = source;
    this.#deflater = deflater;
    this.#limits = limits;
    this.#events = events;
    this.#guard = new LimitGuard(limits.enforcesRates, events.limited);
    this.#recovery = new Recovery(store, limits, events, this.#guard, ({ name }) =>
      this.#reject(name, 'unavailable'),
    );
    this.#context = {
      sequence: {
        waiting: { messages: WAITING_MESSAGES, bytes: WAITING_BYTES },
        page: limits.maxHistory,
      },
      maxPublicationBytes: limits.maxPublicationBytes,
      deflater: this.#deflater,
      acknowledgements: new Acknowledgements((name, listener) => this.#isListening(name, listener)),
      events,
    };
    this.#subscribeBudget = new TokenBucket(limits.subscribeRate, performance.now());
    this.#lingering = new LingeringChannels(limits.lingerMs, (name) => this.#release(name));
    this.#links = new RedisLinks(
      (link) => source.serverIdentity(link),
      (channel, isSameServer) => this.#relink(channel, isSameServer),
      Date.now(),
    );
    this.#notices = new LinkNotices({
      listeners: this.#listeners,
      channels: this.#channels,
      links: this.#links,
    });
  }

  /** The number of channels that the node is, or wants to be, subscribed to, including those that linger. */
  get channels(): number {
    return this.#channels.size;
  }

  /** Statistics of deflating for binary frames, which go on counting. */
  get deflating(): DeflateStatistics {
    return this.#deflater.statistics;
  }

  /**
   * Since when the node has been cut off from Redis, or from a shard of it, in ms since the Unix epoch; undefined while it is
   * linked.
   */
  get degradedSince(): number | undefined {
    return this.#links.degradedSince;
  }

  /** Whether the node was ever linked to Redis since it started: to most shards, if there are several. */
  get everLinked(): boolean {
    return this.#links.wereEverUp;
  }

  /** How many shards Redis has, to how many of them the node is linked, and which are away; without a cluster, one. */
  get shards(): { readonly all: number; readonly up: number; readonly away: readonly string[] } {
    return this.#links.counts;
  }

  /** The number of channels that a worker wants. */
  get watchedChannels(): number {
    return this.#channels.size - this.#lingering.size;
  }

  /** The channels that the node is, or wants to be, subscribed to. They may change during the iteration. */
  held(): Iterable<HeldChannel> {
    return this.#channels.values();
  }

  /** A channel that the node is, or wants to be, subscribed to; undefined if it is not. */
  heldChannel(name: string): HeldChannel | undefined {
    return this.#channels.get(name);
  }

  /** Attaches a worker, which is told first whether the node is linked. The caller must close the result. */
  connect(listener: FeedListener): HubFeed {
    this.#listeners.add(listener);
    queueMicrotask(() => {
      if (!this.#listeners.has(listener)) return;
      this.#notices.forget(listener);
      this.#notices.tell(listener);
    });
    return {
      declare: (channel, others = 0) => this.#declare(channel, others, listener),
      drop: (channel) => this.#drop(channel, listener),
      wantDeflated: (channel, isWanted) =>
        this.#channels.get(channel)?.wantDeflated(listener, isWanted),
      readHistory: (channel, from, onAnswer) =>
        this.#readHistory(channel, from, listener, onAnswer, 'requests'),
      fillIn: (channel, from, onAnswer) =>
        this.#readHistory(channel, from, listener, onAnswer, 'fillIns'),
      confirmEnd: (channel, onConfirmed) => this.#confirmEnd(channel, listener, onConfirmed),
      close: () => this.#disconnect(listener),
    };
  }

  /** Ends its timers and drops all workers and channels. The source's owner must stop the source. */
  stop(): void {
    this.#lingering.stop();
    this.#notices.stop();
    this.#recovery.stop();
    this.#listeners.clear();
    this.#channels.clear();
  }

  // The listener of the links to Redis. A link has no name where there is only one.

  message(name: string, message: Buffer): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    this.#events.received(name, message.length);
    const action = channel.readMessage(message, performance.now());
    if (action.kind !== 'nothing') this.#recovery.follow(channel, action);
  }

  subscribed(names: readonly string[], link = ONLY_LINK): void {
    const state = this.#links.of({ link });
    if (state === undefined) return;
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel?.state === 'subscribing') {
        channel.link = link;
        channel.state = 'positioning';
        state.add(channel);
        this.#recovery.watch(channel);
      } else if (channel?.state === 'lost') {
        channel.link = link;
        channel.state = 'live';
        state.addAgain(channel);
      }
    }
    state.identifyServer();
  }

  /**
   * Redis refuses a subscription. If the ACL forbids the channel, or no worker was acknowledged yet, the channel is released
   * and its workers are refused; they may retry. Any other error passes (a busy script, say): the source subscribes again, and
   * the workers are told a gap when publications arrive again.
   */
  refused(name: string, error: SourceError): void {
    this.#events.refused(name, error);
    const channel = this.#channels.get(name);
    if (channel?.state !== 'lost' || error.code === NO_PERMISSION)
      this.#reject(name, 'unavailable');
    else this.#refuseUnacknowledged(channel);
  }

  linkLost(cause: string, link = ONLY_LINK): void {
    if (this.#links.of({ link })?.wasEverUp) this.#events.degraded(cause);
    else this.#events.neverLinked(cause);
    const wasUp = this.#links.markLost(link, Date.now());
    for (const channel of [...this.#channels.values()]) {
      if (channel.link === link) this.#loseChannel(channel);
    }
    if (wasUp) this.#notices.tellAll();
  }

  linkRestored(link = ONLY_LINK): void {
    this.#links.of({ link })?.identifyServer();
    const now = Date.now();
    const up = this.#links.markUp(link, now);
    if (up === undefined) return;
    if (up.endsLoss) this.#events.restored(up.afterMs, link === ONLY_LINK ? undefined : link);
    else this.#events.linked(up.afterMs);
    this.#tellEndedLosses(now);
    this.#notices.tellAll();
  }

  /** Reports the losses of masters that are gone as restored: no link comes up that would report them. */
  #tellEndedLosses(now: number): void {
    for (const afterMs of this.#links.takeEndedLosses(now)) this.#events.restored(afterMs);
  }

  /** A shard of a cluster has a master to which there is no link yet. */
  linkAdded(link: string): void {
    this.#links.add(link, Date.now());
  }

  /** A node of a cluster is no master of a shard any more. Its channels have moved. */
  linkRemoved(link: string): void {
    this.#links.remove(link);
    this.#recovery.dropLink(link);
    this.#notices.tellAll();
    this.#tellEndedLosses(Date.now());
  }

  /**
   * These channels belong to another shard of the cluster now. Their subscriptions are lost until the next `subscribed`; a channel
   * that waits for its first one continues to wait.
   */
  moved(names: readonly string[]): void {
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      const wasUp = this.#links.isUp(channel.link);
      if (channel.state !== 'subscribing') this.#loseChannel(channel);
      this.#links.forget(channel);
      channel.link = this.#linkOf(name);
      if (this.#links.isUp(channel.link) !== wasUp) this.#notices.tellAllSoon();
    }
  }

  /** Records that a channel's subscription is lost, and refuses the workers that were not acknowledged. */
  #loseChannel(channel: HubChannel): void {
    if (channel.state === 'subscribing' || channel.state === 'positioning') {
      this.#reject(channel.name, 'unavailable');
      return;
    }
    channel.state = 'lost';
    this.#recovery.cancelPositionRead(channel);
    channel.action = channel.sequence.unlink();
    channel.failEndRequests('unavailable');
    this.#refuseUnacknowledged(channel);
  }

  #linkOf(name: string): string | undefined {
    return this.#source.linkOf === undefined ? ONLY_LINK : this.#source.linkOf(name);
  }

  #disconnect(listener: FeedListener): void {
    this.#listeners.delete(listener);
    this.#notices.forget(listener);
    for (const name of this.#channels.keys()) this.#drop(name, listener);
  }

  #declare(name: string, others: number, listener: FeedListener): void {
    const known = this.#channels.get(name);
    const isUp = this.#links.isUp(known === undefined ? this.#linkOf(name) : known.link);
    const code = known === undefined ? this.#refusal(others) : undefined;
    if (!isUp || code !== undefined) {
      queueMicrotask(() => {
        if (!this.#listeners.has(listener) || this.#isListening(name, listener)) return;
        listener.onRefused([name], code ?? 'unavailable');
      });
      return;
    }
    const channel = known ?? this.#subscribe(name, others);
    this.#unused.noteInterest(channel, others);
    channel.listeners.add(listener);
    channel.waiters.unacknowledged.add(listener);
    this.#lingering.delete(name);
    queueMicrotask(() => {
      if (channel.isHeld && channel.state === 'live') channel.acknowledge();
    });
  }

  /** Whether a worker wants a channel. Check it before a late answer: a drop and a new declaration may have overtaken the answer. */
  #isListening(name: string, listener: FeedListener): boolean {
    return this.#channels.get(name)?.listeners.has(listener) === true;
  }

  #refusal(others: number): ErrorCode | undefined {
    const full = this.#channels.size >= this.#limits.maxChannels;
    let unused: HubChannel | undefined;
    if (full && this.#lingering.size === 0) {
      this.#guard.isFull('node_channels');
      unused = this.#unused.findFor(others);
      if (unused === undefined) return 'node_channels_full';
    }
    if (!this.#subscribeBudget.take(performance.now()) && this.#guard.refuses('node_subscribes')) {
      return 'rate_limited';
    }
    if (unused !== undefined) this.#evict(unused);
    else if (full) this.#lingering.releaseOldest();
    return undefined;
  }

  #subscribe(name: string, others: number): HubChannel {
    this.#lastRef += 1;
    const channel = new HubChannel(name, this.#lastRef, this.#context);
    channel.others = others;
    channel.link = this.#linkOf(name);
    this.#unused.add(channel);
    this.#channels.set(name, channel);
    this.#source.want(name);
    return channel;
  }

  #drop(name: string, listener: FeedListener): void {
    const channel = this.#channels.get(name);
    if (channel?.drop(listener) !== true || channel.listeners.size > 0) return;
    this.#lingering.add(name);
  }

  /** Releases a channel to make room for another one. Its workers are refused once the call that declared the other has returned. */
  #evict({ name, listeners }: HubChannel): void {
    this.#release(name);
    queueMicrotask(() => {
      for (const listener of listeners) {
        if (!this.#listeners.has(listener) || this.#isListening(name, listener)) continue;
        listener.onRefused([name], 'node_channels_full');
      }
    });
  }

  /** Releases a channel, and refuses its workers with a code. */
  #reject(name: string, code: ErrorCode): void {
    const listeners = this.#channels.get(name)?.listeners ?? [];
    this.#release(name);
    for (const listener of listeners) listener.onRefused([name], code);
  }

  /** Refuses the workers that wait for the acknowledgement, because the channel is not live. They may retry. */
  #refuseUnacknowledged({ name, waiters }: HubChannel): void {
    for (const listener of [...waiters.unacknowledged]) {
      this.#drop(name, listener);
      listener.onRefused([name], 'unavailable');
    }
  }

  #readHistory(
    name: string,
    from: number,
    listener: FeedListener,
    onAnswer: (answer: HistoryAnswer) => void,
    kind: 'requests' | 'fillIns',
  ): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    const { position } = channel.sequence;
    if (position === undefined) {
      this.#answerSoon(channel, listener, () =>
        onAnswer({ ...nothingOf(name, ''), code: 'unavailable' }),
      );
      return;
    }
    channel.waiters[kind].add(listener, from, position.offset, onAnswer);
    this.#recovery.serve(channel);
  }

  #confirmEnd(name: string, listener: FeedListener, onConfirmed: OnEndConfirmed): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    if (channel.state !== 'live') {
      this.#answerSoon(channel, listener, () => onConfirmed('unavailable'));
      return;
    }
    channel.waiters.endRequests.add(listener, onConfirmed);
    this.#recovery.serve(channel);
  }

  /**
   * Answers once the call that made the request has returned. A listener that has dropped the channel since and declared it
   * again is not answered.
   */
  #answerSoon(channel: HubChannel, listener: FeedListener, answer: () => void): void {
    queueMicrotask(() => {
      const { isHeld, listeners, waiters } = channel;
      if (isHeld && listeners.has(listener) && !waiters.unacknowledged.has(listener)) answer();
    });
  }

  /** Continues a channel that is subscribed again: reads its position, and compares history if the server is another one. */
  #relink(channel: HubChannel, isSameServer: boolean): void {
    channel.acknowledge();
    channel.action = channel.sequence.relink(isSameServer);
    this.#recovery.restart(channel);
  }

  #release(name: string): void {
    const channel = this.#channels.get(name);
    if (channel !== undefined) {
      this.#recovery.forget(channel);
      this.#unused.delete(channel);
      this.#links.forget(channel);
    }
    this.#lingering.delete(name);
    this.#channels.delete(name);
    this.#source.unwant(name);
  }
}
