import { oncePerFormat } from '../../outbound/wire-format.ts';
import type { Connection } from './connection.ts';

/**
 * Tells all clients of a worker whether the node is cut off from Redis, over several turns of the event loop. A client is told
 * the state that holds when its turn comes, and only if it was told another one before. So no client hears of an older state
 * after a newer one, and exactly the clients that were told `degraded` are told `restored`.
 */
export class StateNotices {
  readonly #connections: ReadonlySet<Connection>;
  /** Returns the notice for a client, or undefined if none of its channels is cut off. Undefined while the node is not degraded. */
  #degraded: ((connection: Connection) => Uint8Array | undefined) | undefined;
  /** The clients whose turn has not come yet. */
  #untold: Iterator<Connection> | undefined;

  /** @param connections all connections of the worker. Their owner keeps the set up to date. */
  constructor(connections: ReadonlySet<Connection>) {
    this.#connections = connections;
  }

  /** Sets the state. Call {@link sendSome} to tell it. `since` is in ms since the Unix epoch. */
  setDegraded(since: number): void {
    const noticeIn = oncePerFormat((format) => format.encodeControl({ type: 'degraded', since }));
    this.#degraded = ({ format }) => noticeIn(format);
    this.#untold = this.#connections.values();
  }

  /**
   * Sets the state: only these channels are cut off. Each client is told which of its own channels are among them, and nothing if
   * none is. Call {@link sendSome} to tell it. `since` is in ms since the Unix epoch.
   *
   * @param channelsOf the channels that a client holds when its turn comes.
   */
  setCutOff(
    since: number,
    channels: readonly string[],
    channelsOf: (connection: Connection) => readonly string[],
  ): void {
    const cutOff = new Set(channels);
    this.#degraded = (connection) => {
      const own = channelsOf(connection).filter((channel) => cutOff.has(channel));
      if (own.length === 0) return undefined;
      return connection.format.encodeControl({ type: 'degraded', since, channels: own });
    };
    this.#untold = this.#connections.values();
  }

  /** Sets the state. Call {@link sendSome} to tell it. */
  setRestored(): void {
    this.#degraded = undefined;
    this.#untold = this.#connections.values();
  }

  /** Tells one client the state, unless it was told that state last. */
  sendTo(connection: Connection): void {
    connection.sendState(this.#degraded?.(connection));
  }

  /**
   * Tells the clients whose turn has not come yet.
   *
   * @param until ms on the monotonic clock, after which no further client is told.
   * @returns whether clients are left.
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
