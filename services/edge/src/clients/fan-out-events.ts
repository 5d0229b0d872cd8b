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
  /** A client said who it is, or sent a new token. `isFirst` says which. */
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
 * What a fan-out worker counts where a call per delivery would cost too much. Plain numbers that
 * only grow; the metrics read them when they are asked.
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
  /** Bytes by which binary publications were shorter than text ones would have been, over all clients whose queues took them. References, which cost some of it, are not counted. */
  savedBytes: number;
  /** Publications that subscriptions to the latest were not sent, because a newer one came within the interval. */
  skipped: number;
}

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
