import type { Publication, PublicationLog, WireReference } from '@tradewind/fanout';
import {
  type ChannelRequest,
  ERROR_CODES,
  type ErrorCode,
  type SubscribeRequest,
  type UnsubscribeRequest,
} from '@tradewind/protocol';
import type { Rate } from '@tradewind/runtime';
import { allowsPast } from '../../auth/rights.ts';
import type { Acknowledgement, Feed, GapNotice, ResyncNotice } from '../../feed.ts';
import type { LimitGuard } from '../../limits.ts';
import type { Connection } from '../connection/connection.ts';
import type { Conflation } from '../membership/conflation.ts';
import type { Membership } from '../membership/membership.ts';
import { HistoryBounds } from '../replay/history-bounds.ts';
import type { Session } from '../session/session.ts';
import { ReplayCharges } from './replay-charges.ts';
import { SubscribeReply } from './subscribe-reply.ts';
import { pendingSubscription, SubscribedChannel } from './subscribed-channel.ts';
import {
  type Joined,
  type RecoveryOutcome,
  sendReplies,
  WaitingClients,
} from './waiting-clients.ts';

/** What a worker allows its clients. */
export interface SubscriptionLimits {
  /** Channels that one client may hold or wait for. */
  readonly maxChannelsPerClient: number;
  /** Publications of one channel that are replayed to a client at most; 0 for none. */
  readonly maxHistory: number;
  /** Bytes of replays per client. */
  readonly replayRate: Rate;
}

/**
 * Subscriptions of one worker, from request to reply. {@link WaitingClients} has those that were not answered yet,
 * {@link Membership} those that were.
 *
 * The worker declares a channel to the hub exactly while a client holds it or waits for it.
 */
export class Subscriptions {
  readonly #membership: Membership;
  readonly #limits: SubscriptionLimits;
  readonly #publicationLog: PublicationLog;
  readonly #feed: Feed;
  readonly #guard: LimitGuard;
  readonly #channels = new Map<string, SubscribedChannel>();
  readonly #charges: ReplayCharges;
  readonly #waiting: WaitingClients;
  readonly #bounds = new HistoryBounds();
  readonly #conflation: Pick<Conflation, 'heldBackOf'>;
  /**
   * Channels that are cut off from Redis: none, all, or those of the shards that are away. New subscriptions to them are
   * rejected.
   */
  cutOff: 'none' | 'all' | ReadonlySet<string> = 'all';

  /**
   * @param conflation has the publication of a channel that is held back for a client. Answers to the client name the offset
   *   before it.
   * @param publicationLog replays may hold as many bytes besides it as its limit.
   * @param onRecovered hears of the outcome of each request with `since` or `history`.
   * @param clock of the clients' replay budgets: returns ms that never go back.
   */
  constructor(
    membership: Membership,
    conflation: Pick<Conflation, 'heldBackOf'>,
    limits: SubscriptionLimits,
    publicationLog: PublicationLog,
    feed: Feed,
    onRecovered: (outcome: RecoveryOutcome) => void,
    guard: LimitGuard,
    clock = (): number => performance.now(),
  ) {
    this.#membership = membership;
    this.#conflation = conflation;
    membership.listen({ onLeft: (_connection, channel) => this.#releaseIfUnwanted(channel) });
    this.#limits = limits;
    this.#publicationLog = publicationLog;
    this.#feed = feed;
    this.#guard = guard;
    this.#charges = new ReplayCharges(limits.replayRate, guard, clock);
    this.#waiting = new WaitingClients({
      membership,
      feed,
      charges: this.#charges,
      maxHistory: limits.maxHistory,
      memoryBytes: publicationLog.maxBytes,
      onRecovered,
      onIdle: ({ name }) => this.#releaseIfUnwanted(name),
    });
  }

  /** Whether a client waits for memory that other clients' replays occupy. */
  get waitsForMemory(): boolean {
    return this.#waiting.waitsForMemory;
  }

  /** The number of channels that are declared to the hub. */
  get interest(): number {
    return this.#channels.size;
  }

