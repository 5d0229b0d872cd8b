import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

/** The most pages that are open at a time. */
export const MAX_VIEWERS = 100;

/** A viewer with more bytes than this that are not sent yet misses messages until it has read: it is paused, or far away. */
const MAX_BUFFERED_BYTES = 1_048_576;

/** A viewer sends what it looks at: three short texts. */
const MAX_MESSAGE_BYTES = 4_096;

/** What a viewer may send: more than somebody who types. A viewer that sends more is ended. */
const MESSAGES_PER_MINUTE = 600;

/** Time over which a viewer's messages are counted, in ms. */
const COUNTED_MS = 60_000;

/** A page whose login has ended is closed with this code. It then asks who is there. */
export const SESSION_ENDED = 4_401;

/** One page. */
export interface Viewer {
  /** Sends a text, unless the page has not read what it was sent before. */
  send(text: string | Buffer): void;
}

/** Hears what pages do. */
export interface ViewerListener {
  /** What a page that has just been opened is sent first. */
  first(): string;
  asked(viewer: Viewer, text: string): void;
  left(viewer: Viewer): void;
  /** A page was closed because its login has ended. */
  sessionEnded(): void;
}

/** The pages that are open. What is sent to several is encoded once. */
export class Viewers {
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });
  readonly #listener: ViewerListener;
  /** When the login of a page ends, in ms of the wall clock. */
  readonly #endsAt = new Map<WebSocket, number>();

  constructor(listener: ViewerListener) {
    this.#listener = listener;
  }

  get count(): number {
    return this.#server.clients.size;
  }

  get isFull(): boolean {
    return this.count >= MAX_VIEWERS;
  }

  /**
   * Accepts a page. From then on it gets everything that is sent to all.
   *
   * @param endsAt when its login ends, in ms of the wall clock; undefined if no login is needed.
   */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, endsAt: number | undefined): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket: WebSocket) => {
      const viewer: Viewer = { send: (text) => send(webSocket, text) };
      let messages = 0;
      let countedSince = performance.now();
      webSocket.on('error', () => webSocket.terminate());
      if (endsAt !== undefined) this.#endsAt.set(webSocket, endsAt);
      webSocket.on('close', () => {
        this.#endsAt.delete(webSocket);
        this.#listener.left(viewer);
      });
      webSocket.on('message', (data, isBinary) => {
        const now = performance.now();
        if (now - countedSince > COUNTED_MS) {
          countedSince = now;
          messages = 0;
        }
        messages += 1;
        if (webSocket.readyState !== webSocket.OPEN) return;
        if (isBinary || messages > MESSAGES_PER_MINUTE) webSocket.terminate();
        else this.#listener.asked(viewer, String(data));
      });
      webSocket.send(this.#listener.first());
    });
  }

  /** Sends a text to all that can take it now. */
  send(text: string): void {
    const bytes = Buffer.from(text);
    for (const webSocket of this.#server.clients) send(webSocket, bytes);
  }

  /**
   * Closes the pages whose login has ended: a handshake is not the last time that somebody must be logged in. Must be called once
   * a second.
   *
   * @param now ms of the wall clock.
   */
  endSessions(now: number): void {
    for (const [webSocket, endsAt] of this.#endsAt) {
      if (endsAt > now) continue;
      this.#endsAt.delete(webSocket);
      webSocket.close(SESSION_ENDED, 'session_ended');
      this.#listener.sessionEnded();
    }
  }

  /** Ends all. */
  stop(): void {
    for (const webSocket of this.#server.clients) webSocket.terminate();
    this.#server.close();
  }
}

function send(webSocket: WebSocket, text: string | Buffer): void {
  const isBehind = webSocket.bufferedAmount > MAX_BUFFERED_BYTES;
  if (webSocket.readyState === webSocket.OPEN && !isBehind) webSocket.send(text, { binary: false });
}
