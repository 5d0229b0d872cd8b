import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

/** The most pages that are open at a time. */
export const MAX_VIEWERS = 100;

/** A viewer with more bytes than this that are not sent yet misses snapshots until it has read: it is paused, or far away. */
const MAX_BUFFERED_BYTES = 1_048_576;

/** A viewer sends nothing but pongs. */
const MAX_MESSAGE_BYTES = 1_024;

/** The pages that are open. What is sent is encoded once for all of them. */
export class Viewers {
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });

  get count(): number {
    return this.#server.clients.size;
  }

  get isFull(): boolean {
    return this.count >= MAX_VIEWERS;
  }

  /** Accepts a page. From then on it gets `first`, and everything that is sent. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, first: () => string): void {
    this.#server.handleUpgrade(request, socket, head, (viewer: WebSocket) => {
      viewer.on('error', () => viewer.terminate());
      viewer.send(first());
    });
  }

  /** Sends a text to all that can take it now. */
  send(text: string): void {
    const bytes = Buffer.from(text);
    for (const viewer of this.#server.clients) {
      const isBehind = viewer.bufferedAmount > MAX_BUFFERED_BYTES;
      if (viewer.readyState === viewer.OPEN && !isBehind) viewer.send(bytes, { binary: false });
    }
  }

  /** Ends all. */
  stop(): void {
    for (const viewer of this.#server.clients) viewer.terminate();
    this.#server.close();
  }
}
