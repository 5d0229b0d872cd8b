import { SubscriptionIndex } from '@tradewind/fanout';
import type { ErrorCode } from '@tradewind/protocol';
import type { Connection } from './connection.ts';

/**
 * Why a client no longer receives a channel: it asked for that, its connection ended, or a code, which the
 * client is told.
 */
export type LeaveReason = 'unsubscribed' | 'disconnected' | ErrorCode;

/** Hears of each change right after it was made. A listener must not change the membership itself. */
export interface MembershipListener {
  onJoined?(connection: Connection, channel: string): void;
  onLeft?(connection: Connection, channel: string, reason: LeaveReason): void;
}

/** The index as all others see it. */
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
  | 'counts'
>;

/** Who receives which channel on one worker: the only writer of its {@link SubscriptionIndex}. */
export class Membership {
  readonly #index = new SubscriptionIndex<Connection>();
  readonly #listeners: MembershipListener[] = [];

  get index(): ReadableIndex {
    return this.#index;
  }

  /** Adds a listener for good. Listeners are called in the order in which they were added. */
  listen(listener: MembershipListener): void {
    this.#listeners.push(listener);
  }

  /** Adds a subscription. The client must not hold the channel yet, and is answered by the caller in the same step. */
  join(connection: Connection, channel: string): void {
    if (!this.#index.add(channel, connection)) return;
    for (const listener of this.#listeners) listener.onJoined?.(connection, channel);
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
