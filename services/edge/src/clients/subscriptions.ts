import type { Publication, PublicationLog, Replay } from '@tradewind/fanout';
import { inOrder } from '@tradewind/fanout';
import {
  type ChannelRequest,
  ERROR_CODES,
  type ErrorCode,
  type SubscribeRequest,
  type UnsubscribeRequest,
} from '@tradewind/protocol';
import type { Rate } from '@tradewind/runtime';
import {
  type Acknowledgement,
  END_OF_CHANNEL,
  type Feed,
  type GapNotice,
  type HistoryAnswer,
  type ResyncNotice,
} from '../feed.ts';
import type { LimitGuard } from '../limits.ts';
import type { Connection } from './connection.ts';
import { HistoryBounds } from './history-bounds.ts';
import type { Membership } from './membership.ts';
import { ReplayAdmission } from './replay-admission.ts';
import { ReplayCharges } from './replay-charges.ts';
import { notRecovered, outcomeOf, planReplay } from './replay-plan.ts';
import type { Session } from './session.ts';
import { SubscribeReply } from './subscribe-reply.ts';
import {
  type PendingSubscription,
  pendingSubscription,
  SubscribedChannel,
} from './subscribed-channel.ts';
import { endOfBudget } from './turn-budget.ts';

/** A connection that now has a channel, and what it is to be told and replayed of it. */
interface Joined {
  readonly connection: Connection;
  readonly waiting: PendingSubscription;
  readonly replay: Replay | undefined;
}

/** How an attempt to continue a channel, or to begin it with history, ended: why not, if not. */
export type RecoveryOutcome = 'recovered' | ErrorCode;

/**
 * How long a subscription waits for room for its replay, or for its turn to be asked about, in seconds.
 * Clients that hold what they were promised for so long, or read nothing, are gone before that; see `FanOut`.
 */
const MAX_DELAY_SECONDS = 10;

/** What a worker allows its clients. */
export interface SubscriptionLimits {
  /** Channels that one connection may hold or wait for. */
  readonly maxChannelsPerClient: number;
  /** Publications of one channel that are replayed to a client at most; 0 for none. */
  readonly maxHistory: number;
  /** Publications of the past, in bytes per client. */
  readonly replayRate: Rate;
}

/**
 * Who wants which channel, from request to answer. A client enters the index when the hub's
 * acknowledgement is processed, or when what it is to be replayed is at hand; its answer is queued in the
 * same step, so nothing can arrive before the answer and nothing after it is missed.
 *
 * Interest is held upstream exactly while a channel has a subscriber or someone who waits.
 */
export class Subscriptions {
  readonly #membership: Membership;
  readonly #limits: SubscriptionLimits;
  readonly #log: PublicationLog;
  readonly #feed: Feed;
  readonly #onRecovered: (outcome: RecoveryOutcome) => void;
  readonly #guard: LimitGuard;
  readonly #charges: ReplayCharges;
  readonly #channels = new Map<string, SubscribedChannel>();
  readonly #admission: ReplayAdmission;
  readonly #bounds = new HistoryBounds();
  /** Channels that someone has been kept waiting for too long. */
  readonly #late = new Set<SubscribedChannel>();
  readonly #waitingFor = new Map<Connection, Set<SubscribedChannel>>();
  /** Whether the source can be reached: while it cannot, nothing new is confirmed. */
  available = false;

