import type { Replay, ReplayMemory } from '@tradewind/fanout';
import type { ChannelRequest, ErrorCode } from '@tradewind/protocol';
import { allowsPast, type Rights } from '../../auth/rights.ts';
import type { Feed, HistoryAnswer } from '../../feed.ts';
import type { Connection } from '../connection/connection.ts';
import type { Membership } from '../membership/membership.ts';
import { notRecovered, outcomeOf, planReplay } from '../replay/replay-plan.ts';
import { endOfBudget } from '../time/turn-budget.ts';
import { ReplayAdmission } from './replay-admission.ts';
import type { ReplayCharges } from './replay-charges.ts';
import type { PendingSubscription, SubscribedChannel } from './subscribed-channel.ts';

/** How an attempt to continue a channel, or to begin it with history, ended. A code says why it failed. */
export type RecoveryOutcome = 'recovered' | ErrorCode;

/** A subscription that is decided: the client holds the channel now, or was rejected. */
export interface Joined {
  readonly connection: Connection;
  readonly pending: PendingSubscription;
  readonly replay: Replay | undefined;
  /** The reference that the client must be told after the reply; see `SubscribedChannel.referenceFrame`. */
  readonly reference?: Uint8Array | undefined;
}

/**
 * How long a subscription waits at most for memory for its replay, or for its turn to read, in seconds. Clients that occupy the
 * memory are closed before that (`Connection.blocksReplayMemory`).
 */
const MAX_DELAY_SECONDS = 10;

/** What {@link WaitingClients} needs. */
export interface WaitingClientsParts {
  readonly membership: Membership;
  readonly feed: Feed;
  readonly charges: ReplayCharges;
  /** Publications of one channel that are replayed to a client at most; 0 for none. */
  readonly maxHistory: number;
  /** Bytes that all replays may hold until the clients have had them. */
  readonly memoryBytes: number;
  /** Hears of the outcome of each request with `since` or `history`. */
  readonly onRecovered: (outcome: RecoveryOutcome) => void;
  /** Called when a channel may have no client any more. */
  readonly onIdle: (channel: SubscribedChannel) => void;
}

/**
 * Clients that wait for a channel: for the hub's acknowledgement, for history that the node reads, or for memory for their
 * replay. A client joins once the worker has what the client must be sent. Its reply is queued in the same step, so the client
 * gets nothing before the reply and misses nothing after it.
 */
export class WaitingClients {
  readonly #parts: WaitingClientsParts;
  readonly #admission: ReplayAdmission;
  readonly #channelsOf = new Map<Connection, Set<SubscribedChannel>>();
  /** Channels for which a client has waited too long. */
  readonly #late = new Set<SubscribedChannel>();

