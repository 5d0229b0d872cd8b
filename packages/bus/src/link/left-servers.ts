import { LEFT_SERVERS_KEPT } from '../redis-limits.ts';

/**
 * Which servers a link has left, and because of which error reply. A name or the Sentinels may lead to another
 * server after that. If they lead back to the same one, the same reply is no reason to leave again: the link would find
 * nothing new, and each reconnect loses what is published meanwhile.
 */
export class LeftServers {
  readonly #againAfterMs: number;
  /** Server and answer → when it was left. */
  readonly #left = new Map<string, number>();

  /** @param againAfterMs how long a server counts as left, in ms; Infinity: until {@link forget}. */
  constructor(againAfterMs: number) {
    this.#againAfterMs = againAfterMs;
  }

  /** Whether the link may leave `server` because of `code`. @param now ms of a monotonic clock. */
  mayLeave(server: string, code: string, now: number): boolean {
    const leftAt = this.#left.get(`${server} ${code}`);
    return leftAt === undefined || now - leftAt >= this.#againAfterMs;
  }

  /** Remembers that the link leaves `server` because of `code`. @param now ms of a monotonic clock. */
  left(server: string, code: string, now: number): void {
    this.#left.set(`${server} ${code}`, now);
    const [oldest] = this.#left.keys();
    if (this.#left.size > LEFT_SERVERS_KEPT && oldest !== undefined) this.#left.delete(oldest);
  }

  /** Forgets every server, because the state that made the link leave it has ended. */
  forget(): void {
    this.#left.clear();
  }
}
