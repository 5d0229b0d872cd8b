import { type FoundClient, MAX_FOUND_CLIENTS } from '@tradewind/bus';
import type { CloseReason } from '@tradewind/protocol';
import type { Session } from '../clients/session/session.ts';
import { matchesSession, shownSession } from './shown-session.ts';

/** How many ended clients a worker remembers: operators ask about one within minutes, and each takes some 200 bytes. */
export const KEPT_ENDS = 1_000;

/** The reasons of ends that need no attention: the client left, or was sent away. */
const EXPECTED_REASONS: ReadonlySet<CloseReason> = new Set(['normal', 'going_away', 'draining']);

/** The clients of a worker that ended last, and why they did. */
export class EndedClients {
  readonly #ends: FoundClient[] = [];
  #next = 0;

  /** Remembers a client that has ended, and forgets the oldest one beyond {@link KEPT_ENDS}. */
  add(reason: CloseReason, session: Session): void {
    this.#ends[this.#next] = {
      ...shownSession(session),
      ...{ channels: 0, queue: 0, stalledMs: 0, isBehind: false, endedAt: Date.now(), reason },
    };
    this.#next = (this.#next + 1) % KEPT_ENDS;
  }

  /** The clients that a search finds, the latest first; see {@link matchesSession}. */
  find(text: string): readonly FoundClient[] {
    return this.#latest((end) => matchesSession(text, end));
  }

  /** The clients that ended for other than expected reasons, the latest first. */
  unexpected(): readonly FoundClient[] {
    return this.#latest(({ reason }) => reason !== undefined && !EXPECTED_REASONS.has(reason));
  }

  #latest(isWanted: (end: FoundClient) => boolean): readonly FoundClient[] {
    const found: FoundClient[] = [];
    for (let back = 1; back <= this.#ends.length; back += 1) {
      const end = this.#ends[(this.#next - back + KEPT_ENDS) % KEPT_ENDS];
      if (end !== undefined && isWanted(end)) found.push(end);
      if (found.length === MAX_FOUND_CLIENTS) break;
    }
    return found;
  }
}
