import type { Position } from '@tradewind/protocol';
import { RedisLink } from '../link/redis-link.ts';
import { describeError, isErrorReply, RedisRefusedError } from '../redis-errors.ts';
import {
  REFUSED_RETRY_MAX_MS,
  REFUSED_RETRY_MIN_MS,
  SUBSCRIBE_BATCH_CHANNELS,
  SUBSCRIBE_COMMANDS_IN_FLIGHT,
} from '../redis-limits.ts';
import type { RedisSettings } from '../redis-settings.ts';
import { LinkReader } from './link-reader.ts';
import { type ProbeOptions, SubscriptionProbe } from './subscription-probe.ts';
import { type SubscriptionCommand, SubscriptionTable } from './subscription-table.ts';

/**
 * What a subscriber tells its owner. Each may call the subscriber back; none may throw, since there
 * is nobody above to catch it.
 */
export interface RedisSubscriberEvents {
  /**
   * One message of a channel that is wanted and was told as `subscribed`, in the order of Redis.
   *
   * `payload` belongs to the callee and is never written to again, but it is usually a view into the
   * chunk of up to 64 KiB that was read from the socket: what is kept for long should be copied, or
   * it keeps the whole chunk alive.
   */
  message(channel: string, payload: Buffer): void;
  /**
   * Redis confirmed these channels: after each `want`, and again after the link was lost. Comes
   * before any message of theirs.
   */
  subscribed(channels: readonly string[]): void;
  /**
   * Redis refused this channel (its ACL, as a rule). It stays wanted and is asked for again after 1 s
   * to 30 s; each further refusal is told here, a later success by `subscribed`.
   */
  refused(channel: string, error: RedisRefusedError): void;
  /**
   * The link is lost: nothing is subscribed now, and messages are missed. Once for each loss, also for
   * one that comes before `linkRestored`; and once when Redis cannot be reached to begin with.
   */
  linkLost(cause: string): void;
  /** The link is still lost, for a cause that was not told since: at most 8 of them in one outage. */
  linkStillLost?(cause: string): void;
  /**
   * The link is back and every channel that was wanted when it came up is subscribed or refused. Once
   * for each recovery; also for the first connection, and with no channel at all. With a probe, not before
   * one has arrived on this link, or it has become clear that none can be sent.
   */
  linkRestored(): void;
}

/**
 * A connection to Redis that holds subscriptions. The owner says which channels it wants; the
 * subscriber brings Redis to that state, over lost links and refusals, for as long as it runs. With a
 * probe it proves once a second that what is published arrives, and replaces a link that fails.
 */
