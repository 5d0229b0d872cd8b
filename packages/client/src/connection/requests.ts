import type { ErrorMessage, RejectedChannel, Subscribed, Unsubscribed } from '@tradewind/protocol';
import type { HeldChannel } from '../channels/channel.ts';
import { type AskedFor, Hold } from '../channels/hold.ts';
import type { Core } from '../core.ts';
import type { Timers } from '../timers.ts';
import type { Position, Session } from '../types.ts';

/** Requests that may be without an answer at a time. */
const WINDOW = 8;

/** What a request takes besides its channels, in bytes: far more than its longest form. */
const ENVELOPE_BYTES = 128;

/** Requests have ids from here on, so that no answer to a `ping` or `auth` is taken for one of theirs. */
const FIRST_ID = 2 ** 20;

/** The connection that carries the requests. */
export interface RequestLink {
  readonly session: Session | undefined;
  readonly timers: Timers<unknown>;
  send(message: object): void;
  /** A request has no answer: is the connection alive? */
  probe(): void;
}

export interface RequestsOwner<Link> {
  askedFor(channel: HeldChannel): AskedFor;
  rejected(link: Link, channel: HeldChannel, code: string, retryAfterMs: number | undefined): void;
  /** A channel is no longer held or asked for. */
  left(link: Link, channel: HeldChannel): void;
  reconcile(channel: HeldChannel): void;
}

/** `change` is a `subscribe` of channels that are held, with another `latest`. */
type Kind = 'subscribe' | 'change' | 'unsubscribe';

/** When a change that was refused is asked for again, ms, where the node does not say it. */
const CHANGE_AGAIN_MS = 1_000;

interface Request {
  readonly kind: Kind;
  /** What it asks for, by channel, without what was answered. */
  readonly channels: Map<string, unknown>;
}

/** What one connection asks its node for: which channels it holds, and the requests that are under way. */
export class Requests<Link extends RequestLink> {
  readonly holds = new Map<string, Hold>();
  readonly #core: Core;
  readonly #owner: RequestsOwner<Link>;
  readonly #link: Link;
  readonly #asking = new Set<HeldChannel>();
  readonly #leaving = new Set<HeldChannel>();
  readonly #changing = new Set<HeldChannel>();
  /**
   * While a change is under way, by channel: what its answer belongs to if the node has ended the hold before it read the
   * change.
   */
  readonly #successors = new Map<string, Hold>();
  readonly #open = new Map<unknown, Request>();
  #lastId = FIRST_ID;
  #isScheduled = false;

  constructor(core: Core, owner: RequestsOwner<Link>, link: Link) {
    this.#core = core;
    this.#owner = owner;
    this.#link = link;
  }

  ask(channel: HeldChannel): void {
    this.#asking.add(channel);
    this.#schedule();
  }

  /** Forgets a channel that has not been asked for yet. */
  forget(channel: HeldChannel): void {
    this.#asking.delete(channel);
  }

  /** Forgets all that has not been asked for yet, because another connection takes over. */
  stopAsking(): void {
    this.#asking.clear();
    this.#changing.clear();
    this.#successors.clear();
  }

  /** Asks for a held channel in the way in which its consumers want it now. */
  change(hold: Hold): void {
    this.#changing.add(hold.channel);
    this.#schedule();
  }

  leave(hold: Hold): void {
    if (hold.phase !== 'held') return;
    hold.phase = 'leaving';
    this.#leaving.add(hold.channel);
    this.#schedule();
  }

