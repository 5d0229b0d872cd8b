import type { ChannelOwner, HeldChannel } from '../channels/channel.ts';
import type { AskedFor, Hold } from '../channels/hold.ts';
import type { Core } from '../core.ts';
import { AuthError, ChannelError, ProtocolError, type TradewindError } from '../errors.ts';
import { KeptPositions } from '../page/kept-positions.ts';
import { Timers } from '../timers.ts';
import type { ClientState, PauseReason } from '../types.ts';
import { CONNECTION_LOST, isRetryable, TOKEN_EXPIRED, UNAUTHORIZED } from './codes.ts';
import { Freshness } from './freshness.ts';
import { Link, type LinkEnd, type LinkOwner } from './link.ts';
import { Retries } from './retries.ts';
import { backOffWait, resumeWait } from './waits.ts';

/** Faults of one kind in a row that end the client: the second would be followed by a third. */
const FINAL_FAULTS = 2;

/** How long a move that the application asked for may take before the old connection is given up, ms. */
const OWN_MOVE_MS = 30_000;

/** After `restored`, what was rejected meanwhile is asked for again within this time, ms. */
const RESTORED_WITHIN_MS = 1_000;

/** How long `close` waits for the other side, ms. */
const CLOSE_WITHIN_MS = 1_000;

/** `connect`: the next attempt, or the start of a move. */
type TimerName = 'connect' | 'stable' | 'idle' | 'move' | 'close';

/**
 * The state machine: which connection is used, which is opened and which is left. It brings every connection to hold the
 * channels that are wanted.
 */
export class Connections implements LinkOwner, ChannelOwner {
  /** Channels that have, or just had, consumers. */
  readonly channels = new Map<string, HeldChannel>();
  readonly freshness: Freshness;
  readonly positions: KeptPositions;
  state: ClientState = { name: 'idle' };
  /** Connections that were accepted. */
  accepts = 0;
  /** Calls that wait for a connection. */
  waiters = 0;
  /** Whether the page says that it has no network, and nothing has shown otherwise. */
  isOffline = false;
  readonly #core: Core;
  readonly #timers: Timers<TimerName>;
  readonly #retries: Retries;
  readonly #failed: (error: TradewindError) => void;
  /** Channels beyond what a connection may hold, in order. */
  readonly #overLimit = new Set<HeldChannel>();
  /** Channels that the current connection does not have yet, while another is left. */
  readonly #moving = new Set<HeldChannel>();
  #current: Link | undefined;
  #opening: Link | undefined;
  /** The connection that is left as soon as the current one has all of its channels. */
  #leaving: Link | undefined;
  /** When the connection that is left must be given up; ms since the Unix epoch. */
  #moveDeadline: number | undefined;
  #attempt = 0;
  #refusals = 0;
  #protocolErrors = 0;

