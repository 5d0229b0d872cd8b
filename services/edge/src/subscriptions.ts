import type { SubscriptionIndex } from '@tradewind/fanout';
import {
  type ChannelRequest,
  ERROR_CODES,
  type ErrorCode,
  type SubscribedChannel,
  type SubscribeRequest,
  type UnsubscribeRequest,
} from '@tradewind/protocol';
import type { ChannelFilter } from './channel-patterns.ts';
import type { Connection } from './connection.ts';
import type { Acknowledgement, Feed } from './feed.ts';
import { SubscribeAnswer } from './subscribe-answer.ts';

/** A channel in which someone on this worker is interested. */
interface LocalChannel {
  readonly name: string;
  /** The hub's number for it, once the hub has acknowledged it. */
  ref: number | undefined;
  /** Who waits for the acknowledgement, with the answers that wait along. */
  readonly waiting: Map<Connection, WaitingAnswer[]>;
}

interface WaitingAnswer {
  readonly answer: SubscribeAnswer;
  readonly request: ChannelRequest;
}

/** What a worker allows its clients. */
export interface SubscriptionLimits {
  /** Channels that one connection may hold or wait for. */
  readonly maxChannelsPerClient: number;
  /** Publications of history that one channel may be asked for. */
  readonly maxHistory: number;
  /** Which channels clients may subscribe to at all. */
  readonly isOffered: ChannelFilter;
}

/**
 * Who wants which channel, from request to answer. A client enters the index when the hub's
 * acknowledgement is processed, and its answer is queued in the same step, so nothing can arrive
 * before the answer and nothing after it is missed.
 *
 * Interest is held upstream exactly while a channel has a subscriber or someone who waits.
 */
export class Subscriptions {
  readonly #index: SubscriptionIndex<Connection>;
  readonly #limits: SubscriptionLimits;
  readonly #feed: Feed;
  readonly #channels = new Map<string, LocalChannel>();
  readonly #waitingFor = new Map<Connection, Set<LocalChannel>>();
  /** Whether the source can be reached: while it cannot, nothing new is confirmed. */
  available = false;

  constructor(index: SubscriptionIndex<Connection>, limits: SubscriptionLimits, feed: Feed) {
    this.#index = index;
    this.#limits = limits;
    this.#feed = feed;
  }

  /** Channels for which interest is held upstream. */
  get interest(): number {
    return this.#channels.size;
  }

  /** @param now ms on the monotonic clock. */
  subscribe(connection: Connection, request: SubscribeRequest, now: number): void {
    const answer = new SubscribeAnswer(connection, request);
    for (const wanted of request.channels) this.#subscribeOne(connection, wanted, answer, now);
    answer.send();
  }

  unsubscribe(connection: Connection, request: UnsubscribeRequest): void {
    for (const name of request.channels) {
      if (this.#index.remove(name, connection)) {
        connection.outbox.leave(name);
        this.#releaseIfUnwanted(name);
      } else {
        this.#cancel(connection, name);
      }
    }
    connection.send({ type: 'unsubscribed', id: request.id, channels: request.channels });
  }

  /** Forgets a connection that is being closed. */
  leave(connection: Connection): void {
    for (const name of this.#index.removeClient(connection)) this.#releaseIfUnwanted(name);
    const waitingFor = this.#waitingFor.get(connection) ?? [];
    this.#waitingFor.delete(connection);
    for (const channel of waitingFor) {
      channel.waiting.delete(connection);
      this.#releaseIfUnwanted(channel.name);
    }
  }

  acknowledge(acknowledgements: readonly Acknowledgement[]): void {
    const answers = new Set<SubscribeAnswer>();
    for (const { channel: name, ref } of acknowledgements) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      channel.ref = ref;
      for (const [connection, waiting] of this.#takeWaiting(channel)) {
        this.#index.add(name, connection);
        for (const { answer, request } of waiting) {
          answer.subscribed(position(request, ref));
          answers.add(answer);
        }
      }
    }
    for (const answer of answers) answer.send();
  }

