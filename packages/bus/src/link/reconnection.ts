import {
  LINK_PROVEN_MS,
  LOST_AGAIN_MAX_MS,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
  TURNED_AWAY_MAX_MS,
} from '../redis-limits.ts';

/**
 * How long one link waits before each attempt to connect: doubled each time up to a ceiling, and spread over
 * its upper half, so that a fleet does not knock in step.
 *
 * An attempt that nobody answers costs Redis nothing. Those that Redis answers, and that come to nothing all
 * the same (a wrong password, no room for a client) or not for long, are counted apart, until a link has been
 * up for some time: the two links of a node together connect less than once a second.
 */
export class Reconnection {
  readonly #random: () => number;
  #unanswered = 0;
  #answered = 0;

  /** @param random from 0 to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /**
   * The wait before the next attempt, in ms.
   *
   * @param answered whether Redis sent anything on the connection that ended, or was not made.
   * @param upMs how long the link was up on it; 0: never.
   */
  next(answered: boolean, upMs: number): number {
    if (upMs >= LINK_PROVEN_MS) this.#answered = 0;
    if (answered) {
      this.#unanswered = 0;
      return this.#spread(this.#answered++, upMs > 0 ? LOST_AGAIN_MAX_MS : TURNED_AWAY_MAX_MS);
    }
    return this.#spread(this.#unanswered++, RECONNECT_MAX_MS);
  }

  #spread(attempts: number, maxMs: number): number {
    const ceiling = Math.min(RECONNECT_MIN_MS * 2 ** attempts, maxMs);
    return Math.round(ceiling * (0.5 + this.#random() / 2));
  }
}