  /**
   * Answers a `subscribe` request, for each channel at once or when it is decided.
   *
   * @param now ms on the monotonic clock.
   */
  subscribe(connection: Connection, request: SubscribeRequest, now: number): void {
    const reply = new SubscribeReply(connection, request);
    const joined: Joined[] = [];
    const { subscribeBudget } = connection.session;
    let unpaid = 0;
    for (let i = 0; i < request.rejected.length; i += 1) subscribeBudget.take(now);
    for (const wanted of request.channels) {
      // A change may send the client a reference, and ends the connection if there is no room for it. A client that joined after that
      // would never leave the index, and its queue will belong to another client.
      if (!connection.isOpen) break;
      // A channel that the client holds is confirmed even beyond the budget: `rejected` would say that the client does not hold it.
      const isPaid = subscribeBudget.take(now);
      if (this.#confirmIfHeld(connection, wanted, reply, isPaid)) continue;
      if (isPaid || !this.#guard.refuses('mentions')) {
        this.#subscribeOne(connection, wanted, reply, joined, now);
        continue;
      }
      connection.session.hasAsked = true;
      unpaid += 1;
      reply.addRejected(wanted.channel, 'rate_limited', subscribeBudget.waitMs(unpaid));
    }
    reply.send();
    sendReplies(joined);
  }

  /** Takes channels from a client that unsubscribes, cancels those that it waits for, and answers. */
  unsubscribe(connection: Connection, request: UnsubscribeRequest): void {
    for (const name of request.channels) {
      if (!this.#membership.leave(connection, name, 'unsubscribed')) this.#cancel(connection, name);
    }
    connection.send({ type: 'unsubscribed', id: request.id, channels: request.channels });
  }

  /**
   * Takes from a client the channels that it holds or waits for and that its rights do not allow; the client is told
   * `channel_not_allowed`. Of a channel whose past the client may not have, it is told no further reference.
   */
  applyRights(connection: Connection): void {
    const { rights } = connection.session;
    const isBeyond = (name: string): boolean => !rights.allows(name);
    for (const name of this.#membership.index.channelsOf(connection).filter(isBeyond)) {
      this.#membership.leave(connection, name, 'channel_not_allowed');
    }
    if (connection.format.isBinary) {
      for (const name of this.#membership.index.channelsOf(connection)) {
        if (!allowsPast(rights, name)) this.#membership.readRaw(connection, name);
      }
    }
    for (const name of this.#waiting.channelsOf(connection).filter(isBeyond)) {
      this.#cancel(connection, name, 'channel_not_allowed');
    }
  }

  /** Removes a client whose connection ends. */
  removeClient(connection: Connection): void {
    this.#membership.leaveAll(connection);
    for (const { name } of this.#waiting.removeClient(connection)) this.#releaseIfUnwanted(name);
  }

  /** Starts channels that the hub acknowledged: lets the clients that wait for them join. */
  startChannels(acknowledgements: readonly Acknowledgement[]): void {
    const joined: Joined[] = [];
    for (const { channel: name, wire, position } of acknowledgements) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      channel.wire = wire;
      channel.replaySource.beginAt(position);
      this.#waiting.joinAll(channel, joined);
    }
    sendReplies(joined);
  }

  /** The reference that clients with all of a channel were told last. */
  referenceOf(channel: string): WireReference | undefined {
    return this.#channels.get(channel)?.wire?.reference;
  }

  /** Charges a client for a reference of this many bytes that it is told while it holds the channel. */
  chargeReference(connection: Connection, bytes: number): void {
    this.#charges.chargeReference(connection, bytes);
  }

  /** Ends channels that the hub refused: rejects the clients that wait for them, and takes them from the clients that hold them. */
  endChannels(names: readonly string[], code: ErrorCode): void {
    const replies = new Set<SubscribeReply>();
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      this.#channels.delete(name);
      for (const { reply, others } of this.#waiting.removeChannel(channel)) {
        for (const each of [reply, ...others]) replies.add(each.addRejected(name, code));
      }
    }
    for (const reply of replies) reply.send();
    this.#membership.leaveTogether(names, code);
  }

  /** Counts a second. Call {@link serveWaiting} afterwards, for clients that have waited too long. */
  tick(): void {
    this.#waiting.countSecond();
  }

  /** See {@link WaitingClients.serve}. */
  serveWaiting(until: number): boolean {
    return this.#waiting.serve(until);
  }

  /** Records a publication with an offset. Call it when the publication is in the log, before it is delivered. */
  recordPublication(publication: Publication): void {
    this.#channels.get(publication.channel)?.replaySource.addPublication(publication);
  }

  /** Records a gap of the feed. Without offsets there is nothing to record. */
  recordGap({ channel, from, to, reason }: GapNotice): void {
    if (from === undefined || to === undefined) return;
    this.#channels.get(channel)?.replaySource.addGap({ from, to, reason });
  }

  /** Begins a new epoch of a channel. Returns the epoch that ends; empty if there was none. */
  beginEpoch({ channel, epoch, offset }: ResyncNotice): string {
    const replaySource = this.#channels.get(channel)?.replaySource;
    const endedEpoch = replaySource?.position?.epoch ?? '';
    replaySource?.beginAt({ epoch, offset });
    return endedEpoch;
  }

  /** The channel's epoch; undefined while it has no history. */
  epochOf(channel: string): string | undefined {
    return this.#channels.get(channel)?.replaySource.position?.epoch;
  }

  /**
   * Confirms a channel that the client holds, and changes its `latest` to that of the request. A change beyond the budget is not
   * carried out, and the answer then says what still holds. Returns false if the client does not hold the channel.
   */
  #confirmIfHeld(
    connection: Connection,
    { channel: name, latest }: ChannelRequest,
    reply: SubscribeReply,
    isPaid: boolean,
  ): boolean {
    const channel = this.#channels.get(name);
    if (channel?.wire === undefined || !this.#membership.index.has(name, connection)) return false;
    const everyMs = this.#membership.everyMsOf(connection, name);
    const isChange = everyMs !== latest?.everyMs;
    const isRefused = isChange && !isPaid && this.#guard.refuses('mentions');
    if (!isRefused) this.#membership.change(connection, name, latest?.everyMs);
    const held = everyMs === undefined ? undefined : { everyMs };
    const answer = channel.answerFor(connection, isRefused ? held : latest);
    const heldBack = this.#conflation.heldBackOf(connection, name);
    reply.addSubscribed(heldBack === undefined ? answer : { ...answer, offset: heldBack - 1 });
    return true;
  }

  #subscribeOne(
    connection: Connection,
    request: ChannelRequest,
    reply: SubscribeReply,
    joined: Joined[],
    now: number,
  ): void {
    const name = request.channel;
    const channel = this.#channels.get(name);
    const earlier = channel?.waiting.get(connection);
    if (earlier !== undefined) {
      earlier.others.push(reply);
      earlier.request = { ...earlier.request, latest: request.latest };
      return;
    }
    const { session } = connection;
    const held = this.#membership.index.held(connection) + this.#waiting.count(connection);
    const code = this.#refusal(session, request, held);
    if (code === undefined || ERROR_CODES[code].retryable) session.hasAsked = true;
    const pending = pendingSubscription(reply, request);
    if (code !== undefined) reply.addRejected(name, code);
    else if (channel === undefined && this.#isBeyondNewChannels(session, now))
      reply.addRejected(name, 'rate_limited', session.channelOwner?.waitMs('channels'));
    else if (channel?.wire !== undefined) this.#waiting.join(connection, channel, pending, joined);
    else this.#waiting.add(connection, channel ?? this.#declare(name, held), pending);
  }

  /** @param held the number of channels that the client holds or waits for. */
  #refusal(
    { rights }: Session,
    { channel, history = 0 }: ChannelRequest,
    held: number,
  ): ErrorCode | undefined {
    if (!rights.allows(channel)) return 'channel_not_allowed';
    const maxHistory = Math.min(this.#limits.maxHistory, rights.maxHistory);
    if (maxHistory > 0 && history > maxHistory) return 'bad_history';
    if (held >= Math.min(this.#limits.maxChannelsPerClient, rights.maxChannels)) {
      this.#guard.isFull('client_channels');
      return 'too_many_channels';
    }
    return this.#isCutOff(channel) ? 'unavailable' : undefined;
  }

  #isCutOff(channel: string): boolean {
    if (typeof this.cutOff === 'string') return this.cutOff === 'all';
    return this.cutOff.has(channel);
  }

  /** Whether the owner of this client's new channels has used up its budget of them, so that others get theirs. */
  #isBeyondNewChannels({ channelOwner }: Session, now: number): boolean {
    const isShared = channelOwner?.take('channels', now) ?? true;
    return !isShared && this.#guard.refuses('address_channels');
  }

  #declare(name: string, others: number): SubscribedChannel {
    const { memory } = this.#waiting;
    const channel = new SubscribedChannel(name, this.#publicationLog, memory, this.#bounds);
    this.#channels.set(name, channel);
    this.#feed.declare(name, others);
    return channel;
  }

  #cancel(connection: Connection, name: string, code: ErrorCode = 'cancelled'): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    const pending = this.#waiting.remove(connection, channel);
    if (pending === undefined) return;
    const replies = new Set<SubscribeReply>();
    for (const each of [pending.reply, ...pending.others]) {
      replies.add(each.addRejected(name, code));
    }
    for (const reply of replies) reply.send();
    this.#releaseIfUnwanted(name);
  }

  #releaseIfUnwanted(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined || channel.waiting.size > 0) return;
    if (this.#membership.index.count(name) > 0) return;
    this.#channels.delete(name);
    this.#waiting.removeChannel(channel);
    this.#feed.drop(name);
  }
}