  constructor(parts: WaitingClientsParts) {
    this.#parts = parts;
    this.#admission = new ReplayAdmission(
      parts.memoryBytes,
      () => void this.#resume(endOfBudget()),
    );
  }

  /** The memory of replays, which counts what they hold. */
  get memory(): ReplayMemory {
    return this.#admission.memory;
  }

  /** Whether a client waits for memory that other clients' replays occupy. */
  get waitsForMemory(): boolean {
    return this.#admission.waitsForMemory;
  }

  /** The number of channels that a client waits for. */
  count(connection: Connection): number {
    return this.#channelsOf.get(connection)?.size ?? 0;
  }

  /** Makes a client wait for a channel. */
  add(connection: Connection, channel: SubscribedChannel, pending: PendingSubscription): void {
    channel.waiting.set(connection, pending);
    const channels = this.#channelsOf.get(connection) ?? new Set();
    this.#channelsOf.set(connection, channels.add(channel));
  }

  /** Undoes {@link add} and returns what it added; undefined if the client does not wait for the channel. */
  remove(connection: Connection, channel: SubscribedChannel): PendingSubscription | undefined {
    const pending = channel.waiting.get(connection);
    if (pending !== undefined) this.#stop(connection, channel);
    return pending;
  }

  /** The names of the channels that a client waits for. */
  channelsOf(connection: Connection): string[] {
    return Array.from(this.#channelsOf.get(connection) ?? [], ({ name }) => name);
  }

  /** Removes a client. Returns the channels that it waited for. */
  removeClient(connection: Connection): SubscribedChannel[] {
    const channels = [...(this.#channelsOf.get(connection) ?? [])];
    for (const channel of channels) this.#stop(connection, channel);
    return channels;
  }

  /** Removes a channel that ended. Returns what its clients waited for. */
  removeChannel(channel: SubscribedChannel): PendingSubscription[] {
    const pending = [...channel.waiting.values()];
    for (const connection of [...channel.waiting.keys()]) this.#stop(connection, channel);
    this.#late.delete(channel);
    this.#admission.remove(channel);
    if (channel.isReading) this.#admission.endRead(undefined);
    return pending;
  }

  /** Lets a client join an acknowledged channel, or wait for what it must be sent. Appends to `joined` unless it waits. */
  join(
    connection: Connection,
    channel: SubscribedChannel,
    pending: PendingSubscription,
    joined: Joined[],
  ): void {
    const from = this.#joinOrWait(connection, channel, pending, joined);
    if (from !== undefined) this.#read(channel, from);
    this.#parts.onIdle(channel);
  }

  /**
   * Lets all clients that wait join, as far as possible now, and reads for the others.
   *
   * @param until ms on the monotonic clock, after which the rest waits for another turn. Must not be given if a read was just
   *   stored for them: a read is forgotten when this returns.
   * @returns whether clients are left.
   */
  joinAll(channel: SubscribedChannel, joined: Joined[], until = Number.POSITIVE_INFINITY): boolean {
    this.#admission.remove(channel);
    const offsets: number[] = [];
    const waiting = [...channel.waiting];
    let taken = 0;
    for (const [connection, pending] of waiting) {
      if (taken > 0 && performance.now() >= until) break;
      taken += 1;
      this.#stop(connection, channel);
      const from = this.#joinOrWait(connection, channel, pending, joined);
      if (from !== undefined) offsets.push(from);
    }
    channel.replaySource.forgetRead();
    if (offsets.length > 0) this.#read(channel, Math.min(...offsets));
    if (taken < waiting.length) this.#admission.delay(channel);
    this.#parts.onIdle(channel);
    return taken < waiting.length;
  }

  /** Counts a second of waiting. Call {@link serve} afterwards, for clients that have waited too long. */
  countSecond(): void {
    for (const channel of this.#admission.delayed) {
      if (channel.countDelayedSecond() >= MAX_DELAY_SECONDS) this.#late.add(channel);
    }
  }

  /**
   * Lets clients that have waited too long join without a replay, and others if there is memory again, over several turns.
   *
   * @param until ms on the monotonic clock, after which no further client is served.
   * @returns whether clients may be left.
   */
  serve(until: number): boolean {
    for (const channel of this.#late) {
      if (this.#serveSome(channel, until)) return true;
      this.#late.delete(channel);
      if (performance.now() >= until) return true;
    }
    return this.#resume(until);
  }

  /** Serves channels that waited for memory, or for their turn to read. Returns whether time ran out. */
  #resume(until: number): boolean {
    const admission = this.#admission;
    for (let next = admission.takeNext(); next !== undefined; next = admission.takeNext()) {
      if (this.#serveSome(next, until) || performance.now() >= until) return true;
    }
    return false;
  }

  #serveSome(channel: SubscribedChannel, until: number): boolean {
    const joined: Joined[] = [];
    const isLeft = this.joinAll(channel, joined, until);
    sendReplies(joined);
    return isLeft;
  }

  /** Lets a client join, or wait. Returns the offset from which history must be read for it, if it must. */
  #joinOrWait(
    connection: Connection,
    channel: SubscribedChannel,
    pending: PendingSubscription,
    joined: Joined[],
  ): number | undefined {
    const { wire, replaySource } = channel;
    if (wire === undefined) return undefined;
    const { membership, charges, onRecovered } = this.#parts;
    const plan = this.#plan(pending, channel);
    if (plan !== 'delayed' && !charges.admits(connection, pending, replaySource, plan)) {
      onRecovered('rate_limited');
      joined.push(rejected(connection, pending, 'rate_limited', charges.waitMs(connection)));
      return undefined;
    }
    if (plan !== 'delayed' && plan.kind === 'reject') {
      onRecovered(plan.code);
      charges.chargeActual(connection, pending, undefined, plan.code);
      joined.push(rejected(connection, pending, plan.code));
      return undefined;
    }
    if (plan === 'delayed' || plan.kind !== 'replay') {
      this.add(connection, channel, pending);
      if (plan === 'delayed') this.#admission.delay(channel);
      else if (plan.kind === 'read') return plan.from;
      else this.#confirmEnd(connection, channel, pending);
      return undefined;
    }
    const { latest } = pending.request;
    const isRaw = this.#readsRaw(connection, channel.name, pending);
    membership.join(connection, channel.name, latest?.everyMs, isRaw);
    if (plan.recovered !== undefined) onRecovered(plan.reason ?? 'recovered');
    const position = channel.answerFor(connection, latest);
    const replay = replaySource.takeLatest(plan.offsets);
    replay?.excerpt.hold();
    pending.reply.addSubscribed({ ...position, ...outcomeOf(plan, replay?.count ?? 0) });
    for (const other of pending.others) other.addSubscribed(position);
    charges.chargeActual(connection, pending, replay, plan.reason);
    // Conflation tells references to the clients that have the latest, when they need them.
    const isTold = connection.format.isBinary && !isRaw && latest === undefined;
    const reference = isTold ? channel.referenceFrame : undefined;
    if (reference !== undefined) charges.chargeReference(connection, reference.length);
    joined.push({ connection, pending, replay, reference });
    return undefined;
  }

  /** Whether a client may not be told references, since each is a publication of the past: it lacks the right, or the budget. */
  #readsRaw(connection: Connection, name: string, pending: PendingSubscription): boolean {
    if (!connection.format.isBinary) return false;
    return (
      !allowsPast(connection.session.rights, name) ||
      !this.#parts.charges.admitsReference(connection, pending)
    );
  }

  /** Returns `delayed` if there is no memory for the replay. A replay that was just read is always admitted, so that it is read once. */
  #plan(pending: PendingSubscription, channel: SubscribedChannel) {
    const { request, progress, delayedSeconds, reply } = pending;
    const { replaySource } = channel;
    const { rights } = reply.connection.session;
    const maxHistory = Math.min(this.#parts.maxHistory, rights.maxHistory);
    const refusal = historyRefusal(rights, request);
    if (refusal !== undefined) return notRecovered(refusal);
    if (delayedSeconds >= MAX_DELAY_SECONDS) return notRecovered('unavailable');
    let plan = planReplay(request, replaySource, maxHistory, progress);
    if (plan.kind === 'read' && this.memory.maxBytes === 0) {
      const failed = { ...progress, failure: 'history_too_long' } as const;
      plan = planReplay(request, replaySource, maxHistory, failed);
    }
    if (plan.kind !== 'replay' || plan.offsets === 0 || replaySource.hasReadAnswer) return plan;
    return this.memory.hasRoom ? plan : 'delayed';
  }

  /** A channel has one read at a time. A client that needs more than its answer causes another read after it. */
  #read(channel: SubscribedChannel, from: number): void {
    if (channel.isReading) return;
    if (!this.#admission.mayRead) {
      this.#admission.delay(channel);
      return;
    }
    this.#admission.beginRead();
    channel.beginRead(from);
    this.#parts.feed.readHistory(channel.name, from, (answer) => this.#endRead(channel, answer));
  }

  /** Takes the hub's answer to a read, and lets all clients that wait join. */
  #endRead(channel: SubscribedChannel, answer: HistoryAnswer): void {
    this.#admission.endRead(channel.endRead(answer));
    const joined: Joined[] = [];
    this.joinAll(channel, joined);
    sendReplies(joined);
  }

  /** Asks the hub where the channel ends, once for a client: it may be further than this node knows. */
  #confirmEnd(
    connection: Connection,
    channel: SubscribedChannel,
    pending: PendingSubscription,
  ): void {
    const { progress } = pending;
    if (progress.end !== 'unread') return;
    progress.end = 'pending';
    this.#parts.feed.confirmEnd(channel.name, (code) => {
      if (channel.waiting.get(connection) !== pending) return;
      if (code === undefined) progress.end = 'read';
      else progress.failure = code;
      this.#stop(connection, channel);
      const joined: Joined[] = [];
      this.join(connection, channel, pending, joined);
      sendReplies(joined);
    });
  }

  #stop(connection: Connection, channel: SubscribedChannel): void {
    channel.waiting.delete(connection);
    if (channel.waiting.size === 0) this.#admission.remove(channel);
    const channels = this.#channelsOf.get(connection);
    channels?.delete(channel);
    if (channels?.size === 0) this.#channelsOf.delete(connection);
  }
}

