import type { HeldChannel } from '../channels/channel.ts';
import type { AskedFor } from '../channels/hold.ts';
import { AuthError, ChannelError, ProtocolError, type TradewindError } from '../errors.ts';
import type { HintsOwner } from '../page/hints.ts';
import type { Cancel, Surroundings } from '../surroundings.ts';
import type { ClientState, PauseReason, Session } from '../types.ts';
import { CONNECTION_LOST, isRetryable, TOKEN_EXPIRED, UNAUTHORIZED } from './codes.ts';
import { Freshness } from './freshness.ts';
import { Link, type LinkEnd, type LinkOwner, type LinkSettings } from './link.ts';
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

export interface ConnectionsSettings extends LinkSettings {
  readonly stableMs: number;
  readonly idleMs: number;
  readonly hidden: 'keep' | 'pause';
  readonly pauseAfterMs: number;
}

export interface ConnectionsHost {
  /** Channels that have, or just had, consumers. */
  readonly channels: ReadonlyMap<string, HeldChannel>;
  /** Whether anybody needs a connection. */
  isNeeded(): boolean;
  changedState(state: ClientState, previous: ClientState): void;
  /** The client has ended by itself. */
  failed(error: TradewindError): void;
  received(): void;
  ignored(): void;
  report(error: unknown): void;
  savePositions(): void;
}

/**
 * The state machine: which connection is used, which is opened and which is left. It brings every connection to hold the
 * channels that are wanted.
 */
export class Connections implements LinkOwner, HintsOwner {
  readonly settings: ConnectionsSettings;
  readonly surroundings: Surroundings;
  readonly freshness: Freshness;
  state: ClientState = { name: 'idle' };
  /** Connections that were accepted. */
  accepts = 0;
  readonly #host: ConnectionsHost;
  readonly #retries: Retries;
  /** Channels beyond what a connection may hold, in order. */
  readonly #overLimit = new Set<HeldChannel>();
  #current: Link | undefined;
  #opening: Link | undefined;
  /** The connection that is left as soon as the current one has all of its channels. */
  #leaving: Link | undefined;
  /** Channels that the current connection does not have yet, while another is left. */
  readonly #moving = new Set<HeldChannel>();
  /** When the connection that is left must be given up; ms since the Unix epoch. */
  #moveDeadline: number | undefined;
  #attempt = 0;
  #refusals = 0;
  #protocolErrors = 0;
  #isOffline = false;
  #endWait: Cancel | undefined;
  #endStable: Cancel | undefined;
  #endIdle: Cancel | undefined;
  #endMove: Cancel | undefined;
  #endHidden: Cancel | undefined;
  #endOffline: Cancel | undefined;

