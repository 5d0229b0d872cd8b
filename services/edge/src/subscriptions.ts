import type { Publication, PublicationLog, SubscriptionIndex } from '@tradewind/fanout';
import {
  type ChannelRequest,
  ERROR_CODES,
  type ErrorCode,
  type SubscribeRequest,
  type UnsubscribeRequest,
} from '@tradewind/protocol';
import { ChannelHistory } from './channel-history.ts';
import type { ChannelFilter } from './channel-patterns.ts';
import type { Connection } from './connection.ts';
import {
  type Acknowledgement,
  END_OF_CHANNEL,
  type Feed,
  type GapNotice,
  type HistoryAnswer,
  type ResyncNotice,
} from './feed.ts';
import { type EndQuestion, planReplay, type ReplayPlan } from './replay-plan.ts';
import { SubscribeAnswer } from './subscribe-answer.ts';

/** A channel in which someone on this worker is interested. */
interface LocalChannel {
  readonly name: string;
  /** The hub's number for it, once the hub has acknowledged it. */
  ref: number | undefined;
  readonly history: ChannelHistory;
  /** From where on the hub is asked for the channel's past: see `Feed.history`. */
  asking: number | undefined;
  /** Whether that question was put in the present turn: whoever wants to know the same may share it. */
  isAskedNow: boolean;
  /** Who waits for the acknowledgement, or for the channel's past, with the answers that wait along. */
  readonly waiting: Map<Connection, WaitingAnswer[]>;
}

interface WaitingAnswer {
  readonly answer: SubscribeAnswer;
  readonly request: ChannelRequest;
  /** Whether the hub was asked, since the request came, where the channel ends. */
  end: EndQuestion;
}

/** A connection that now has a channel, and what it is to be told and replayed of it. */
interface Joined {
  readonly connection: Connection;
  readonly answers: readonly SubscribeAnswer[];
  readonly plan: Extract<ReplayPlan, { kind: 'replay' }>;
}

/** How an attempt to continue a channel, or to begin it with history, ended: why not, if not. */
export type RecoveryOutcome = 'recovered' | ErrorCode;

/** What a worker allows its clients. */
export interface SubscriptionLimits {
  /** Channels that one connection may hold or wait for. */
  readonly maxChannelsPerClient: number;
  /** Publications of one channel that are replayed to a client at most; 0 for none. */
  readonly maxHistory: number;
  /** Which channels clients may subscribe to at all. */
  readonly isOffered: ChannelFilter;
}

/**
 * Who wants which channel, from request to answer. A client enters the index when the hub's
 * acknowledgement is processed, or when what it is to be replayed is at hand; its answer is queued in the
 * same step, so nothing can arrive before the answer and nothing after it is missed.
 *
 * Interest is held upstream exactly while a channel has a subscriber or someone who waits.
 */
export class Subscriptions {
  readonly #index: SubscriptionIndex<Connection>;
  readonly #limits: SubscriptionLimits;
  readonly #log: PublicationLog;
  readonly #feed: Feed;
  readonly #recovered: (outcome: RecoveryOutcome) => void;
  readonly #channels = new Map<string, LocalChannel>();
  readonly #waitingFor = new Map<Connection, Set<LocalChannel>>();
  /** Whether the source can be reached: while it cannot, nothing new is confirmed. */
  available = false;

  /** @param recovered told of each attempt to continue or to begin with history. */
  constructor(
    index: SubscriptionIndex<Connection>,
    limits: SubscriptionLimits,
    log: PublicationLog,
    feed: Feed,
    recovered: (outcome: RecoveryOutcome) => void,
  ) {
    this.#index = index;
    this.#limits = limits;
    this.#log = log;
    this.#feed = feed;
    this.#recovered = recovered;
  }

  /** Channels for which interest is held upstream. */
  get interest(): number {
    return this.#channels.size;
  }