/** Adds a rejection to all replies of a subscription, and returns it for {@link sendReplies}. */
function rejected(
  connection: Connection,
  pending: PendingSubscription,
  code: ErrorCode,
  retryAfterMs?: number,
): Joined {
  for (const reply of [pending.reply, ...pending.others]) {
    reply.addRejected(pending.request.channel, code, retryAfterMs);
  }
  return { connection, pending, replay: undefined };
}

/** Sends all replies, then the references of their binary publications, and then schedules the replays that they promise. */
export function sendReplies(joined: readonly Joined[]): void {
  for (const { pending } of joined) {
    pending.reply.send();
    for (const other of pending.others) other.send();
  }
  for (const { connection, reference } of joined) {
    if (reference !== undefined) connection.sendEncoded(reference);
  }
  for (const { connection, replay } of joined) {
    if (replay === undefined) continue;
    connection.scheduleReplay(replay);
    replay.excerpt.release();
  }
}

/**
 * Why a client gets nothing of the past that it asks for; undefined if it may have it. Checked when the client joins and not
 * when its request comes, because its rights may have become narrower meanwhile.
 */
function historyRefusal(rights: Rights, request: ChannelRequest): ErrorCode | undefined {
  if (request.since === undefined && request.history === undefined) return undefined;
  return allowsPast(rights, request.channel) ? undefined : 'history_not_allowed';
}
