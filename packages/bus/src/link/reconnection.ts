import {
  LINK_PROVEN_MS,
  LOST_AGAIN_MAX_MS,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
  TURNED_AWAY_MAX_MS,
} from '../redis-limits.ts';

/**
 * How long one link waits before each attempt to connect. The wait doubles up to a ceiling, and a random part of its
 * upper half is taken, so that the nodes of a fleet do not connect at the same moments.
 *
 * An attempt that nobody answers costs Redis nothing. Attempts that Redis answers and that still fail (a wrong
 * password, `maxclients`), or whose connection is soon lost, have a count of their own, which is reset once a link was up for
 * `LINK_PROVEN_MS`. The two links of a node together then connect less than once a second.
 */
export class Reconnection {
  readonly #random: () => number;
  #unanswered = 0;
  #answered = 0;

  /** @param random returns a number from 0 to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /**
   * The wait before the next attempt, in ms.
   *
   * @param answered whether Redis sent any byte on the connection that ended.
   * @param upMs how long the link was up on that connection, in ms; 0: never.
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
