import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '../clients/connection.ts';
import { inTurns } from '../clients/turn-budget.ts';

/** When one client is told to go and when it is closed, in ms from the start of the notices. */
export interface Departure {
  readonly afterMs: number;
  readonly deadlineMs: number;
}

interface Leaving {
  readonly connection: Connection;
  readonly departure: Departure;
}

/** Of the time for the clients, the part over which their new connections are spread. */
const NOTICE_SHARE = 0.5;

/** How often connections that are due are closed, in ms. */
const CLOSE_INTERVAL_MS = 50;

/**
 * Spreads clients evenly over a drain. Each is to open its new connection at its `afterMs`, spread
 * over the first half of the time, and keeps the old one for another half: so the other nodes see
 * an even stream of handshakes, and nobody is without a connection.
 *
 * @param index the client's place, 0 ≤ index < count.
 * @param windowMs the time for all clients.
 */
export function planDeparture(index: number, count: number, windowMs: number): Departure {
  const afterMs = Math.floor((windowMs * NOTICE_SHARE * index) / count);
  return { afterMs, deadlineMs: afterMs + Math.floor(windowMs * (1 - NOTICE_SHARE)) };
}

/**
 * Sends all clients away within `windowMs`: a notice to each, then, at its own deadline, a close
 * after all that was queued for it. Returns when the last deadline is past or everyone has left.
 *
 * @param hurry aborts to close everyone at once.
 */
export async function sendAway(
  connections: ReadonlySet<Connection>,
  windowMs: number,
  hurry: AbortSignal,
): Promise<void> {
  const leaving: readonly Leaving[] = [...connections].map((connection, index, { length }) => ({
    connection,
    departure: planDeparture(index, length, windowMs),
  }));
  const startedAt = performance.now();
  await inTurns(leaving, ({ connection, departure }) => {
    connection.send({ type: 'reconnect', ...departure, reason: 'draining' });
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

/** Waits until all connections are gone, at most `deadlineMs`; says whether they are. */
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
