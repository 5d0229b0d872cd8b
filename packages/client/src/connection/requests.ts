import type { ErrorMessage, RejectedChannel, Subscribed, Unsubscribed } from '@tradewind/protocol';
import type { HeldChannel } from '../channels/channel.ts';
import { type AskedFor, Hold } from '../channels/hold.ts';
import type { Cancel } from '../surroundings.ts';
import type { Session } from '../types.ts';

/** Requests that may be without an answer at a time. */
const WINDOW = 8;

/** What a request takes besides its channels, in bytes: far more than its longest form. */
const ENVELOPE_BYTES = 128;

export interface RequestsOwner {
  readonly limits: Session['limits'];
  send(message: object): void;
  after(ms: number, act: () => void): Cancel;
  readonly requestTimeoutMs: number;
  /** A request has no answer: is the connection alive? */
  probe(): void;
  askedFor(channel: HeldChannel): AskedFor;
  rejected(channel: HeldChannel, code: string, retryAfterMs: number | undefined): void;
  /** A channel is no longer held or asked for. */
  left(channel: HeldChannel): void;
  answered(channel: HeldChannel): void;
  ignored(): void;
}

interface Request {
  readonly type: 'subscribe' | 'unsubscribe';
  readonly channels: Set<HeldChannel>;
  cancel: Cancel;
}

/** What one connection asks its node for: which channels it holds, and the requests that are under way. */
export class Requests {
  readonly holds = new Map<string, Hold>();
  readonly #owner: RequestsOwner;
  readonly #asking = new Set<HeldChannel>();
  readonly #leaving = new Set<HeldChannel>();
  readonly #open = new Map<number, Request>();
  #lastId: number;
  #isScheduled = false;
  #isOver = false;

  /** @param lastId ids from here on are free. */
  constructor(owner: RequestsOwner, lastId: number) {
    this.#owner = owner;
    this.#lastId = lastId;
  }

  isAskingFor(channel: HeldChannel): boolean {
    return this.#asking.has(channel);
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
  }

  leave(hold: Hold): void {
    if (hold.phase !== 'held') return;
    hold.phase = 'leaving';
    this.#leaving.add(hold.channel);
    this.#schedule();
  }

  stop(): void {
    this.#isOver = true;
    for (const { cancel } of this.#open.values()) cancel();
    this.#open.clear();
  }

  subscribed({ id, channels, rejected = [], done }: Subscribed): void {
    const request = this.#answerTo(id, done);
    for (const answer of channels) {
      const hold = this.holds.get(answer.channel);
      if (hold === undefined || hold.phase !== 'asked') {
        this.#owner.ignored();
        continue;
      }
      request?.channels.delete(hold.channel);
      hold.answered(answer);
      this.#owner.answered(hold.channel);
    }
    for (const { channel, code, retryAfterMs } of rejected) {
      this.#rejected(channel, code, retryAfterMs, request);
    }
    if (!done) return;
    // A node answers for every channel. One that it forgot would never come.
    for (const channel of request?.channels ?? [])
      this.#rejected(channel.name, 'internal', undefined);
  }

  unsubscribed({ id, channels, reason }: Unsubscribed): void {
    this.#answerTo(id, true);
    for (const name of channels) {
      const hold = this.holds.get(name);
      if (hold === undefined) continue;
      if (reason === undefined) this.#gone(hold);
      else this.#rejected(name, reason, undefined);
    }
  }

  /** Returns whether the error answers a request of these. */
  failed({ id, code, retryAfterMs }: ErrorMessage): boolean {
    const request = this.#open.get(id as number);
    if (request === undefined) return false;
    this.#answerTo(id, true);
    for (const channel of request.channels) {
      if (request.type === 'subscribe') this.#rejected(channel.name, code, retryAfterMs);
      else this.#gone(this.holds.get(channel.name));
    }
    return true;
  }

  #rejected(
    name: string,
    code: RejectedChannel['code'],
    retryAfterMs: number | undefined,
    request?: Request,
  ): void {
    const hold = this.holds.get(name);
    if (hold === undefined) {
      this.#owner.ignored();
      return;
    }
    request?.channels.delete(hold.channel);
    this.#drop(hold);
    this.#owner.rejected(hold.channel, code, retryAfterMs);
  }