  subscribed({ id, channels, rejected = [], done }: Subscribed): void {
    const request = this.#answered(id, done);
    if (request === undefined) {
      // A node that was only slow answers twice what was sent twice, and may accept what it rejected the first time.
      const names = channels.map(({ channel }) => channel).filter((name) => !this.holds.has(name));
      if (names.length > 0) this.#link.send({ type: 'unsubscribe', channels: names });
      return;
    }
    for (const answer of channels) {
      const name = answer.channel;
      request.channels.delete(name);
      const hold = this.holds.get(name);
      if (hold?.phase === 'asked') hold.answered(answer);
      else if (hold?.phase === 'held' && request.kind === 'change') {
        hold.changed(answer);
        // What the hold asked for, and its successor, are of the last change.
        if (!this.#isChanging(name)) {
          this.#successors.delete(name);
          if (hold.isRefused) this.#changeLater(hold);
        }
      } else {
        this.#core.counts.ignored += 1;
        continue;
      }
      this.#owner.reconcile(hold.channel);
    }
    for (const { channel: name, code, retryAfterMs } of rejected) {
      request.channels.delete(name);
      // A later change has an answer of its own, which decides.
      if (request.kind === 'change' && this.#isChanging(name)) continue;
      const hold = this.#drop(name);
      if (hold !== undefined) this.#owner.rejected(this.#link, hold.channel, code, retryAfterMs);
    }
    // A node answers for every channel. One that it forgot would never come.
    if (done) this.#fail(request, 'internal', undefined);
  }

  unsubscribed({ id, channels, reason }: Unsubscribed): void {
    if (this.#answered(id, true) === undefined && reason === undefined) return;
    for (const name of channels) {
      // It may have been lost before, and asked for again.
      if (reason === undefined && this.holds.get(name)?.phase === 'asked') continue;
      const successor = this.#successors.get(name);
      const hold = this.#drop(name);
      if (hold === undefined) continue;
      const { channel } = hold;
      if (reason === undefined) this.#owner.left(this.#link, channel);
      else if (successor === undefined) {
        this.#owner.rejected(this.#link, channel, reason, undefined);
      } else {
        // A change is under way, which asks for it anew.
        this.holds.set(name, successor);
        channel.setState({ name: 'subscribing' });
      }
    }
  }

  /** Returns whether the error answers a request of these. */
  failed({ id, code, retryAfterMs }: ErrorMessage): boolean {
    const request = this.#open.get(id);
    if (request === undefined) return false;
    this.#answered(id, true);
    this.#fail(request, code, retryAfterMs);
    return true;
  }

  /** What is left of a request was not carried out. */
  #fail(
    { kind, channels }: Request,
    code: RejectedChannel['code'],
    retryAfterMs: number | undefined,
  ): void {
    for (const name of channels.keys()) {
      const hold = this.holds.get(name);
      if (hold === undefined || !this.#waitsFor(kind, hold)) continue;
      if (kind === 'change' && hold.phase === 'held') {
        this.#changeLater(hold, retryAfterMs);
        continue;
      }
      this.#drop(name);
      if (kind === 'unsubscribe') this.#owner.left(this.#link, hold.channel);
      else this.#owner.rejected(this.#link, hold.channel, code, retryAfterMs);
    }
  }

  /** Whether a hold depends on the answer to a request that is not among the open ones. */
  #waitsFor(kind: Kind, { phase, channel }: Hold): boolean {
    if (kind === 'change') return phase !== 'leaving' && !this.#isChanging(channel.name);
    return phase === (kind === 'subscribe' ? 'asked' : 'leaving');
  }

  /** Whether a change of the channel is without an answer, besides the one that has just been answered. */
  #isChanging(name: string): boolean {
    for (const { kind, channels } of this.#open.values()) {
      if (kind === 'change' && channels.has(name)) return true;
    }
    return false;
  }

