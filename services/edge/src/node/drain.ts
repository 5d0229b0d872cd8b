import { setTimeout as sleep } from 'node:timers/promises';
import type { ReconnectReason } from '@tradewind/protocol';
import type { Connection } from '../clients/connection/connection.ts';
import { inTurns } from '../clients/time/turn-budget.ts';

/** When a client is told to leave and when it is closed, in ms from the start of the notices. */
export interface Departure {
  readonly afterMs: number;
  readonly deadlineMs: number;
}

interface Leaving {
  readonly connection: Connection;
  readonly departure: Departure;
}

/** The share of the window over which the new connections of clients are spread. */
const NOTICE_SHARE = 0.5;

/** Time between two rounds that close the connections that are due, in ms. */
const CLOSE_INTERVAL_MS = 50;

/**
 * Spreads clients evenly over a drain. A client must open its new connection at its `afterMs`, which lies in the
 * first half of the window, and keeps its old connection for another half. So the other nodes see an even stream of
 * handshakes, and no client is without a connection.
 *
 * @param index the number of the client, 0 ≤ index < count.
 * @param windowMs the time for all clients, in ms.
 */
export function planDeparture(index: number, count: number, windowMs: number): Departure {
  const afterMs = Math.floor((windowMs * NOTICE_SHARE * index) / count);
  return { afterMs, deadlineMs: afterMs + Math.floor(windowMs * (1 - NOTICE_SHARE)) };
}

/**
 * Sends all clients away within `windowMs`. Each gets a notice, and at its own deadline a close after all that was
 * queued for it. Returns when the last deadline is past or every client has left.
 *
 * @param reason what the notice says.
 * @param hurry closes every client at once when it aborts.
 */
export async function sendAway(
  connections: ReadonlySet<Connection>,
  windowMs: number,
  reason: ReconnectReason,
  hurry: AbortSignal,
): Promise<void> {
  const leaving: readonly Leaving[] = [...connections].map((connection, index, { length }) => ({
    connection,
    departure: planDeparture(index, length, windowMs),
  }));
  const startedAt = performance.now();
  await inTurns(leaving, ({ connection, departure }) => {
    connection.send({ type: 'reconnect', ...departure, reason });
  });
  let next = 0;
  while (next < leaving.length && connections.size > 0) {
    const elapsedMs = hurry.aborted ? Number.POSITIVE_INFINITY : performance.now() - startedAt;
    let end = next;
    while (end < leaving.length && (leaving[end] as Leaving).departure.deadlineMs <= elapsedMs)
      end += 1;
    await inTurns(leaving.slice(next, end), ({ connection }) => connection.finish('draining'));
    next = end;
    await sleep(CLOSE_INTERVAL_MS);
  }
}

/** Waits at most `deadlineMs` until all connections are gone. Returns whether they are. */
export async function waitUntilGone(
  connections: ReadonlySet<Connection>,
  deadlineMs: number,
): Promise<boolean> {
  const deadline = performance.now() + deadlineMs;
  while (connections.size > 0 && performance.now() < deadline) {
    await sleep(CLOSE_INTERVAL_MS);
  }
  return connections.size === 0;
}