  /**
   * @param log replays may hold as many bytes again as it does.
   * @param recovered told of each attempt to continue or to begin with history.
   * @param clock of the connections' budgets: ms that never go back.
   */
  constructor(
    membership: Membership,
    limits: SubscriptionLimits,
    log: PublicationLog,
    feed: Feed,
    recovered: (outcome: RecoveryOutcome) => void,
    guard: LimitGuard,
    clock = (): number => performance.now(),
  ) {
    this.#membership = membership;
    membership.listen({ onLeft: (_connection, channel) => this.#releaseIfUnwanted(channel) });
    this.#limits = limits;
    this.#log = log;
    this.#feed = feed;
    this.#onRecovered = recovered;
    this.#guard = guard;
    this.#charges = new ReplayCharges(limits.replayRate, guard, clock);
    this.#admission = new ReplayAdmission(log.maxBytes, () => void this.#resume(endOfBudget()));
  }

  /** Whether a subscription waits because of what clients were promised and have not read. */
  get waitsForMemory(): boolean {
    return this.#admission.waitsForMemory;
  }

  /** Channels for which interest is held upstream. */
  get interest(): number {
    return this.#channels.size;
  }

  /** @param now ms on the monotonic clock. */
  subscribe(connection: Connection, request: SubscribeRequest, now: number): void {
    const answer = new SubscribeReply(connection, request);
    const joined: Joined[] = [];
    const { subscribeBudget } = connection.session;
    let beyond = 0;
    for (let i = 0; i < request.rejected.length; i += 1) subscribeBudget.take(now);
    for (const wanted of request.channels) {
      // Whoever asks for what it holds is told so in any case: `rejected` would say that it does not hold it.
      const isPaid = subscribeBudget.take(now);
      if (this.#replyIfHeld(connection, wanted.channel, answer)) continue;
      if (isPaid || !this.#guard.refuses('mentions')) {
        this.#subscribeOne(connection, wanted, answer, joined);
        continue;
      }
      connection.session.hasAsked = true;
      beyond += 1;
      answer.addRejected(wanted.channel, 'rate_limited', subscribeBudget.waitMs(beyond));
    }
    answer.send();
    sendReplies(joined);
  }

  unsubscribe(connection: Connection, request: UnsubscribeRequest): void {
    for (const name of request.channels) {
      if (!this.#membership.leave(connection, name, 'unsubscribed')) this.#cancel(connection, name);
    }
    connection.send({ type: 'unsubscribed', id: request.id, channels: request.channels });
  }

  /** Forgets a connection that is being closed. */
  removeClient(connection: Connection): void {
    this.#membership.leaveAll(connection);
    const waitingFor = this.#waitingFor.get(connection) ?? [];
    this.#waitingFor.delete(connection);
    for (const channel of waitingFor) {
      channel.waiting.delete(connection);
      this.#releaseIfUnwanted(channel.name);
    }
  }

  startChannels(acknowledgements: readonly Acknowledgement[]): void {
    const joined: Joined[] = [];
    for (const { channel: name, ref, position } of acknowledgements) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      channel.ref = ref;
      channel.replaySource.beginAt(position);
      this.#joinAll(channel, joined);
    }
    sendReplies(joined);
  }

  /** A second has passed: {@link serveWaiting} sees to those who have been kept waiting for too long. */
  tick(): void {
    for (const channel of this.#admission.delayed) {
      if (channel.countDelayedSecond() >= MAX_DELAY_SECONDS) this.#late.add(channel);
    }
  }

  /**
   * Who has been kept waiting for too long does without a replay; others go on where there is room again. Some in a turn.
   *
   * @param until ms on the monotonic clock, after which nobody else is served.
   * @returns whether someone may be left.
   */
  serveWaiting(until: number): boolean {
    for (const channel of this.#late) {
      if (this.#serveSome(channel, until)) return true;
      this.#late.delete(channel);
      if (performance.now() >= until) return true;
    }
    return this.#resume(until);
  }

  /** The hub has answered what was asked about a channel's past. */
  takeHistory(answer: HistoryAnswer): void {
    const { channel: name, code } = answer;
    const channel = this.#channels.get(name);
    if (channel?.pendingRead === undefined) return;
    this.#endRead(channel, storeHistory(answer, channel));
    channel.endRead(code);
    const joined: Joined[] = [];
    this.#joinAll(channel, joined);
    sendReplies(joined);
  }

  /** A publication with an offset is in the log, and about to be delivered. */
  recordPublication(publication: Publication): void {
    this.#channels.get(publication.channel)?.replaySource.addPublication(publication);
  }

  /** Publications of a channel will not arrive. */
  recordGap({ channel, from, to, reason }: GapNotice): void {
    if (from === undefined || to === undefined) return;
    this.#channels.get(channel)?.replaySource.addGap({ from, to, reason });
  }

  /** A channel begins a new epoch. Returns the epoch that ends with that; empty if there was none. */
  beginEpoch({ channel, epoch, offset }: ResyncNotice): string {
    const history = this.#channels.get(channel)?.replaySource;
    const before = history?.position?.epoch ?? '';
    history?.beginAt({ epoch, offset });
    return before;
  }

  /** The epoch that a channel is in; undefined while it has no history. */
  epochOf(channel: string): string | undefined {
    return this.#channels.get(channel)?.replaySource.position?.epoch;
  }

  /** These channels do not flow: whoever waits is rejected, whoever is subscribed is told. */
  endChannels(names: readonly string[], code: ErrorCode): void {
    const answers = new Set<SubscribeReply>();
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      this.#forget(channel);
      for (const [, { reply: answer, others }] of this.#takeWaiting(channel)) {
        for (const each of [answer, ...others]) answers.add(each.addRejected(name, code));
      }
    }
    for (const answer of answers) answer.send();
    this.#membership.leaveTogether(names, code);
  }

  /** Returns false for a channel that the connection does not hold. */
  #replyIfHeld(connection: Connection, name: string, answer: SubscribeReply): boolean {
    const channel = this.#channels.get(name);
    if (channel?.ref === undefined || !this.#membership.index.has(name, connection)) return false;
    answer.addSubscribed({ channel: name, ref: channel.ref, ...channel.replaySource.position });
    return true;
  }

  #subscribeOne(
    connection: Connection,
    request: ChannelRequest,
    answer: SubscribeReply,
    joined: Joined[],
  ): void {
    const name = request.channel;
    const channel = this.#channels.get(name);
    const earlier = channel?.waiting.get(connection);
    if (earlier !== undefined) {
      earlier.others.push(answer);
      return;
    }
    const waiting = pendingSubscription(answer, request);
    const held =
      this.#membership.index.held(connection) + (this.#waitingFor.get(connection)?.size ?? 0);
    const code = this.#refusal(connection.session, request, held);
    if (code === undefined || ERROR_CODES[code].retryable) connection.session.hasAsked = true;
    if (code !== undefined) {
      answer.addRejected(name, code);
    } else if (channel?.ref !== undefined) {
      const from = this.#joinOrWait(connection, channel, waiting, joined);
      if (from !== undefined) this.#readHistory(channel, from);
      this.#releaseIfUnwanted(name);
    } else {
      this.#wait(connection, channel ?? this.#declare(name, held), waiting);
    }
  }

  /**
   * Lets those who wait have the channel, as far as that is possible now, and asks for the others.
   *
   * @param until ms on the monotonic clock, after which the rest goes on waiting for its turn. To be given only where the hub
   *   has answered nothing for them just now: what it has answered is at hand until all have had it.
   * @returns whether someone is left.
   */
  #joinAll(
    channel: SubscribedChannel,
    joined: Joined[],
    until = Number.POSITIVE_INFINITY,
  ): boolean {
    this.#admission.remove(channel);
    const offsets: number[] = [];
    const waiting = [...channel.waiting];
    let taken = 0;
    for (const [connection, one] of waiting) {
      if (taken > 0 && performance.now() >= until) break;
      taken += 1;
      channel.waiting.delete(connection);
      this.#stopWaiting(connection, channel);
      const from = this.#joinOrWait(connection, channel, one, joined);
      if (from !== undefined) offsets.push(from);
    }
    channel.replaySource.forgetRead();
    if (offsets.length > 0) this.#readHistory(channel, Math.min(...offsets));
    if (taken < waiting.length) this.#admission.delay(channel);
    this.#releaseIfUnwanted(channel.name);
    return taken < waiting.length;
  }

  #serveSome(channel: SubscribedChannel, until: number): boolean {
    const joined: Joined[] = [];
    const isLeft = this.#joinAll(channel, joined, until);
    sendReplies(joined);
    return isLeft;
  }