  /** @param now ms on the monotonic clock. */
  subscribe(connection: Connection, request: SubscribeRequest, now: number): void {
    const answer = new SubscribeAnswer(connection, request);
    const joined: Joined[] = [];
    for (const wanted of request.channels) {
      this.#subscribeOne(connection, wanted, answer, joined, now);
    }
    answer.send();
    settle(joined);
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
    const joined: Joined[] = [];
    for (const { channel: name, ref, position } of acknowledgements) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      channel.ref = ref;
      channel.history.begin(position);
      this.#joinWaiting(channel, joined);
    }
    settle(joined);
  }

  /** The hub has answered what was asked about a channel's past. */
  answerHistory({ channel: name, epoch, publications, code }: HistoryAnswer): void {
    const channel = this.#channels.get(name);
    if (channel?.asking === undefined) return;
    if (channel.asking === END_OF_CHANNEL) {
      for (const [first] of channel.waiting.values()) {
        if (first?.end === 'asked') first.end = code ?? 'answered';
      }
    } else {
      channel.history.answered(epoch, publications, code);
    }
    channel.asking = undefined;
    const joined: Joined[] = [];
    this.#joinWaiting(channel, joined);
    if (channel.asking === undefined) channel.history.forgetAnswer();
    settle(joined);
  }

  /** A publication with an offset is about to be, or was, delivered. */
  published({ channel, offset }: Publication): void {
    this.#channels.get(channel)?.history.advance(offset);
  }

  /** Publications of a channel will not arrive. */
  lost({ channel, to }: GapNotice): void {
    if (to !== undefined) this.#channels.get(channel)?.history.advance(to);
  }

  /** A channel begins a new epoch. Returns the epoch that ends with that; empty if there was none. */
  resync({ channel, epoch, offset }: ResyncNotice): string {
    const history = this.#channels.get(channel)?.history;
    const before = history?.position?.epoch ?? '';
    history?.begin({ epoch, offset });
    return before;
  }

  /** The epoch that a channel is in; undefined while it has no history. */
  epochOf(channel: string): string | undefined {
    return this.#channels.get(channel)?.history.position?.epoch;
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
    joined: Joined[],
    now: number,
  ): void {
    const name = request.channel;
    const channel = this.#channels.get(name);
    if (channel?.ref !== undefined && this.#index.has(name, connection)) {
      answer.subscribed({ channel: name, ref: channel.ref, ...channel.history.position });
      return;
    }
    const joins = channel?.waiting.get(connection);
    if (joins !== undefined) {
      joins.push({ answer, request, end: 'unasked' });
      return;
    }
    const code = this.#refusal(connection, request, now);
    if (code === undefined || ERROR_CODES[code].retryable) connection.hasAsked = true;
    if (code !== undefined) {
      answer.rejected(name, code);
    } else if (channel?.ref !== undefined) {
      this.#join(connection, channel, [{ answer, request, end: 'unasked' }], joined);
    } else {
      const waiting = { answer, request, end: 'unasked' } as const;
      this.#wait(connection, channel ?? this.#declare(name), [waiting]);
    }
  }

  #joinWaiting(channel: LocalChannel, joined: Joined[]): void {
    for (const [connection, waiting] of this.#takeWaiting(channel)) {
      this.#join(connection, channel, waiting, joined);
    }
  }

  /** Lets a connection have the channel, or wait on until what it is to be replayed is there. */
  #join(
    connection: Connection,
    channel: LocalChannel,
    waiting: readonly WaitingAnswer[],
    joined: Joined[],
  ): void {
    const [first] = waiting;
    if (first === undefined || channel.ref === undefined) return;
    const { maxHistory } = this.#limits;
    const plan = planReplay(first.request, channel.history, maxHistory, first.end);
    if (plan.kind === 'ask') {
      this.#wait(connection, channel, waiting);
      this.#ask(channel, plan.from);
      if (plan.from === channel.asking && channel.isAskedNow) first.end = 'asked';
      return;
    }
    this.#index.add(channel.name, connection);
    if (plan.recovered !== undefined) this.#recovered(plan.reason ?? 'recovered');
    const position = { channel: channel.name, ref: channel.ref, ...channel.history.position };
    for (const [i, { answer }] of waiting.entries()) {
      answer.subscribed(i === 0 ? { ...position, ...outcomeOf(plan) } : position);
    }
    joined.push({ connection, answers: waiting.map(({ answer }) => answer), plan });
  }

  /** One question about a channel is open at a time; who needs to know more asks when it is answered. */
  #ask(channel: LocalChannel, from: number): void {
    if (channel.asking !== undefined) return;
    channel.asking = from;
    if (from === END_OF_CHANNEL) {
      channel.isAskedNow = true;
      queueMicrotask(() => {
        channel.isAskedNow = false;
      });
    } else {
      channel.history.ask(from);
    }
    this.#feed.history(channel.name, from);
  }

  #refusal(
    connection: Connection,
    { channel, history = 0 }: ChannelRequest,
    now: number,
  ): ErrorCode | undefined {
    if (!this.#limits.isOffered(channel)) return 'channel_not_allowed';
    const { maxHistory } = this.#limits;
    if (maxHistory > 0 && history > maxHistory) return 'bad_history';
    const held = this.#index.held(connection) + (this.#waitingFor.get(connection)?.size ?? 0);
    if (held >= this.#limits.maxChannelsPerClient) return 'too_many_channels';
    if (!this.available) return 'unavailable';
    return connection.subscribeBudget.take(now) ? undefined : 'rate_limited';
  }

  #declare(name: string): LocalChannel {
    const channel: LocalChannel = {
      ...{ name, ref: undefined, asking: undefined, isAskedNow: false, waiting: new Map() },
      history: new ChannelHistory(name, this.#log),
    };
    this.#channels.set(name, channel);
    this.#feed.declare(name);
    return channel;
  }

  #wait(connection: Connection, channel: LocalChannel, waiting: readonly WaitingAnswer[]): void {
    channel.waiting.set(connection, [...waiting]);
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

/** What a plan means for the client, as its answer says it. */
function outcomeOf({ recovered, reason, replayed }: Extract<ReplayPlan, { kind: 'replay' }>) {
  if (recovered === undefined) return {};
  return { recovered, replayed, ...(reason === undefined ? {} : { reason }) };
}

/** The answers go out first, and what they promise right behind. */
function settle(joined: readonly Joined[]): void {
  for (const { answers } of joined) for (const answer of answers) answer.send();
  for (const { connection, plan } of joined) connection.replay(plan.stretches);
}
