import type { EventEmitter } from 'node:events';
import type { Position } from '@tradewind/protocol';
import { RedisLink } from '../link/redis-link.ts';
import { describeError, isErrorReply, RedisRefusedError } from '../redis-errors.ts';
import { REFUSED_RETRY_MAX_MS, REFUSED_RETRY_MIN_MS } from '../redis-limits.ts';
import type { RedisSettings } from '../redis-settings.ts';
import { LinkReader, type PositionOutcome } from './link-reader.ts';
import { CLASSIC, type PubSubKind } from './pubsub-kind.ts';
import { type ProbeOptions, SubscriptionProbe } from './subscription-probe.ts';
import { type SubscriptionCommand, SubscriptionTable } from './subscription-table.ts';

/**
 * Events of a subscriber. A handler may call the subscriber. No handler may throw: nothing above it would catch the error.
 */
export interface RedisSubscriberEvents {
  /**
   * One message of a wanted channel, after its `subscribed` and in the order of Redis.
   *
   * The callee owns `payload`, which is never written to again. It is usually a view into the chunk of up to 64 KiB that
   * was read from the socket. Copy what must live long, or it keeps the whole chunk alive.
   */
  message(channel: string, payload: Buffer): void;
  /**
   * Redis confirmed these channels. Sent after each `want`, again after a lost link, and before any message of the channel.
   */
  subscribed(channels: readonly string[]): void;
  /**
   * Redis refused this channel, as a rule by its ACL. The channel stays wanted, and the subscriber tries again after 1 to
   * 30 s. Sent for each refusal; a later success is a `subscribed`.
   */
  refused(channel: string, error: RedisRefusedError): void;
  /**
   * The link is lost: nothing is subscribed, and messages are missed. Sent once a loss, also before the first
   * `linkRestored`, and once if the first connection fails.
   */
  linkLost(cause: string): void;
  /** The link is still lost, for a cause that was not reported in this outage. At most `MAX_FURTHER_CAUSES` an outage. */
  linkStillLost?(cause: string): void;
  /**
   * The link is back, and every channel that was wanted when it came up is subscribed or refused. Sent once a recovery,
   * also for the first connection, and also without any channel. With a probe it waits until a probe has arrived on this
   * link, or until it is known that none can be sent.
   */
  linkRestored(): void;
  /**
   * Redis ended these subscriptions by itself: their slot went to another node. They are no longer wanted here. Only with sharded
   * publish/subscribe.
   */
  ended?(channels: readonly string[]): void;
  /** Redis answered with MOVED when this channel was let go of, which it is. */
  movedAway?(channel: string, error: RedisRefusedError): void;
}

/**
 * A connection to Redis that holds subscriptions. The owner says which channels it wants. The subscriber brings Redis to
 * that state, across lost links and refusals, until it is stopped. With a probe it proves once a second that publications
 * arrive, and replaces a link on which they do not.
 */
export class RedisSubscriber {
  readonly #events: RedisSubscriberEvents;
  readonly #link: RedisLink;
  readonly #kind: PubSubKind;
  readonly #table: SubscriptionTable;
  readonly #reader: LinkReader;
  readonly #probe: SubscriptionProbe | undefined;
  #linked = false;
  /** No probe has proven this link yet. */
  #unproven = false;
  #stopped = false;
  #turn: NodeJS.Immediate | undefined;
  #comparison: NodeJS.Immediate | undefined;

