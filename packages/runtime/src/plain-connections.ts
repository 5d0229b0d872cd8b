import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * The connections of an HTTP server that were not upgraded, and which of them goes when there are too
 * many. A connection on which nothing is being answered can always go: whoever opens thousands only
 * pushes out its own, and a handshake, which waits for a moment, is among the last to go.
 */
export class PlainConnections {
  readonly #most: number;
  /** Those whose next request has not come yet, or has not come whole; the longest wait first. */
  readonly #waiting = new Set<Socket>();
  /** Those with requests that are being answered. */
  readonly #busy = new Map<Socket, Set<ServerResponse>>();

  /** @param most how many there may be. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether a further connection would have to go at once. */
  get isFull(): boolean {
    return (
      this.#waiting.size === 0 && this.#busy.size >= this.#most && this.#unread() === undefined
    );
  }

  /** Counts a connection in. Returns the one that must go for it, perhaps itself; the caller ends it. */
  opened(socket: Socket): Socket | undefined {
    if (this.#waiting.size + this.#busy.size < this.#most) {
      this.#waiting.add(socket);
      return undefined;
    }
    const [longest] = this.#waiting;
    const leaves = longest ?? this.#unread();
    if (leaves === undefined) return socket;
    this.forget(leaves);
    this.#waiting.add(socket);
    return leaves;
  }

  /** A request has come whole, but for its body, and is being answered. */
  asked(socket: Socket, response: ServerResponse): void {
    this.#waiting.delete(socket);
    const responses = this.#busy.get(socket);
    if (responses === undefined) this.#busy.set(socket, new Set([response]));
    else responses.add(response);
  }

  /** The answer is done, or will never be. */
  answered(socket: Socket, response: ServerResponse): void {
    const responses = this.#busy.get(socket);
    if (responses === undefined) return;
    responses.delete(response);
    if (responses.size > 0) return;
    this.#busy.delete(socket);
    if (!socket.destroyed) this.#waiting.add(socket);
  }

  /** The connection is gone, or speaks another protocol now. */
  forget(socket: Socket): void {
    this.#waiting.delete(socket);
    this.#busy.delete(socket);
  }

  /** One whose peer does not read what it was answered. */
  #unread(): Socket | undefined {
    for (const [socket, responses] of this.#busy) {
      if ([...responses].every((response) => response.writableEnded)) return socket;
    }
    return undefined;
  }
}
