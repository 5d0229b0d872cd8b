import { PROBE_LATE_LIMIT, PROBE_TOKENS_KEPT, SUBSCRIPTIONS_WRONG_LIMIT } from '../redis-limits.ts';

/**
 * What one look at the link found. `suspect`: something is wrong, not yet often enough to act on.
 * `dead`: the link has to be replaced. `cause` is one line for people.
 */
export type ProbeVerdict =
  | { readonly kind: 'fine' }
  | { readonly kind: 'suspect' | 'dead'; readonly cause: string };

const FINE: ProbeVerdict = { kind: 'fine' };

/**
 * Whether what is published arrives on one subscription, judged by probes of its own: pure
 * bookkeeping, without I/O, timers or a clock. Times are ms of any clock that does not jump.
 *
 * It never judges by time alone. The owner asks for a verdict when the subscription's own connection
 * has just answered a command, an interval after the probe was published. So whatever delays us,
 * a stall of our event loop or a burst of messages, has delayed that answer as well.
 */
export class LinkProbe {
  readonly #makeToken: () => string;
  /** Tokens of this link that have not arrived, oldest first, each with when it was sent. */
  readonly #underway = new Map<string, number>();
  /** The latest token, unless it has arrived or its absence would say nothing. */
  #latest: { readonly token: string; published: boolean } | undefined;
  #arrived = false;
  #lateInRow = 0;
  #wrongInRow = 0;
  #provenAt: number | undefined;

  /** @param makeToken makes what nobody can guess, not even from all that came before it. */
  constructor(makeToken: () => string) {
    this.#makeToken = makeToken;
  }

  /** When the newest probe that has arrived was sent, over all links, or undefined. */
  get provenAt(): number | undefined {
    return this.#provenAt;
  }

  /** A new link is up: nothing of the earlier one is waited for. */
  linkUp(): void {
    this.#underway.clear();
    this.#latest = undefined;
    this.#arrived = false;
    this.#lateInRow = 0;
    this.#wrongInRow = 0;
  }

  /** Begins the next probe; the owner publishes its token. */
  next(now: number): string {
    const token = this.#makeToken();
    this.#underway.set(token, now);
    for (const oldest of this.#underway.keys()) {
      if (this.#underway.size <= PROBE_TOKENS_KEPT) break;
      this.#underway.delete(oldest);
    }
    this.#latest = { token, published: false };
    return token;
  }

  /** Redis has published the token, so it is due. */
  published(token: string): void {
    if (this.#latest?.token === token) this.#latest.published = true;
  }

  /** Whether the token was published is unknown, or it surely was not: its absence says nothing. */
  notPublished(token: string): void {
    if (this.#latest?.token === token) this.#latest = undefined;
  }

  /** A token came back on the subscription. Returns whether it was one of ours, for the first time. */
  received(token: string): boolean {
    const sentAt = this.#underway.get(token);
    if (sentAt === undefined) return false;
    this.#underway.delete(token);
    if (this.#latest?.token === token) this.#latest = undefined;
    this.#arrived = true;
    this.#lateInRow = 0;
    this.#provenAt = Math.max(this.#provenAt ?? sentAt, sentAt);
    return true;
  }

  /**
   * The verdict of one interval. One in which any probe arrived, an older one included, is fine: what
   * flows slowly flows.
   *
   * @param told how many subscriptions the connection has, as Redis says.
   * @param believed how many it should have by Redis' earlier answers.
   */
  judge(told: number, believed: number): ProbeVerdict {
    const arrived = this.#arrived;
    this.#arrived = false;
    const flow =
      arrived || this.#latest?.published !== true
        ? FINE
        : this.#late('a probe that was published did not arrive');
    this.#wrongInRow = told === believed ? 0 : this.#wrongInRow + 1;
    if (this.#wrongInRow === 0 || flow.kind === 'dead') return flow;
    return {
      kind: this.#wrongInRow < SUBSCRIPTIONS_WRONG_LIMIT ? 'suspect' : 'dead',
      cause: `Redis holds ${told} subscriptions instead of ${believed}`,
    };
  }

  #late(cause: string): ProbeVerdict {
    this.#lateInRow += 1;
    if (this.#lateInRow < PROBE_LATE_LIMIT) return { kind: 'suspect', cause };
    return { kind: 'dead', cause: `${cause}, ${this.#lateInRow} times in a row` };
  }
}