  /**
   * @param probe how to prove the link by data; without it, only the connection is watched.
   * @param kind `SHARDED` on a node of a Redis Cluster.
   * @throws {TypeError} if the settings are invalid; see `checkRedisUrl`.
   */
  constructor(
    settings: RedisSettings,
    events: RedisSubscriberEvents,
    probe?: ProbeOptions,
    kind: PubSubKind = CLASSIC,
  ) {
    this.#events = events;
    this.#kind = kind;
    this.#table = new SubscriptionTable({
      batchChannels: kind.batchChannels,
      commandsInFlight: kind.commandsInFlight,
      refusedRetryMinMs: REFUSED_RETRY_MIN_MS,
      refusedRetryMaxMs: REFUSED_RETRY_MAX_MS,
      random: Math.random,
    });
    this.#link = new RedisLink(settings, 'subscriber', {
      up: () => this.#linkUp(),
      pulse: () => this.#pulse(),
      down: (cause) => this.#linkDown(cause),
      stillDown: (cause) => this.#events.linkStillLost?.(cause),
    });
    this.#reader = new LinkReader(this.#link);
    if (probe !== undefined)
      this.#probe = new SubscriptionProbe(this.#link, kind, () => this.#table.held, probe, {
        dead: (cause) => this.#link.cut(cause),
        settled: () => this.#trust(),
      });
    // Without a `message` listener, ioredis does not decode each payload as text.
    this.#link.redis.on(kind.message, (channel: Buffer, payload: Buffer) =>
      this.#receive(channel.toString(), payload),
    );
    // ioredis does not say which subscription ended, but it keeps a list.
    if (kind.held !== undefined) onMoved(this.#link.redis, () => this.#compareSoon());
  }

  /** Whether the link is up and all channels are restored: true from `linkRestored` to `linkLost`. */
  get linked(): boolean {
    return this.#linked;
  }

  /**
   * The age of the newest probe that arrived, in ms: below 1,100 while all is well. Before the first one, the time since
   * `start`. Undefined without a probe, before `start`, and while Redis forbids the probe.
   */
  get probeAgeMs(): number | undefined {
    return this.#probe?.ageMs;
  }

  /** Whether a probe has ever arrived; true if no probe is configured. */
  get provenOnce(): boolean {
    return this.#probe?.provenOnce ?? true;
  }

  /** Why Redis refuses the probe; undefined while Redis accepts it. */
  get probeRefusal(): RedisRefusedError | undefined {
    return this.#probe?.refusal;
  }

  /** Starts to connect, and reconnects until {@link stop}. */
  start(): void {
    this.#probe?.start();
    this.#link.start();
  }

  /** Ends the connection and every timer. No event is sent after the call. A stopped subscriber cannot be started again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#linked = false;
    clearImmediate(this.#turn);
    clearImmediate(this.#comparison);
    this.#table.linkDown();
    this.#probe?.linkDown();
    this.#reader.abandon('the link was stopped');
    await this.#link.stop();
  }

  /**
   * Wants a channel; `subscribed` follows when Redis has confirmed it. A second call does nothing. The link may be down.
   * All channels of one turn of the event loop are sent together.
   */
  want(channel: string): void {
    this.#table.want(channel);
    this.#scheduleTurn();
  }

  /** No longer wants a channel. No message of it is delivered after the call. */
  unwant(channel: string): void {
    this.#table.unwant(channel);
    this.#scheduleTurn();
  }

  /**
   * Reads the epoch and offset of each channel, in the order of `channels`; undefined for a channel that has none. The
   * read uses the subscriber's own connection: every publication on a subscribed channel that Redis executed before the
   * read is delivered as `message` before the promise resolves.
   *
   * Rejects with `RedisUnavailableError` if the link is down, is lost meanwhile, or 1,024 reads are in flight, and with
   * {@link RedisRefusedError} if Redis refuses. More than 512 channels take several commands.
   */
  readPositions(channels: readonly string[]): Promise<readonly (Position | undefined)[]> {
    return this.#reader.positions(channels);
  }

  /** The same, with the refusal of each channel in its place: some slots of a cluster may be on their way. */
  readPositionsOrRefusals(channels: readonly string[]): Promise<readonly PositionOutcome[]> {
    return this.#reader.positionsOrRefusals(channels);
  }

  /**
   * Identifies the server of this connection and its data. The identity changes by a restart, a failover or a
   * resynchronization. Resolves with undefined if Redis hides it. Rejects as {@link readPositions} does.
   */
  serverIdentity(): Promise<string | undefined> {
    return this.#reader.serverIdentity();
  }

  /** Replaces the link, whose replies the owner does not believe. `linkLost` comes before it returns, unless the link is down. */
  cut(cause: string): void {
    this.#link.cut(cause);
  }

  #scheduleTurn(): void {
    if (this.#turn !== undefined || this.#stopped) return;
    this.#turn = setImmediate(() => {
      this.#turn = undefined;
      this.#reconcile();
    });
  }

  #reconcile(): void {
    const confirmed = this.#table.takeConfirmed();
    if (confirmed.length > 0) this.#events.subscribed(confirmed);
    for (;;) {
      const command = this.#table.nextCommand();
      if (command === undefined) break;
      this.#send(command);
    }
    if (this.#unproven || !this.#table.takeRestored()) return;
    this.#linked = true;
    this.#events.linkRestored();
  }

  #send(command: SubscriptionCommand): void {
    const { redis } = this.#link;
    const { kind, channels } = command;
    const sent =
      kind === 'subscribe'
        ? this.#kind.subscribe(redis, channels)
        : this.#kind.unsubscribe(redis, channels);
    sent.then(
      () => {
        this.#table.accepted(command);
        this.#reconcile();
      },
      (error: unknown) => this.#failed(command, error),
    );
  }

  #failed(command: SubscriptionCommand, error: unknown): void {
    if (!isErrorReply(error)) {
      // It is unknown whether Redis executed the command. Only on a new link is the state known again.
      if (this.#table.awaits(command)) this.#link.cut(describeError(error));
      return;
    }
    const refusal = new RedisRefusedError(describeError(error));
    if (command.kind === 'unsubscribe' && refusal.code === 'MOVED') {
      // A node that does not own the slot holds no subscription of it.
      this.#table.accepted(command);
      for (const channel of command.channels) this.#events.movedAway?.(channel, refusal);
      this.#reconcile();
      return;
    }
    const channel = this.#table.refused(command, performance.now());
    if (channel !== undefined) this.#events.refused(channel, refusal);
    this.#reconcile();
  }

  /** After the answers that came in the same chunk have reached the table. */
  #compareSoon(): void {
    if (this.#comparison !== undefined || this.#stopped) return;
    this.#comparison = setImmediate(() => {
      this.#comparison = undefined;
      if (!this.#link.writable || this.#kind.held === undefined) return;
      const ended = this.#table.takeEnded(this.#kind.held(this.#link.redis));
      for (const channel of ended) this.#table.unwant(channel);
      if (ended.length > 0) this.#events.ended?.(ended);
      this.#reconcile();
    });
  }

  #receive(channel: string, payload: Buffer): void {
    let verdict = this.#table.receive(channel);
    if (verdict === 'confirm') {
      this.#events.subscribed([channel]);
      verdict = this.#table.receive(channel);
    }
    if (verdict === 'deliver') this.#events.message(channel, payload);
    else if (channel === this.#probe?.channel) this.#probe.receive(payload);
  }

  #linkUp(): void {
    this.#unproven = this.#probe !== undefined;
    this.#table.linkUp();
    this.#reconcile();
    this.#probe?.linkUp();
  }

  #pulse(): void {
    this.#table.retryDue(performance.now());
    this.#reconcile();
  }

  #trust(): void {
    this.#unproven = false;
    this.#reconcile();
  }

  #linkDown(cause: string): void {
    this.#table.linkDown();
    this.#probe?.linkDown();
    this.#reader.abandon(cause);
    this.#linked = false;
    this.#events.linkLost(cause);
  }
}

/** The event by which ioredis tells of a push that ended a subscription, and of a MOVED. Its types do not know it. */
function onMoved(redis: EventEmitter, listener: () => void): void {
  redis.on('moved', listener);
}
