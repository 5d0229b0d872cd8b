import type { FanOut } from '../clients/fan-out.ts';
import { inTurns } from '../clients/time/turn-budget.ts';

/** The most sessions that a list names. Further sessions are only counted. */
export const LISTED_SESSIONS = 1_000;

/** A session of a subject, for operators. */
export interface ListedSession {
  /** As in `welcome`, and in logs. */
  readonly session: string;
  /** The client's IP address; empty if the node does not know it. */
  readonly address: string;
  /** The `jti` of its token; null without one. */
  readonly tokenId: string | null;
  /** Since when it has had an identity, in ms since the Unix epoch. */
  readonly since: number;
  /** When its token ends, in ms since the Unix epoch. */
  readonly expiresAt: number;
  /** Channels that it holds. */
  readonly channels: number;
}

/** The sessions of one subject, on one worker or on several together. */
export interface SessionList {
  readonly total: number;
  /** At most {@link LISTED_SESSIONS}. */
  readonly sessions: readonly ListedSession[];
}

/** Lists the sessions of a subject on one worker. It takes several turns of the event loop. */
export async function listSessions(fanOut: FanOut, subject: string): Promise<SessionList> {
  const sessions: ListedSession[] = [];
  let total = 0;
  await inTurns(fanOut.connections, (connection) => {
    const { id, identity, address } = connection.session;
    const { current } = identity ?? {};
    if (identity === undefined || current?.subject !== subject || !connection.isOpen) return;
    total += 1;
    if (sessions.length >= LISTED_SESSIONS) return;
    sessions.push({
      session: id,
      address,
      tokenId: current.tokenId ?? null,
      since: identity.identifiedAt,
      expiresAt: current.expiresAt,
      channels: fanOut.index.held(connection),
    });
  });
  return { total, sessions };
}

/** Adds up the lists of several workers. */
export function addSessionLists(lists: readonly SessionList[]): SessionList {
  return {
    total: lists.reduce((sum, { total }) => sum + total, 0),
    sessions: lists.flatMap(({ sessions }) => sessions).slice(0, LISTED_SESSIONS),
  };
}