  /** There is room again for replays, or a turn for a question. Returns whether there is more of it than time. */
  #resume(until: number): boolean {
    for (
      let next = this.#admission.takeNext();
      next !== undefined;
      next = this.#admission.takeNext()
    ) {
      if (this.#serveSome(next, until) || performance.now() >= until) return true;
    }
    return false;
  }

  /**
   * Lets a connection have the channel, or wait on until what it is to be replayed is there. Returns from
   * where on the hub is to be asked, if it is.
   */
  #joinOrWait(
    connection: Connection,
    channel: SubscribedChannel,
    waiting: PendingSubscription,
    joined: Joined[],
  ): number | undefined {
    const { ref, replaySource: history } = channel;
    if (ref === undefined) return undefined;
    const plan = this.#plan(waiting, channel);
    if (plan !== 'delayed' && !this.#charges.admits(connection, waiting, history, plan)) {
      const { reply: answer, others } = waiting;
      const waitMs = connection.session.replayBudget?.waitMs(0);
      for (const each of [answer, ...others])
        each.addRejected(channel.name, 'rate_limited', waitMs);
      this.#onRecovered('rate_limited');
      joined.push({ connection, waiting, replay: undefined });
      return undefined;
    }
    if (plan === 'delayed' || plan.kind === 'read') {
      this.#wait(connection, channel, waiting);
      if (plan !== 'delayed') return plan.from;
      this.#admission.delay(channel);
      return undefined;
    }
    this.#membership.join(connection, channel.name);
    if (plan.recovered !== undefined) this.#onRecovered(plan.reason ?? 'recovered');
    const position = { channel: channel.name, ref, ...history.position };
    const replay = history.takeLatest(plan.offsets);
    replay?.excerpt.hold();
    waiting.reply.addSubscribed({ ...position, ...outcomeOf(plan, replay?.count ?? 0) });
    for (const other of waiting.others) other.addSubscribed(position);
    this.#charges.chargeActual(connection, waiting, replay, plan.reason);
    joined.push({ connection, waiting, replay });
    return undefined;
  }

  /** `delayed`: there is no room for the replay. What the hub has answered is not asked for again. */
  #plan(
    { request, progress: asked, delayedSeconds }: PendingSubscription,
    { replaySource: history }: SubscribedChannel,
  ) {
    const { memory } = this.#admission;
    const { maxHistory } = this.#limits;
    if (delayedSeconds >= MAX_DELAY_SECONDS) return notRecovered('unavailable');
    let plan = planReplay(request, history, maxHistory, asked);
    if (plan.kind === 'read' && plan.from !== END_OF_CHANNEL && memory.maxBytes === 0) {
      plan = planReplay(request, history, maxHistory, { ...asked, failure: 'history_too_long' });
    }
    if (plan.kind === 'read' || plan.offsets === 0 || history.hasReadAnswer) return plan;
    return memory.hasRoom ? plan : 'delayed';
  }

  /** One question about a channel is open at a time; who needs to know more asks when it is answered. */
  #readHistory(channel: SubscribedChannel, from: number): void {
    if (channel.pendingRead !== undefined) return;
    if (from !== END_OF_CHANNEL) {
      if (!this.#admission.mayRead) {
        this.#admission.delay(channel);
        return;
      }
      this.#admission.beginRead();
    }
    channel.beginRead(from);
    this.#feed.readHistory(channel.name, from);
  }

  /** @param bytes what the answer brings; undefined if there is none. */
  #endRead({ pendingRead: asking }: SubscribedChannel, bytes: number | undefined): void {
    if (asking !== undefined && asking !== END_OF_CHANNEL) this.#admission.endRead(bytes);
  }

  /** @param held channels that the connection holds or waits for. */
  #refusal(
    { rights }: Session,
    { channel, history = 0 }: ChannelRequest,
    held: number,
  ): ErrorCode | undefined {
    if (!rights.allows(channel)) return 'channel_not_allowed';
    const { maxHistory } = this.#limits;
    if (maxHistory > 0 && history > maxHistory) return 'bad_history';
    if (held >= this.#limits.maxChannelsPerClient) {
      this.#guard.isFull('client_channels');
      return 'too_many_channels';
    }
    return this.available ? undefined : 'unavailable';
  }

  #declare(name: string, others: number): SubscribedChannel {
    const channel = new SubscribedChannel(name, this.#log, this.#admission.memory, this.#bounds);
    this.#channels.set(name, channel);
    this.#feed.declare(name, others);
    return channel;
  }

  #wait(connection: Connection, channel: SubscribedChannel, waiting: PendingSubscription): void {
    channel.waiting.set(connection, waiting);
    channel.shareRead(waiting);
    const waitingFor = this.#waitingFor.get(connection) ?? new Set();
    this.#waitingFor.set(connection, waitingFor.add(channel));
  }

  #takeWaiting(channel: SubscribedChannel): (readonly [Connection, PendingSubscription])[] {
    const taken = [...channel.waiting];
    channel.waiting.clear();
    for (const [connection] of taken) this.#stopWaiting(connection, channel);
    return taken;
  }

  #stopWaiting(connection: Connection, channel: SubscribedChannel): void {
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
    const answers = new Set<SubscribeReply>();
    for (const each of [waiting.reply, ...waiting.others]) {
      answers.add(each.addRejected(name, 'cancelled'));
    }
    for (const answer of answers) answer.send();
    this.#releaseIfUnwanted(name);
  }

  #releaseIfUnwanted(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined || channel.waiting.size > 0) return;
    this.#admission.remove(channel);
    if (this.#membership.index.count(name) > 0) return;
    this.#forget(channel);
    this.#feed.drop(name);
  }

  #forget(channel: SubscribedChannel): void {
    this.#channels.delete(channel.name);
    this.#late.delete(channel);
    this.#admission.remove(channel);
    this.#endRead(channel, undefined);
  }
}

/** The answers go out first, and what they promise right behind. */
function sendReplies(joined: readonly Joined[]): void {
  for (const { waiting } of joined) {
    waiting.reply.send();
    for (const other of waiting.others) other.send();
  }
  for (const { connection, replay } of joined) {
    if (replay === undefined) continue;
    connection.scheduleReplay(replay);
    replay.excerpt.release();
  }
}

/** Takes over what the hub has answered. Returns how many bytes that is; undefined if it brings nothing. */
function storeHistory(
  answer: HistoryAnswer,
  { replaySource: history }: SubscribedChannel,
): number | undefined {
  const { epoch, publications, gaps, code, tooLongBefore } = answer;
  if (code !== undefined) return undefined;
  if (tooLongBefore === undefined) return history.storeRead(epoch, inOrder(publications, gaps));
  history.rejectRead(epoch, tooLongBefore);
  return undefined;
}