export class RedisSubscriber {
  readonly #events: RedisSubscriberEvents;
  readonly #link: RedisLink;
  readonly #table = new SubscriptionTable({
    batchChannels: SUBSCRIBE_BATCH_CHANNELS,
    commandsInFlight: SUBSCRIBE_COMMANDS_IN_FLIGHT,
    refusedRetryMinMs: REFUSED_RETRY_MIN_MS,
    refusedRetryMaxMs: REFUSED_RETRY_MAX_MS,
    random: Math.random,
  });
  readonly #reader: LinkReader;
  readonly #probe: SubscriptionProbe | undefined;
  #linked = false;
  /** The probe has not proven this link yet. */
  #doubted = false;
  #stopped = false;
  #turn: NodeJS.Immediate | undefined;

  /**
   * @param probe how to prove the link by data; without it only the connection is watched.
   * @throws {TypeError} when the settings make no sense; see `checkRedisUrl`.
   */
  constructor(settings: RedisSettings, events: RedisSubscriberEvents, probe?: ProbeOptions) {
    this.#events = events;
    this.#link = new RedisLink(settings, 'subscriber', {
      up: () => this.#linkUp(),
      pulse: () => this.#pulse(),
      down: (cause) => this.#linkDown(cause),
      stillDown: (cause) => this.#events.linkStillLost?.(cause),
    });
    this.#reader = new LinkReader(this.#link);
    if (probe !== undefined)
      this.#probe = new SubscriptionProbe(this.#link, () => this.#table.held, probe, {
        dead: (cause) => this.#link.cut(cause),
        settled: () => this.#trust(),
      });
    // Without a `message` listener ioredis spares itself decoding each payload as text.
    this.#link.redis.on('messageBuffer', (channel: Buffer, payload: Buffer) =>
      this.#receive(channel.toString(), payload),
    );
  }

  /** Whether the link is up and all channels are restored: true from `linkRestored` to `linkLost`. */
  get linked(): boolean {
    return this.#linked;
  }

  /**
   * How old the newest probe is that has arrived, in ms: below 1,100 while all is well. While none has,
   * the time since `start`. Undefined without a probe, before `start`, and while Redis forbids the probe.
   */
  get probeAgeMs(): number | undefined {
    return this.#probe?.ageMs;
  }

  /** Whether a probe has ever arrived; true without one. */
  get provenOnce(): boolean {
    return this.#probe?.provenOnce ?? true;
  }

  /** Why Redis refuses the probe; undefined while it does not. */
  get probeRefusal(): RedisRefusedError | undefined {
    return this.#probe?.refusal;
  }

  /** Begins to connect, and never gives up until {@link stop}. */
  start(): void {
    this.#probe?.start();
    this.#link.start();
  }

  /** Ends the connection and every timer. No event comes after the call; it cannot be started again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#linked = false;
    clearImmediate(this.#turn);
    this.#table.linkDown();
    this.#probe?.linkDown();
    this.#reader.abandon('the link was stopped');
    await this.#link.stop();
  }

  /**
   * Wants a channel; `subscribed` follows when Redis has confirmed it. Wanting it twice is the same as
   * once. Works while the link is down. All wants of one turn of the event loop travel together.
   */
  want(channel: string): void {
    this.#table.want(channel);
    this.#scheduleTurn();
  }

  /** No longer wants a channel. No message of it comes after the call. */
  unwant(channel: string): void {
    this.#table.unwant(channel);
    this.#scheduleTurn();
  }

  /**
   * Reads where channels are: the epoch and offset of each, in the order asked for, undefined for one
   * that has none. The read travels on the subscription's own connection, so everything that was
   * published on a subscribed channel before Redis executed it has been told as `message` before the
   * promise resolves.
   *
   * Rejects with `RedisUnavailableError` when the link is down, is lost meanwhile, or 1,024 reads are
   * under way, and with {@link RedisRefusedError}. More than 512 channels are read in several commands.
   */
  readPositions(channels: readonly string[]): Promise<readonly (Position | undefined)[]> {
    return this.#reader.positions(channels);
  }

  /**
   * Which server, with which data, this connection leads to: another one after a restart, a failover or a
   * resynchronization. Undefined where Redis does not tell. Rejects as {@link readPositions} does.
   */
  serverIdentity(): Promise<string | undefined> {
    return this.#reader.serverIdentity();
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
    if (this.#doubted || !this.#table.takeRestored()) return;
    this.#linked = true;
    this.#events.linkRestored();
  }

  #send(command: SubscriptionCommand): void {
    const { redis } = this.#link;
    const { kind, channels } = command;
    const sent =
      kind === 'subscribe' ? redis.subscribe(...channels) : redis.unsubscribe(...channels);
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
      // Whether Redis has done it is unknown, and only a new link makes that certain again.
      if (this.#table.awaits(command)) this.#link.cut(describeError(error));
      return;
    }
    const channel = this.#table.refused(command, performance.now());
    if (channel !== undefined)
      this.#events.refused(channel, new RedisRefusedError(describeError(error)));
    this.#reconcile();
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
    this.#doubted = this.#probe !== undefined;
    this.#table.linkUp();
    this.#reconcile();
    this.#probe?.linkUp();
  }

  #pulse(): void {
    this.#table.retryDue(performance.now());
    this.#reconcile();
  }

  #trust(): void {
    this.#doubted = false;
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