  /** These channels do not flow: whoever waits is rejected, whoever is subscribed is told. */
  refuse(names: readonly string[], code: ErrorCode): void {
    const answers = new Set<SubscribeAnswer>();
    const unsubscribed = new Map<Connection, string[]>();
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      this.#channels.delete(name);
      for (const [, waiting] of this.#takeWaiting(channel)) {
        for (const { answer } of waiting) {
          answer.rejected(name, code);
          answers.add(answer);
        }
      }
      for (const connection of [...this.#index.get(name)]) {
        this.#index.remove(name, connection);
        connection.outbox.leave(name);
        const lost = unsubscribed.get(connection) ?? [];
        unsubscribed.set(connection, lost);
        lost.push(name);
      }
    }
    for (const answer of answers) answer.send();
    for (const [connection, channels] of unsubscribed) {
      connection.send({ type: 'unsubscribed', channels, reason: code });
    }
  }

  #subscribeOne(
    connection: Connection,
    request: ChannelRequest,
    answer: SubscribeAnswer,
    now: number,
  ): void {
    const name = request.channel;
    const channel = this.#channels.get(name);
    if (channel?.ref !== undefined && this.#index.has(name, connection)) {
      answer.subscribed(position(request, channel.ref));
      return;
    }
    const joins = channel?.waiting.get(connection);
    if (joins !== undefined) {
      joins.push({ answer, request });
      return;
    }
    const code = this.#refusal(connection, request, now);
    if (code === undefined || ERROR_CODES[code].retryable) connection.hasAsked = true;
    if (code !== undefined) {
      answer.rejected(name, code);
    } else if (channel?.ref !== undefined) {
      this.#index.add(name, connection);
      answer.subscribed(position(request, channel.ref));
    } else {
      this.#wait(connection, channel ?? this.#declare(name), { answer, request });
    }
  }

  #refusal(
    connection: Connection,
    { channel, history = 0 }: ChannelRequest,
    now: number,
  ): ErrorCode | undefined {
    if (!this.#limits.isOffered(channel)) return 'channel_not_allowed';
    if (history > this.#limits.maxHistory) return 'bad_history';
    const held = this.#index.held(connection) + (this.#waitingFor.get(connection)?.size ?? 0);
    if (held >= this.#limits.maxChannelsPerClient) return 'too_many_channels';
    if (!this.available) return 'unavailable';
    return connection.subscribeBudget.take(now) ? undefined : 'rate_limited';
  }

  #declare(name: string): LocalChannel {
    const channel: LocalChannel = { name, ref: undefined, waiting: new Map() };
    this.#channels.set(name, channel);
    this.#feed.declare(name);
    return channel;
  }

  #wait(connection: Connection, channel: LocalChannel, waiting: WaitingAnswer): void {
    channel.waiting.set(connection, [waiting]);
    const waitingFor = this.#waitingFor.get(connection) ?? new Set();
    this.#waitingFor.set(connection, waitingFor.add(channel));
  }

  #takeWaiting(channel: LocalChannel): (readonly [Connection, readonly WaitingAnswer[]])[] {
    const taken = [...channel.waiting];
    channel.waiting.clear();
    for (const [connection] of taken) this.#stopWaiting(connection, channel);
    return taken;
  }

  #stopWaiting(connection: Connection, channel: LocalChannel): void {
    const waitingFor = this.#waitingFor.get(connection);
    waitingFor?.delete(channel);
    if (waitingFor?.size === 0) this.#waitingFor.delete(connection);
  }

  #cancel(connection: Connection, name: string): void {
    const channel = this.#channels.get(name);
    const waiting = channel?.waiting.get(connection);
    if (channel === undefined || waiting === undefined) return;
    channel.waiting.delete(connection);
    this.#stopWaiting(connection, channel);
    for (const { answer } of waiting) {
      answer.rejected(name, 'cancelled');
      answer.send();
    }
    this.#releaseIfUnwanted(name);
  }

  #releaseIfUnwanted(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined || channel.waiting.size > 0 || this.#index.count(name) > 0) return;
    this.#channels.delete(name);
    this.#feed.drop(name);
  }
}

/** Where a client stands in a channel. This release has no history, and says so to whoever asks. */
function position(request: ChannelRequest, ref: number): SubscribedChannel {
  const { channel, since, history } = request;
  if (since === undefined && history === undefined) return { channel, ref };
  return { channel, ref, recovered: false, replayed: 0, reason: 'not_available' };
}