  /** @param failed is told when the client has ended by itself. */
  constructor(core: Core, failed: (error: TradewindError) => void) {
    this.#core = core;
    this.#failed = failed;
    this.freshness = new Freshness(core.surroundings);
    this.positions = new KeptPositions(core, this.channels);
    this.#timers = new Timers(core.surroundings);
    this.#retries = new Retries(core.surroundings, (channel) => {
      channel.isWaiting = false;
      this.reconcile(channel);
    });
  }

  /** Called when the need for a connection may have begun or ended. */
  needed(): void {
    this.#timers.clear('idle');
    if (this.#isNeeded) {
      if (this.state.name === 'idle') this.#connect();
    } else if (this.#isActive) {
      this.#timers.set('idle', this.#core.settings.idleMs, () => {
        this.#drop();
        this.#setState({ name: 'idle' });
      });
    }
  }

  reconnect(): void {
    const isMoving = this.#current !== undefined && (this.#opening ?? this.#leaving) !== undefined;
    if (this.#isActive && !isMoving) this.#connect();
  }

  pause(why: PauseReason): void {
    if (!this.#isActive && why !== 'asked') return;
    if (this.state.name === 'closed') return;
    void this.#drop();
    this.#setState({ name: 'paused', why });
  }

  resume(): void {
    if (this.state.name !== 'paused') return;
    this.#attempt = 0;
    this.isOffline = false;
    this.#setState({ name: 'idle' });
    this.needed();
  }

  /** Ends everything. Resolves when the sockets are closed, or after 1 s. */
  async close(error?: TradewindError): Promise<void> {
    this.positions.save();
    this.#core.isClosed = true;
    const closing = this.#drop();
    this.#timers.clearAll();
    this.#setState({ name: 'closed', ...(error && { error }) });
    await Promise.race([
      closing,
      new Promise<void>((resolve) => this.#timers.set('close', CLOSE_WITHIN_MS, resolve)),
    ]);
    this.#timers.clearAll();
  }

  // For channels.

  activated(channel: HeldChannel): void {
    this.channels.set(channel.name, channel);
    this.needed();
  }

  released(channel: HeldChannel): void {
    this.positions.save();
    this.positions.forget(channel.name);
    this.channels.delete(channel.name);
    this.#retries.delete(channel);
    this.#overLimit.delete(channel);
    channel.isWaiting = false;
    this.reconcile(channel);
    this.needed();
  }

  /** A channel was answered, or its past has come. */
  progressed(channel: HeldChannel): void {
    if (this.#hold(this.#current, channel)?.isLive) this.#moved(channel);
  }

  /** Brings the current connection to what a channel wants. */
  reconcile(channel: HeldChannel): void {
    const requests = this.#current?.requests;
    if (requests === undefined) return;
    const old = this.#leaving?.requests;
    const hold = this.#hold(this.#current, channel);
    const oldHold = this.#hold(this.#leaving, channel);
    if (!channel.isWanted) {
      requests.forget(channel);
      if (hold !== undefined) requests.leave(hold);
      if (oldHold !== undefined) old!.leave(oldHold);
      this.#moved(channel);
    } else if (hold !== undefined) {
      if (channel.needsRewind) requests.leave(hold);
      else if (hold.askedEveryMs !== channel.everyMs) requests.change(hold);
    } else if (oldHold !== undefined && (oldHold.phase !== 'held' || oldHold.epoch === undefined)) {
      // What the old connection is about to answer may bring a position. Without offsets nothing tells doubles: then the
      // old one is left first.
      old!.leave(oldHold);
    } else if (!channel.isWaiting) {
      const askedFor = this.askedFor(channel);
      if (askedFor === 'first' || askedFor === 'resume') channel.setState({ name: 'subscribing' });
      requests.ask(channel);
    }
  }

  // For links.

  accepted(link: Link): void {
    const { surroundings, settings } = this.#core;
    const old = this.#current;
    this.#opening = undefined;
    this.#current = link;
    this.accepts += 1;
    this.#refusals = 0;
    this.#timers.set('stable', settings.stableMs, () => {
      this.#attempt = 0;
      this.#protocolErrors = 0;
    });
    this.#retries.clear();
    this.#overLimit.clear();
    for (const channel of this.channels.values()) {
      channel.isWaiting = false;
      if (old !== undefined && channel.isWanted) this.#moving.add(channel);
    }
    if (old !== undefined) {
      this.#leaving = old;
      old.requests.stopAsking();
      this.#moveDeadline ??= surroundings.now() + OWN_MOVE_MS;
      const ms = Math.max(0, this.#moveDeadline - surroundings.now());
      this.#timers.set('move', ms, () => this.#finishMove());
    }
    this.#online();
    this.#finishMoveWhenDone();
    this.needed();
  }

  ended(link: Link, end: LinkEnd): void {
    this.#core.report(end.error);
    if (link === this.#leaving) {
      this.#finishMove();
      return;
    }
    if (link === this.#opening) this.#opening = undefined;
    else {
      this.#timers.clear('stable');
      // Within a move the old connection still has everything.
      this.#current = this.#leaving;
      this.#leaving = undefined;
      this.#timers.clear('move');
      this.#moving.clear();
      if (this.#current === undefined) this.#moveDeadline = undefined;
    }
    this.#detach(link);
    const final = this.#finalErrorOf(link, end);
    if (final !== undefined) this.#failed(final);
    else if (this.#current !== undefined) {
      this.#online();
      this.#timers.set('connect', this.#nextWait(link, end), () => this.#connect());
    } else if (this.#opening !== undefined) this.#connecting();
    else this.#wait(link, end);
  }

  degraded(link: Link): void {
    if (link !== this.#current) return;
    this.#online();
    if (link.degradedSince === undefined) {
      this.#retries.hurry(this.#core.surroundings.random() * RESTORED_WITHIN_MS);
    }
  }

  mustMove(link: Link, afterMs: number, deadlineMs: number): void {
    if (link !== this.#current || this.#moveDeadline !== undefined) return;
    this.#moveDeadline = this.#core.surroundings.now() + deadlineMs;
    this.#online();
    this.#timers.set('connect', afterMs, () => this.reconnect());
  }

  askedFor(channel: HeldChannel): AskedFor {
    if (channel.returning.length > 0) return 'rewind';
    if (this.#moving.has(channel)) return 'handover';
    return channel.wasLive ? 'resume' : 'first';
  }

  rejected(link: Link, channel: HeldChannel, code: string, retryAfterMs: number | undefined): void {
    if (link !== this.#current || !channel.isWanted || code === 'cancelled') {
      this.left(link, channel);
      return;
    }
    channel.isWaiting = true;
    // The next token changes it.
    const canRetry = isRetryable(code) || code === 'token_expired';
    const error = new ChannelError(channel.name, code, canRetry);
    if (canRetry) {
      const { surroundings, settings } = this.#core;
      const ms = retryAfterMs ?? resumeWait(channel.rejections, surroundings.random(), settings);
      channel.rejections += 1;
      this.#retries.add(channel, ms);
      // The connection that is left may still carry it.
      if (!this.#fallBack(channel)) {
        channel.setState({ name: 'retrying', retryAt: surroundings.now() + ms, error });
      }
    } else {
      if (code === 'too_many_channels') this.#overLimit.add(channel);
      channel.fail(error);
      this.#moved(channel);
    }
  }

  left(link: Link, channel: HeldChannel): void {
    this.#fallBack(channel);
    this.reconcile(channel);
    const [next] = this.#overLimit;
    if (link !== this.#current || next === undefined) return;
    this.#overLimit.delete(next);
    next.isWaiting = false;
    this.reconcile(next);
  }

  /** The page or the network may be back: connects now, or finds out whether the connection lives. */
  tryNow(isNetwork: boolean): void {
    if (isNetwork) this.isOffline = false;
    const { name } = this.state;
    if (name === 'waiting' || (name === 'connecting' && isNetwork)) this.#connect();
    else this.#current?.probe();
  }

  get #isNeeded(): boolean {
    return this.channels.size + this.waiters > 0;
  }

  /** Whether there is a connection, or will be one. */
  get #isActive(): boolean {
    return !['idle', 'paused', 'closed'].includes(this.state.name);
  }

  #connect(): void {
    this.#timers.clear('connect');
    void this.#opening?.close();
    this.#opening = new Link(this.#core, this, this.#attempt, this.#refusals > 0);
    if (this.#current === undefined) this.#connecting();
    void this.#opening.open();
  }

  #connecting(): void {
    this.#setState({ name: 'connecting', attempt: this.#attempt });
  }

  #wait(link: Link, end: LinkEnd): void {
    if (!this.#isNeeded) this.#setState({ name: 'idle' });
    else if (this.isOffline) this.pause('offline');
    else {
      const attempt = this.#attempt;
      const ms = this.#nextWait(link, end);
      const retryAt = this.#core.surroundings.now() + ms;
      this.#timers.set('connect', ms, () => this.#connect());
      this.#setState({ name: 'waiting', attempt, retryAt, cause: end.error });
    }
  }

  #nextWait(link: Link, { action, code }: LinkEnd): number {
    const { settings, surroundings } = this.#core;
    const random = surroundings.random();
    const attempt = this.#attempt;
    this.#attempt += 1;
    if (action === 'back-off') return backOffWait(attempt, random, settings);
    // Only the server knows how many others lost the same node.
    const spreadMs = attempt === 0 && code === CONNECTION_LOST ? link.spreadMs : 0;
    return Math.max(resumeWait(attempt, random, settings), random * spreadMs);
  }

  /** The error with which the end of this link ends the client; undefined if the client connects again. */
  #finalErrorOf(link: Link, { error, action, code }: LinkEnd): TradewindError | undefined {
    if (error instanceof ProtocolError) {
      this.#protocolErrors += 1;
      return this.#protocolErrors < FINAL_FAULTS ? undefined : error;
    }
    if (code === UNAUTHORIZED || (code === TOKEN_EXPIRED && link.session === undefined)) {
      this.#refusals += 1;
      const isFinal = this.#refusals >= FINAL_FAULTS || this.#core.settings.token === undefined;
      return isFinal ? new AuthError('The token was refused.', error) : undefined;
    }
    return action === 'stop' ? error : undefined;
  }

  /** The current connection, or what is known of it, has changed. */
  #online(): void {
    const { session, degradedSince } = this.#current!;
    if (session === undefined) return;
    this.#setState({
      name: 'online',
      session,
      ...(degradedSince !== undefined && { degradedSince }),
      ...(this.#moveDeadline !== undefined && { leaving: { deadline: this.#moveDeadline } }),
    });
    for (const channel of [...this.channels.values()]) this.reconcile(channel);
  }

  #setState(state: ClientState): void {
    const previous = this.state;
    this.state = state;
    this.#core.log('state', { state: state.name, previous: previous.name });
    this.#core.emit('state', { state, previous });
  }

  #moved(channel: HeldChannel): void {
    if (this.#moving.delete(channel)) this.#finishMoveWhenDone();
  }

  #finishMoveWhenDone(): void {
    if (this.#moving.size === 0) this.#finishMove();
  }

  #finishMove(): void {
    const old = this.#leaving;
    if (old === undefined) return;
    this.#leaving = undefined;
    this.#moveDeadline = undefined;
    this.#timers.clear('move');
    this.#moving.clear();
    void old.close();
    this.#detach(old);
    this.#online();
  }

  #hold(link: Link | undefined, { name }: HeldChannel): Hold | undefined {
    return link?.requests.holds.get(name);
  }

  /** Takes a connection that is over from its channels. */
  #detach(link: Link): void {
    for (const hold of link.requests.holds.values()) {
      const { channel } = hold;
      if (channel.primary === hold) channel.primary = undefined;
      const isKnown = channel.state.name === 'failed' || channel.state.name === 'retrying';
      if (!this.#fallBack(channel) && !isKnown) channel.setState({ name: 'detached' });
    }
  }

  /** Takes a channel from another connection that still carries it. Returns whether one does. */
  #fallBack(channel: HeldChannel): boolean {
    for (const link of [this.#current, this.#leaving]) {
      const hold = this.#hold(link, channel);
      if (channel.primary === undefined && hold?.phase === 'held') channel.primary = hold;
    }
    return channel.primary !== undefined;
  }

  /** Gives all connections up. */
  #drop(): Promise<unknown> {
    const links = [this.#current, this.#opening, this.#leaving].filter(
      (link) => link !== undefined,
    );
    this.#timers.clear('connect', 'stable', 'move', 'idle');
    this.#retries.clear();
    this.#moving.clear();
    this.#moveDeadline = undefined;
    this.#current = undefined;
    this.#opening = undefined;
    this.#leaving = undefined;
    for (const link of links) this.#detach(link);
    for (const channel of this.channels.values()) channel.isWaiting = false;
    return Promise.all(links.map((link) => link.close()));
  }
}
