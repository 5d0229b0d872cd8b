import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Handshake } from '../../bench/load/wire/handshake.ts';
import { clientFrame } from './frames.ts';

/** How long a handshake may take, in ms, also on a busy machine. */
const HANDSHAKE_MS = 20_000;

/** Bytes that may be buffered here for a server that does not read. Above it nothing more is sent. */
const MOST_WAITING = 256 * 1024;

/** A client that sends arbitrary bytes, reads everything, and counts bytes both ways, handshake included. */
export class FuzzClient implements Disposable {
  /** ms of `performance.now()`. */
  readonly openedAt = performance.now();
  readonly #socket: Socket;
  #isOpen = true;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#isOpen = false;
    });
    socket.on('end', () => socket.destroy());
    socket.on('data', (bytes) => {
      // The server's ping has no payload, and is alone or last in what is read.
      if (bytes.at(-2) === 0x89 && bytes.at(-1) === 0) this.send(clientFrame('pong', ''));
    });
  }

  /**
   * Rejects if the server does not upgrade.
   *
   * @param reads whether it reads what it is sent.
   */
  static async connect(wsUrl: string, reads = true): Promise<FuzzClient> {
    const url = new URL(wsUrl);
    const handshake = new Handshake(url);
    const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    socket.setTimeout(HANDSHAKE_MS, () => socket.destroy(new Error('no answer to the handshake')));
    await once(socket, 'connect');
    socket.write(handshake.request);
    let read = Buffer.alloc(0);
    for (;;) {
      const [bytes] = (await once(socket, 'data')) as [Buffer];
      read = Buffer.concat([read, bytes]);
      const answer = handshake.read(read);
      if (answer === undefined) continue;
      if (!answer.accepted) throw new Error(answer.reason);
      socket.setTimeout(0);
      const client = new FuzzClient(socket);
      if (!reads) socket.pause();
      return client;
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether the server has not yet read a part of what was sent. */
  get isFull(): boolean {
    return this.#socket.writableLength > MOST_WAITING;
  }

  /** Bytes sent to the server. */
  get sentBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  /** Bytes received from the server. */
  get receivedBytes(): number {
    return this.#socket.bytesRead;
  }

  send(bytes: Buffer): void {
    if (this.#isOpen) this.#socket.write(bytes);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
