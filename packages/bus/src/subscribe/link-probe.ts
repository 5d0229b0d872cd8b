import { PROBE_LATE_LIMIT, PROBE_TOKENS_KEPT, SUBSCRIPTIONS_WRONG_LIMIT } from '../redis-limits.ts';

/**
 * The result of one check of the link. `suspect`: something is wrong, but not often enough to act on. `dead`: the link
 * must be replaced. `cause` is one line for people.
 */
export type ProbeVerdict =
  | { readonly kind: 'fine' }
  | { readonly kind: 'suspect' | 'dead'; readonly cause: string };

const FINE: ProbeVerdict = { kind: 'fine' };

/**
 * Judges by probes whether publications arrive on one subscription. It is pure bookkeeping, without I/O, timers or a
 * clock. Times are ms of a monotonic clock.
 *
 * It never judges by time alone. The owner asks for a verdict when the subscriber's own connection has just answered a
 * command, one interval after the probe was published. Whatever delays the probe, such as a stall of our event loop or a
 * burst of messages, delays that answer as well.
 */
export class LinkProbe {
  readonly #makeToken: () => string;
  /** Tokens of this link that have not arrived → when each was sent, in ms; oldest first. */
  readonly #inFlight = new Map<string, number>();
  /** The latest token; undefined if it has arrived, or if its absence would prove nothing. */
  #latest: { readonly token: string; published: boolean } | undefined;
  #arrived = false;
  #lateInRow = 0;
  #wrongInRow = 0;
  #provenAt: number | undefined;

  /** @param makeToken returns a token that cannot be guessed, even from all earlier tokens. */
  constructor(makeToken: () => string) {
    this.#makeToken = makeToken;
  }

  /** When the newest probe that arrived on any link was sent, in ms; undefined before the first. */
  get provenAt(): number | undefined {
    return this.#provenAt;
  }

  /** A new link is up. Probes of the earlier link no longer count. */
  linkUp(): void {
    this.#inFlight.clear();
    this.#latest = undefined;
    this.#arrived = false;
    this.#lateInRow = 0;
    this.#wrongInRow = 0;
  }

  /** Starts the next probe and returns its token, which the owner must publish. */
  next(now: number): string {
    const token = this.#makeToken();
    this.#inFlight.set(token, now);
    for (const oldest of this.#inFlight.keys()) {
      if (this.#inFlight.size <= PROBE_TOKENS_KEPT) break;
      this.#inFlight.delete(oldest);
    }
    this.#latest = { token, published: false };
    return token;
  }

  /** Redis published the token, so it must arrive. */
  published(token: string): void {
    if (this.#latest?.token === token) this.#latest.published = true;
  }

  /** The token was not published, or may not have been: its absence proves nothing. */
  notPublished(token: string): void {
    if (this.#latest?.token === token) this.#latest = undefined;
  }

  /** A token arrived on the subscription. Returns whether it is ours and arrived for the first time. */
  received(token: string): boolean {
    const sentAt = this.#inFlight.get(token);
    if (sentAt === undefined) return false;
    this.#inFlight.delete(token);
    if (this.#latest?.token === token) this.#latest = undefined;
    this.#arrived = true;
    this.#lateInRow = 0;
    this.#provenAt = Math.max(this.#provenAt ?? sentAt, sentAt);
    return true;
  }

  /**
   * Returns the verdict of one interval. An interval in which any probe arrived is fine, also if it was an older one: data
   * that arrives late does arrive.
   *
   * @param reported how many subscriptions the connection has, as Redis reports.
   * @param expected how many it must have by Redis' earlier answers.
   */
  judge(reported: number, expected: number): ProbeVerdict {
    const arrived = this.#arrived;
    this.#arrived = false;
    const flow =
      arrived || this.#latest?.published !== true
        ? FINE
        : this.#late('a probe that was published did not arrive');
    this.#wrongInRow = reported === expected ? 0 : this.#wrongInRow + 1;
    if (this.#wrongInRow === 0 || flow.kind === 'dead') return flow;
    return {
      kind: this.#wrongInRow < SUBSCRIPTIONS_WRONG_LIMIT ? 'suspect' : 'dead',
      cause: `Redis holds ${reported} subscriptions instead of ${expected}`,
    };
  }

  #late(cause: string): ProbeVerdict {
    this.#lateInRow += 1;
    if (this.#lateInRow < PROBE_LATE_LIMIT) return { kind: 'suspect', cause };
    return { kind: 'dead', cause: `${cause}, ${this.#lateInRow} times in a row` };
  }
}
