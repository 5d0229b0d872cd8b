import { LEFT_SERVERS_KEPT } from '../redis-limits.ts';

/**
 * Which servers a link has left, and for which answer. A name service or the Sentinels may lead elsewhere by
 * then; where they lead back, the same answer is no reason to leave again: that finds nothing, and each time
 * costs what is published meanwhile.
 */
export class LeftServers {
  readonly #againAfterMs: number;
  /** Server and answer → when it was left. */
  readonly #left = new Map<string, number>();

  /** @param againAfterMs how long a departure counts, in ms; Infinity: until {@link forget}. */
  constructor(againAfterMs: number) {
    this.#againAfterMs = againAfterMs;
  }

  /** Whether leaving `server` for `code` may find something. @param now ms of a clock that does not jump. */
  mayLeave(server: string, code: string, now: number): boolean {
    const leftAt = this.#left.get(`${server} ${code}`);
    return leftAt === undefined || now - leftAt >= this.#againAfterMs;
  }

  left(server: string, code: string, now: number): void {
    this.#left.set(`${server} ${code}`, now);
    const [oldest] = this.#left.keys();
    if (this.#left.size > LEFT_SERVERS_KEPT && oldest !== undefined) this.#left.delete(oldest);
  }

  /** The state has ended: the next time it is news again. */
  forget(): void {
    this.#left.clear();
  }
}
