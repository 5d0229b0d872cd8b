import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * The connections of an HTTP server that were not upgraded. It decides which one to close when there are too many. A
 * connection on which nothing is being answered can always be closed: a peer that opens thousands only pushes out its
 * own, and a handshake, which waits for a moment only, is among the last to be closed.
 */
export class PlainConnections {
  readonly #most: number;
  /** Connections whose next request has not arrived, or not completely, in the order in which they began to wait. */
  readonly #waiting = new Set<Socket>();
  /** Connections with requests that are being answered. */
  readonly #busy = new Map<Socket, Set<ServerResponse>>();

  /** @param most the most connections. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether one more connection would be closed at once. */
  get isFull(): boolean {
    return (
      this.#waiting.size === 0 && this.#busy.size >= this.#most && this.#unread() === undefined
    );
  }

  /** Adds a connection. Returns the connection that the caller must end for it, which may be the same one. */
  add(socket: Socket): Socket | undefined {
    if (this.#waiting.size + this.#busy.size < this.#most) {
      this.#waiting.add(socket);
      return undefined;
    }
    const [longest] = this.#waiting;
    const leaves = longest ?? this.#unread();
    if (leaves === undefined) return socket;
    this.remove(leaves);
    this.#waiting.add(socket);
    return leaves;
  }

  /** Notes that a request has arrived, except for its body, and is being answered. */
  beginAnswer(socket: Socket, response: ServerResponse): void {
    this.#waiting.delete(socket);
    const responses = this.#busy.get(socket);
    if (responses === undefined) this.#busy.set(socket, new Set([response]));
    else responses.add(response);
  }

  /** Notes that the answer is complete, or will never be. */
  endAnswer(socket: Socket, response: ServerResponse): void {
    const responses = this.#busy.get(socket);
    if (responses === undefined) return;
    responses.delete(response);
    if (responses.size > 0) return;
    this.#busy.delete(socket);
    if (!socket.destroyed) this.#waiting.add(socket);
  }

  /** Removes a connection that has ended, or that speaks another protocol now. */
  remove(socket: Socket): void {
    this.#waiting.delete(socket);
    this.#busy.delete(socket);
  }

  /** A connection whose peer does not read its answer. */
  #unread(): Socket | undefined {
    for (const [socket, responses] of this.#busy) {
      if ([...responses].every((response) => response.writableEnded)) return socket;
    }
    return undefined;
  }
}
