import { SubscriptionIndex } from '@tradewind/fanout';
import { type ErrorCode, LATEST_INTERVALS_MS } from '@tradewind/protocol';
import type { Connection } from '../connection/connection.ts';

/**
 * Why a client no longer receives a channel: it unsubscribed, its connection ended, or the code that the client is
 * told.
 */
export type LeaveReason = 'unsubscribed' | 'disconnected' | ErrorCode;

/** Hears of each change right after it was made. A listener must not change the membership. */
export interface MembershipListener {
  /** @param everyMs how often the client has the latest publication; undefined if it has all of them. */
  onJoined?(connection: Connection, channel: string, everyMs: number | undefined): void;
  /** The client keeps the channel and has it in another way. */
  onChanged?(connection: Connection, channel: string, everyMs: number | undefined): void;
  onLeft?(connection: Connection, channel: string, reason: LeaveReason): void;
}

/** The index for all readers: only {@link Membership} writes to it. */
export type ReadableIndex = Pick<
  SubscriptionIndex<Connection>,
  | 'channels'
  | 'subscriptions'
  | 'get'
  | 'audience'
  | 'channelsOf'
  | 'count'
  | 'held'
  | 'has'
  | 'groupOf'
  | 'counts'
>;

/**
 * Who receives which channel on one worker, and whether all of it or the latest in each interval: the only writer of the worker's
 * {@link SubscriptionIndex}. The first groups of the index are the formats. A group for each interval follows, of clients of any
 * format that have the latest in it, so a delivery to those who want all visits nobody else. All these groups exist a second time
 * for clients that read raw.
 */
export class Membership {
  readonly #index = new SubscriptionIndex<Connection>();
  readonly #listeners: MembershipListener[] = [];
  readonly #formats: number;
  /** The number of groups of clients that may be told references. */
  readonly #groups: number;

  /** @param formats how many formats clients may speak. */
  constructor(formats = 1) {
    this.#formats = formats;
    this.#groups = formats + LATEST_INTERVALS_MS.length;
  }

  /** The index, not a copy. */
  get index(): ReadableIndex {
    return this.#index;
  }

  /** Adds a listener for good. Listeners are called in the order in which they were added. */
  listen(listener: MembershipListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Adds a subscription. The client must not hold the channel yet, and the caller must answer it in the same step.
   *
   * @param everyMs how often the client has the latest publication; undefined if it has all of them.
   * @param isRaw whether the client is sent no references of the channel; it stays so while it holds the channel.
   */
  join(connection: Connection, channel: string, everyMs?: number, isRaw = false): void {
    if (!this.#index.add(channel, connection, this.#groupOf(connection, everyMs, isRaw))) return;
    for (const listener of this.#listeners) listener.onJoined?.(connection, channel, everyMs);
  }

  /** Changes how a client has a channel that it holds. What it was sent or refused so far stays as it is. */
  change(connection: Connection, channel: string, everyMs: number | undefined): void {
    if (this.everyMsOf(connection, channel) === everyMs) return;
    const isRaw = !this.readsReferences(connection, channel);
    if (!this.#index.remove(channel, connection)) return;
    this.#index.add(channel, connection, this.#groupOf(connection, everyMs, isRaw));
    for (const listener of this.#listeners) listener.onChanged?.(connection, channel, everyMs);
  }

  /** The group of the clients of a format that have all of a channel and are told no references. */
  rawGroup(group: number): number {
    return this.#groups + group;
  }

  /** Whether a client that holds a channel is told its references. False if it does not hold it. */
  readsReferences(connection: Connection, channel: string): boolean {
    const group = this.#index.groupOf(channel, connection);
    return group !== undefined && group < this.#groups;
  }

  /** Makes a client read a channel raw, if it holds it: it is told no references of the channel any more. */
  readRaw(connection: Connection, channel: string): void {
    if (!this.readsReferences(connection, channel)) return;
    const group = this.#groupOf(connection, this.everyMsOf(connection, channel), true);
    this.#index.remove(channel, connection);
    this.#index.add(channel, connection, group);
  }

  /** How often a client has the latest publication of a channel; undefined if it has all of them, or none. */
  everyMsOf(connection: Connection, channel: string): number | undefined {
    const group = (this.#index.groupOf(channel, connection) ?? 0) % this.#groups;
    return group < this.#formats ? undefined : LATEST_INTERVALS_MS[group - this.#formats];
  }

  /**
   * Takes a channel from one client. With a code as the reason the client is told `unsubscribed`; a client that asked for
   * it is answered by the caller.
   *
   * @returns false if the client did not hold the channel.
   */
  leave(connection: Connection, channel: string, reason: 'unsubscribed' | ErrorCode): boolean {
    if (!this.#remove(connection, channel, reason)) return false;
    if (reason !== 'unsubscribed') tell(connection, [channel], reason);
    return true;
  }

  /** Takes channels from all clients. Each client is told of all that it held in one frame. */
  leaveTogether(channels: readonly string[], reason: ErrorCode): void {
    const taken = new Map<Connection, string[]>();
    for (const channel of channels) {
      for (const connection of this.#index.get(channel)) {
        this.#remove(connection, channel, reason);
        const names = taken.get(connection) ?? [];
        taken.set(connection, names);
        names.push(channel);
      }
    }
    for (const [connection, names] of taken) tell(connection, names, reason);
  }

  /** Takes all channels from a client whose connection ends. It is told nothing. */
  leaveAll(connection: Connection): void {
    for (const channel of this.#index.removeClient(connection)) {
      this.#tellListeners(connection, channel, 'disconnected');
    }
  }

  #groupOf(connection: Connection, everyMs: number | undefined, isRaw: boolean): number {
    const first = isRaw ? this.#groups : 0;
    if (everyMs === undefined) return first + connection.group;
    return first + this.#formats + LATEST_INTERVALS_MS.indexOf(everyMs);
  }

  #remove(connection: Connection, channel: string, reason: LeaveReason): boolean {
    if (!this.#index.remove(channel, connection)) return false;
    connection.outbox.leave(channel);
    this.#tellListeners(connection, channel, reason);
    return true;
  }

  #tellListeners(connection: Connection, channel: string, reason: LeaveReason): void {
    for (const listener of this.#listeners) listener.onLeft?.(connection, channel, reason);
  }
}

function tell(connection: Connection, channels: readonly string[], reason: ErrorCode): void {
  connection.send({ type: 'unsubscribed', channels, reason });
}
