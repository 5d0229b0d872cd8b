import { oncePerFormat, type WireFormat } from '../outbound/wire-format.ts';
import type { Connection } from './connection.ts';

/**
 * Tells all clients of a worker whether the node is cut off from Redis, some in a turn. A client is told the state of the
 * moment at which its turn comes, and only if it was told another one before: so it never hears of an older state behind
 * a newer one, whoever was told `degraded` is told `restored`, and nobody else is.
 */
export class StateNotices {
  readonly #connections: ReadonlySet<Connection>;
  /** Its notice in each format, while the node is degraded. */
  #degraded: ((format: WireFormat) => Uint8Array) | undefined;
  /** Who has not had their turn yet. */
  #untold: Iterator<Connection> | undefined;

  /** @param connections all of the worker's, kept up to date by their owner. */
  constructor(connections: ReadonlySet<Connection>) {
    this.#connections = connections;
  }

  /** Those who are connected are to be told: call {@link sendSome}. `since` is in ms since the Unix epoch. */
  setDegraded(since: number): void {
    this.#degraded = oncePerFormat((format) => format.encodeControl({ type: 'degraded', since }));
    this.#untold = this.#connections.values();
  }

  /** The same. */
  setRestored(): void {
    this.#degraded = undefined;
    this.#untold = this.#connections.values();
  }

  /** Tells one client of the state, unless it knows. */
  sendTo(connection: Connection): void {
    connection.sendState(this.#degraded?.(connection.format));
  }

  /**
   * Goes on telling.
   *
   * @param until ms on the monotonic clock, after which nobody else is told.
   * @returns whether someone is left.
   */
  sendSome(until: number): boolean {
    while (this.#untold !== undefined) {
      const { value, done } = this.#untold.next();
      if (done === true) {
        this.#untold = undefined;
        break;
      }
      this.sendTo(value);
      if (performance.now() >= until) return true;
    }
    return false;
  }
}