  constructor(settings: ConnectionsSettings, surroundings: Surroundings, host: ConnectionsHost) {
    this.settings = settings;
    this.surroundings = surroundings;
    this.freshness = new Freshness(surroundings);
    this.#host = host;
    this.#retries = new Retries(surroundings, (channels) => {
      for (const channel of channels) {
        channel.isWaiting = false;
        this.reconcile(channel);
      }
    });
  }

  get session(): Session | undefined {
    return this.#current?.session;
  }

  /** Somebody needs a connection, or nobody does any more. */
  needed(): void {
    this.#endIdle?.();
    if (this.#host.isNeeded()) {
      if (this.state.name === 'idle') this.#connect();
    } else if (this.state.name !== 'idle' && this.state.name !== 'closed') {
      this.#endIdle = this.#after(this.settings.idleMs, () => {
        if (this.#host.isNeeded() || this.state.name === 'paused') return;
        this.#drop();
        this.#setState({ name: 'idle' });
      });
    }
  }

  reconnect(): void {
    const { name } = this.state;
    if (name === 'online') {
      if (this.#opening === undefined && this.#leaving === undefined) this.#connect();
    } else if (name === 'connecting' || name === 'waiting') this.#connect();
  }

  pause(why: PauseReason): void {
    if (this.state.name === 'closed') return;
    if (this.state.name === 'paused' && why !== 'asked') return;
    this.#drop();
    this.#setState({ name: 'paused', why });
  }

  resume(): void {
    if (this.state.name !== 'paused') return;
    this.#attempt = 0;
    if (this.#host.isNeeded()) this.#connect();
    else this.#setState({ name: 'idle' });
  }

  /** Ends everything. Resolves when the sockets are closed, or after 1 s. */
  async close(error?: TradewindError): Promise<void> {
    if (this.state.name === 'closed') return;
    const closing = this.#drop();
    this.#endIdle?.();
    this.#endHidden?.();
    this.#endOffline?.();
    this.#setState({ name: 'closed', ...(error && { error }) });
    let cancel: Cancel | undefined;
    const late = new Promise<void>((resolve) => {
      cancel = this.surroundings.after(CLOSE_WITHIN_MS, resolve);
    });
    await Promise.race([closing, late]);
    cancel?.();
  }

  /** Brings the current connection to what a channel wants. */
  reconcile(channel: HeldChannel): void {
    const link = this.#current;
    const requests = link?.requests;
    if (link === undefined || requests === undefined) return;
    const hold = link.holds.get(channel.name);
    const oldHold = this.#leaving?.holds.get(channel.name);
    if (!channel.isWanted) {
      requests.forget(channel);
      if (hold !== undefined) requests.leave(hold);
      if (oldHold !== undefined) this.#leaving!.requests!.leave(oldHold);
      this.#moved(channel);
      return;
    }
    if (hold !== undefined) {
      if (channel.needsRewind) requests.leave(hold);
      return;
    }
    if (channel.isWaiting) return;
    if (oldHold !== undefined) {
      // What the old connection is about to answer may bring a position.
      if (oldHold.phase !== 'held') return;
      // Without offsets nothing tells doubles: the old one is left first.
      if (oldHold.epoch === undefined) {
        this.#leaving!.requests!.leave(oldHold);
        return;
      }
    }
    const askedFor = this.askedFor(link, channel);
    if (askedFor === 'first' || askedFor === 'resume') channel.setState({ name: 'subscribing' });
    link.ask(channel);
  }

  /** A channel was answered, or its past has come. */
  progressed(channel: HeldChannel): void {
    if (this.#current?.holds.get(channel.name)?.isLive) this.#moved(channel);
  }

  /** Nobody reads the channel any more. */
  released(channel: HeldChannel): void {
    this.#retries.delete(channel);
    this.#overLimit.delete(channel);
    channel.isWaiting = false;
    this.reconcile(channel);
  }

  // From links.

  accepted(link: Link): void {
    const old = this.#current;
    this.#opening = undefined;
    this.#current = link;
    this.accepts += 1;
    this.#refusals = 0;
    this.#endStable?.();
    this.#endStable = this.#after(this.settings.stableMs, () => {
      this.#attempt = 0;
      this.#protocolErrors = 0;
    });
    this.#retries.clear();
    this.#overLimit.clear();
    if (old !== undefined) this.#beginMove(old);
    for (const channel of this.#host.channels.values()) channel.isWaiting = false;
    this.#setOnline();
    for (const channel of [...this.#host.channels.values()]) this.reconcile(channel);
    this.#finishMoveWhenDone();
    this.needed();
  }

  ended(link: Link, end: LinkEnd): void {
    if (link === this.#leaving) {
      this.#finishMove();
      return;
    }
    if (link === this.#opening) this.#opening = undefined;
    if (link === this.#current) {
      this.#current = undefined;
      this.#endStable?.();
    }
    const final = this.#finalErrorOf(link, end);
    this.#host.report(end.error);
    if (final !== undefined) {
      void this.close(final);
      this.#host.failed(final);
      return;
    }
    if (this.#current === undefined && this.#leaving !== undefined) {
      // The new connection died within the move. The old one still has everything.
      this.#current = this.#leaving;
      this.#leaving = undefined;
      this.#endMove?.();
      this.#moving.clear();
    }
    this.#detach(link);
    if (this.#current !== undefined) {
      this.#setOnline();
      for (const channel of [...this.#host.channels.values()]) this.reconcile(channel);
      this.#endWait?.();
      this.#endWait = this.#after(this.#nextWait(link, end), () => this.#connect());
    } else if (this.#opening !== undefined) {
      this.#setState({ name: 'connecting', attempt: this.#attempt });
    } else this.#wait(link, end);
  }

  degraded(link: Link): void {
    if (link !== this.#current) return;
    this.#setOnline();
    if (link.degradedSince === undefined) {
      this.#retries.hurry(this.surroundings.random() * RESTORED_WITHIN_MS);
    }
  }

  mustMove(link: Link, afterMs: number, deadlineMs: number): void {
    if (link !== this.#current || this.#moveDeadline !== undefined) return;
    this.#moveDeadline = this.surroundings.now() + deadlineMs;
    this.#setOnline();
    this.#endWait = this.#after(afterMs, () => {
      if (this.#opening === undefined && this.#leaving === undefined) this.#connect();
    });
  }

  woke(): void {
    this.freshness.forget();
  }

  received(): void {
    this.#host.received();
  }

  ignored(): void {
    this.#host.ignored();
  }

  report(error: unknown): void {
    this.#host.report(error);
  }

  askedFor(_link: Link, channel: HeldChannel): AskedFor {
    if (channel.returning.length > 0) return 'rewind';
    if (this.#moving.has(channel) && this.#leaving !== undefined) return 'handover';
    return channel.wasLive ? 'resume' : 'first';
  }

  rejected(link: Link, channel: HeldChannel, code: string, retryAfterMs: number | undefined): void {
    if (link !== this.#current || !channel.isWanted || code === 'cancelled') {
      this.left(link, channel);
      return;
    }
    channel.isWaiting = true;
    const canRetry = isRetryable(code);
    const error = new ChannelError(channel.name, code, canRetry);
    if (canRetry) {
      const { surroundings, settings } = this;
      const ms =
        retryAfterMs ?? resumeWait(channel.rejections, surroundings.random(), settings.waits);
      channel.rejections += 1;
      this.#retries.add(channel, ms);
      // The connection that is left may still carry it.
      if (this.#fallBack(channel)) return;
      channel.setState({ name: 'retrying', retryAt: surroundings.now() + ms, error });
      return;
    }
    if (code === 'too_many_channels') this.#overLimit.add(channel);
    this.#moving.delete(channel);
    channel.fail(error);
    this.#finishMoveWhenDone();
  }

  left(link: Link, channel: HeldChannel): void {
    this.#fallBack(channel);
    if (link === this.#current) {
      const [next] = this.#overLimit;
      if (next !== undefined) {
        this.#overLimit.delete(next);
        next.isWaiting = false;
        this.reconcile(next);
      }
    }
    this.reconcile(channel);
  }

  answered(_link: Link, channel: HeldChannel): void {
    this.reconcile(channel);
  }

  // Hints of the page.

  tryNow(isNetwork: boolean): void {
    if (isNetwork) this.#isOffline = false;
    switch (this.state.name) {
      case 'paused':
        if (this.state.why === 'asked') return;
        if (this.state.why === 'hidden' && this.surroundings.page?.isHidden()) return;
        this.resume();
        break;
      case 'waiting':
        this.#connect();
        break;
      case 'connecting':
        if (isNetwork) this.#connect();
        break;
      case 'online':
        this.#current?.probe();
        break;
      default:
    }
  }

  seemsOffline(): void {
    const { name } = this.state;
    if (name === 'connecting' || name === 'waiting') this.pause('offline');
    if (name !== 'online') return;
    this.#isOffline = true;
    this.#current?.probe();
    this.#endOffline?.();
    // It was not true, if the connection is still there after the probe.
    this.#endOffline = this.#after(2 * this.settings.probeTimeoutMs, () => {
      this.#isOffline = false;
    });
  }

  freeze(): void {
    const { name } = this.state;
    if (name !== 'idle' && name !== 'paused') this.pause('frozen');
  }

  visibility(isHidden: boolean): void {
    this.#endHidden?.();
    if (!isHidden || this.settings.hidden === 'keep') return;
    this.#endHidden = this.#after(this.settings.pauseAfterMs, () => {
      if (this.state.name !== 'idle' && this.state.name !== 'paused') this.pause('hidden');
    });
  }

  save(): void {
    this.#host.savePositions();
  }

  #after(ms: number, act: () => void): Cancel {
    return this.surroundings.after(ms, act);
  }

  #connect(): void {
    this.#endWait?.();
    void this.#opening?.close();
    const link = new Link(this, this.#attempt, this.#refusals > 0);
    this.#opening = link;
    if (this.#current === undefined) {
      this.#setState({ name: 'connecting', attempt: this.#attempt });
    }
    void link.open();
  }

  #wait(link: Link, end: LinkEnd): void {
    this.#endWait?.();
    this.#moveDeadline = undefined;
    if (!this.#host.isNeeded()) {
      this.#setState({ name: 'idle' });
      return;
    }
    if (this.#isOffline) {
      this.#setState({ name: 'paused', why: 'offline' });
      return;
    }
    const attempt = this.#attempt;
    const ms = this.#nextWait(link, end);
    this.#setState({
      name: 'waiting',
      attempt,
      retryAt: this.surroundings.now() + ms,
      cause: end.error,
    });
    this.#endWait = this.#after(ms, () => this.#connect());
  }

  #nextWait(link: Link, { action, code }: LinkEnd): number {
    const { waits } = this.settings;
    const random = this.surroundings.random();
    const attempt = this.#attempt;
    this.#attempt += 1;
    if (action === 'back-off') return backOffWait(attempt, random, waits);
    // Only the server knows how many others lost the same node.
    const spreadMs = attempt === 0 && code === CONNECTION_LOST ? link.spreadMs : 0;
    return Math.max(resumeWait(attempt, random, waits), random * spreadMs);
  }

  /** The error with which an end ends the client; undefined if it goes on. */
  #finalErrorOf(link: Link, { error, action, code }: LinkEnd): TradewindError | undefined {
    if (error instanceof AuthError) return error;
    if (error instanceof ProtocolError) {
      this.#protocolErrors += 1;
      return this.#protocolErrors >= FINAL_FAULTS ? error : undefined;
    }
    const isRefused =
      code === UNAUTHORIZED || (code === TOKEN_EXPIRED && link.session === undefined);
    if (isRefused) {
      this.#refusals += 1;
      const isFinal = this.#refusals >= FINAL_FAULTS || this.settings.token === undefined;
      return isFinal ? new AuthError('The token was refused.', error) : undefined;
    }
    return action === 'stop' ? error : undefined;
  }

  #setOnline(): void {
    const link = this.#current;
    if (link?.session === undefined) return;
    this.#setState({
      name: 'online',
      session: link.session,
      ...(link.degradedSince !== undefined && { degradedSince: link.degradedSince }),
      ...(this.#moveDeadline !== undefined && { leaving: { deadline: this.#moveDeadline } }),
    });
  }

  #setState(state: ClientState): void {
    const previous = this.state;
    this.state = state;
    this.#host.changedState(state, previous);
  }

  #beginMove(old: Link): void {
    this.#leaving = old;
    old.requests?.stopAsking();
    for (const channel of this.#host.channels.values()) {
      if (channel.isWanted) this.#moving.add(channel);
    }
    this.#moveDeadline ??= this.surroundings.now() + OWN_MOVE_MS;
    const ms = Math.max(0, this.#moveDeadline - this.surroundings.now());
    this.#endMove = this.#after(ms, () => this.#finishMove());
  }

  #moved(channel: HeldChannel): void {
    if (this.#moving.delete(channel)) this.#finishMoveWhenDone();
  }

  #finishMoveWhenDone(): void {
    if (this.#leaving !== undefined && this.#moving.size === 0) this.#finishMove();
  }

  #finishMove(): void {
    const old = this.#leaving;
    if (old === undefined) return;
    this.#leaving = undefined;
    this.#moveDeadline = undefined;
    this.#endMove?.();
    void old.close();
    this.#detach(old);
    const waiting = [...this.#moving];
    this.#moving.clear();
    this.#setOnline();
    for (const channel of waiting) this.reconcile(channel);
  }

  /** Takes a connection that is over from its channels. */
  #detach(link: Link): void {
    for (const hold of link.holds.values()) {
      const { channel } = hold;
      if (channel.primary === hold) channel.primary = undefined;
      this.#fallBack(channel);
      const isKnown = channel.state.name === 'failed' || channel.state.name === 'retrying';
      if (channel.primary === undefined && !isKnown) channel.setState({ name: 'detached' });
    }
  }

  /** Takes a channel from another connection that still carries it. Returns whether one does. */
  #fallBack(channel: HeldChannel): boolean {
    if (channel.primary !== undefined) return true;
    for (const link of [this.#current, this.#leaving]) {
      const hold = link?.holds.get(channel.name);
      if (hold?.phase !== 'held') continue;
      channel.primary = hold;
      return true;
    }
    return false;
  }

  /** Gives all connections up. */
  #drop(): Promise<unknown> {
    this.#endWait?.();
    this.#endStable?.();
    this.#endMove?.();
    this.#retries.clear();
    this.#moving.clear();
    this.#moveDeadline = undefined;
    const links = [this.#current, this.#opening, this.#leaving];
    this.#current = undefined;
    this.#opening = undefined;
    this.#leaving = undefined;
    const closing = Promise.all(links.map((link) => link?.close()));
    for (const link of links) if (link !== undefined) this.#detach(link);
    for (const channel of this.#host.channels.values()) channel.isWaiting = false;
    return closing;
  }
}
