import type { CloseReason, ErrorCode, GapReason } from '@tradewind/protocol';
import type { Limited } from '../limits.ts';
import type { AuthenticationFault } from './authentication.ts';
import type { Session } from './session/session.ts';
import type { RecoveryOutcome } from './subscriptions/waiting-clients.ts';

/** What a fan-out worker reports to telemetry. */
export interface FanOutEvents {
  clientOpened(session: Session): void;
  clientClosed(reason: CloseReason, session: Session): void;
  requestRejected(code: ErrorCode): void;
  /** A token was accepted. `isFirst` says whether it is the client's first one, or a new one. */
  identified(session: Session, isFirst: boolean): void;
  tokenRefused(fault: AuthenticationFault, session: Session): void;
  /** A connection is closed because its token was revoked. */
  sessionRevoked(session: Session): void;
  limited: Limited;
  /** A client asked to continue a channel, or for its history. */
  recovered(outcome: RecoveryOutcome): void;
  /** This many clients are told that they miss publications. */
  gapTold(reason: GapReason, clients: number): void;
  /** This many clients are told that a channel begins a new epoch. */
  resyncTold(clients: number): void;
  /** The time from a publication's timestamp until the sockets had it, in ms. */
  delivered(lagMs: number): void;
}

/**
 * What a fan-out worker counts because a call for each delivery would cost too much. The numbers only grow, and a scrape of
 * the metrics reads them.
 */
export interface FanOutStatistics {
  /** Subscribers that delivery loops visited: 500 for one publication to 500. */
  broadcastIterations: number;
  /** Channels looked up in the subscription index. */
  indexLookups: number;
  /** Publications queued for a client. */
  deliveries: number;
  /** Publications that a client's full queue refused. */
  refusals: number;
  /** Refused publications that were queued after all, from the publication log. */
  caughtUp: number;
  /**
   * Bytes by which binary publications were shorter than text ones would have been, over all clients whose queues took them.
   * The bytes of references are not subtracted.
   */
  savedBytes: number;
  /** Publications that subscriptions to the latest were not sent, because a newer one came within the interval. */
  skipped: number;
}

/** Statistics that have counted nothing. The caller owns them. */
export function createFanOutStatistics(): FanOutStatistics {
  return {
    broadcastIterations: 0,
    indexLookups: 0,
    deliveries: 0,
    refusals: 0,
    caughtUp: 0,
    savedBytes: 0,
    skipped: 0,
  };
}