  #gone(hold: Hold | undefined): void {
    if (hold === undefined) return;
    this.#drop(hold);
    this.#owner.left(hold.channel);
  }

  #drop(hold: Hold): void {
    this.holds.delete(hold.channel.name);
    this.#leaving.delete(hold.channel);
    if (hold.channel.primary === hold) hold.channel.primary = undefined;
  }

  #answerTo(id: unknown, done: boolean): Request | undefined {
    const request = this.#open.get(id as number);
    if (request === undefined) {
      if (id !== undefined) this.#owner.ignored();
      return undefined;
    }
    request.cancel();
    if (done) {
      this.#open.delete(id as number);
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
      this.#fill();
    });
  }

  #fill(): void {
    while (!this.#isOver && this.#open.size < WINDOW) {
      const isSent = this.#unsubscribe() || this.#subscribe();
      if (!isSent) return;
    }
  }

  #unsubscribe(): boolean {
    const channels = this.#take(this.#leaving, (channel) => {
      const hold = this.holds.get(channel.name);
      return hold?.phase === 'leaving' ? channel.name : undefined;
    });
    return this.#request('unsubscribe', channels);
  }

  #subscribe(): boolean {
    const { limits } = this.#owner;
    const channels = this.#take(this.#asking, (channel) => {
      if (!channel.isWanted || this.holds.has(channel.name)) return undefined;
      if (this.holds.size >= limits.maxChannels) {
        this.#owner.rejected(channel, 'too_many_channels', undefined);
        return undefined;
      }
      const since = channel.askSince;
      const history = Math.min(channel.history, limits.maxHistory);
      this.holds.set(
        channel.name,
        new Hold(channel, this.#owner.askedFor(channel), since, channel.returning),
      );
      if (since === undefined && history === 0) return channel.name;
      return { channel: channel.name, since, ...(history > 0 && { history }) };
    });
    return this.#request('subscribe', channels);
  }

  /** Takes as many channels as one frame may have. */
  #take(
    from: Set<HeldChannel>,
    itemOf: (channel: HeldChannel) => unknown,
  ): readonly (readonly [HeldChannel, unknown])[] {
    const { maxChannelsPerRequest, maxMessageBytes } = this.#owner.limits;
    const taken: (readonly [HeldChannel, unknown])[] = [];
    let bytes = ENVELOPE_BYTES;
    for (const channel of from) {
      // A name and an epoch are ASCII; this is the most that they take with `since` and `history`.
      const most = channel.name.length + ENVELOPE_BYTES;
      if (taken.length === maxChannelsPerRequest) break;
      if (taken.length > 0 && bytes + most > maxMessageBytes) break;
      from.delete(channel);
      const item = itemOf(channel);
      if (item === undefined) continue;
      bytes += JSON.stringify(item).length + 1;
      taken.push([channel, item]);
    }
    return taken;
  }

  #request(type: Request['type'], taken: readonly (readonly [HeldChannel, unknown])[]): boolean {
    if (taken.length === 0) return false;
    this.#lastId += 1;
    const id = this.#lastId;
    const message = { type, id, channels: taken.map(([, item]) => item) };
    const request: Request = {
      type,
      channels: new Set(taken.map(([channel]) => channel)),
      cancel: () => {},
    };
    this.#open.set(id, request);
    this.#owner.send(message);
    this.#await(id, request);
    return true;
  }

  /** A request that nobody answers is asked about by a probe, and sent again if that is answered. */
  #await(id: number, request: Request): void {
    const { requestTimeoutMs } = this.#owner;
    request.cancel = this.#owner.after(requestTimeoutMs, () => {
      this.#owner.probe();
      request.cancel = this.#owner.after(requestTimeoutMs, () => {
        this.#open.delete(id);
        for (const channel of request.channels) {
          const hold = this.holds.get(channel.name);
          if (hold === undefined) continue;
          if (request.type === 'unsubscribe') this.#leaving.add(channel);
          else {
            this.holds.delete(channel.name);
            this.#asking.add(channel);
          }
        }
        this.#schedule();
      });
    });
  }
}