  /** It comes as before until then. */
  #changeLater(hold: Hold, retryAfterMs = CHANGE_AGAIN_MS): void {
    const { channel } = hold;
    this.#successors.delete(channel.name);
    this.#link.timers.set(hold, retryAfterMs, () => {
      hold.askedEveryMs = hold.everyMs;
      this.#owner.reconcile(channel);
    });
  }

  #drop(name: string): Hold | undefined {
    const hold = this.holds.get(name);
    if (hold === undefined) {
      this.#core.counts.ignored += 1;
      return undefined;
    }
    this.holds.delete(name);
    this.#leaving.delete(hold.channel);
    this.#successors.delete(name);
    this.#link.timers.clear(hold);
    if (hold.channel.primary === hold) hold.channel.primary = undefined;
    return hold;
  }

  #answered(id: unknown, done: boolean): Request | undefined {
    const request = this.#open.get(id);
    if (request === undefined) {
      if (id !== undefined) this.#core.counts.ignored += 1;
      return undefined;
    }
    this.#link.timers.clear(request);
    if (done) {
      this.#open.delete(id);
      this.#schedule();
    }
    return request;
  }

  /** All that is wanted within one turn goes into the same requests. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      while (
        this.#open.size < WINDOW &&
        (this.#unsubscribe() || this.#change() || this.#subscribe())
      );
    });
  }

  #unsubscribe(): boolean {
    return this.#request('unsubscribe', this.#leaving, ({ name }) =>
      this.holds.get(name)?.phase === 'leaving' ? name : undefined,
    );
  }

  #change(): boolean {
    return this.#request('change', this.#changing, (channel) => {
      const { name, everyMs, askSince: since } = channel;
      const hold = this.holds.get(name);
      if (hold?.phase !== 'held' || hold.askedEveryMs === everyMs) return undefined;
      hold.askedEveryMs = everyMs;
      this.#successors.set(name, new Hold(channel, 'resume', since, []));
      return itemOf(name, since, undefined, everyMs);
    });
  }

  #subscribe(): boolean {
    const { maxChannels, maxHistory } = this.#link.session!.limits;
    return this.#request('subscribe', this.#asking, (channel) => {
      const { name } = channel;
      if (!channel.isWanted || this.holds.has(name)) return undefined;
      if (this.holds.size >= maxChannels) {
        this.#owner.rejected(this.#link, channel, 'too_many_channels', undefined);
        return undefined;
      }
      const since = channel.askSince;
      const askedFor = this.#owner.askedFor(channel);
      // If history does not reach back to a slow consumer, the others must not lose what is live meanwhile.
      const most = askedFor === 'rewind' ? maxHistory : channel.history;
      const history = Math.min(most, maxHistory) || undefined;
      const hold = new Hold(channel, askedFor, since, channel.returning);
      this.holds.set(name, hold);
      return itemOf(name, since, history, hold.askedEveryMs);
    });
  }

  /** Sends a request with as many channels as one frame may have. Returns whether there was one. */
  #request(kind: Kind, from: Set<HeldChannel>, itemOf: (channel: HeldChannel) => unknown): boolean {
    const { maxChannelsPerRequest, maxMessageBytes } = this.#link.session!.limits;
    const request: Request = { kind, channels: new Map() };
    const { channels } = request;
    let bytes = ENVELOPE_BYTES;
    for (const channel of from) {
      const { name } = channel;
      // Names and epochs are ASCII. This is the most that a channel takes with `since` and `history`.
      const most = name.length + ENVELOPE_BYTES;
      if (channels.size === maxChannelsPerRequest) break;
      if (channels.size > 0 && bytes + most > maxMessageBytes) break;
      from.delete(channel);
      const item = itemOf(channel);
      if (item === undefined) continue;
      bytes += JSON.stringify(item).length + 1;
      channels.set(name, item);
    }
    if (channels.size === 0) return false;
    this.#lastId += 1;
    this.#send(this.#lastId, request);
    return true;
  }

  /**
   * Sends a request. Without an answer in time it probes the connection; if the probe is answered, it sends the request again.
   */
  #send(id: number, request: Request): void {
    const { kind, channels } = request;
    const { timers } = this.#link;
    const { requestTimeoutMs } = this.#core.settings;
    this.#open.set(id, request);
    const type = kind === 'unsubscribe' ? kind : 'subscribe';
    this.#link.send({ type, id, channels: [...channels.values()] });
    timers.set(request, requestTimeoutMs, () => {
      this.#link.probe();
      timers.set(request, requestTimeoutMs, () => this.#repeat(id, request));
    });
  }

  /**
   * Keeps the id, so that the first of two answers counts. Leaves out channels that are no longer wanted or that another
   * request asks for.
   */
  #repeat(id: number, request: Request): void {
    const { kind, channels } = request;
    this.#open.delete(id);
    for (const name of channels.keys()) {
      const hold = this.holds.get(name);
      if (hold === undefined || !this.#waitsFor(kind, hold)) channels.delete(name);
    }
    if (channels.size > 0) this.#send(id, request);
    else this.#schedule();
  }
}

/** A channel as a `subscribe` names it. */
function itemOf(
  channel: string,
  since: Position | undefined,
  history: number | undefined,
  everyMs: number | undefined,
): unknown {
  const latest = everyMs === undefined ? undefined : { everyMs };
  return (since ?? history ?? latest) === undefined ? channel : { channel, since, history, latest };
}
