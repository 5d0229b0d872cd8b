import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { JSON_SUBPROTOCOL, WEBSOCKET_PATH } from '@tradewind/protocol';
import {
  CLOSE,
  type DecodedFrame,
  FrameDecoder,
  PING,
  PONG,
  TEXT,
} from '../../outbound/testing/frame-decoder.ts';
import { until } from './deadline.ts';

const ACCEPT_SALT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const END_OF_HEADER = '\r\n\r\n';

/** The JSON of a frame of the server: a control message or a publication. */
export type Message = Readonly<Record<string, unknown>>;

/**
 * A WebSocket client on a bare socket. It answers pings, and can do what `ws` would not: stop reading, reset the
 * connection, and see each byte that arrives, even after a close frame.
 */
export class RawClient {
  /** Every frame in order of arrival, including those after a close frame. */
  readonly frames: DecodedFrame[] = [];
  /** Whether the server has ended the connection in any way. */
  ended = false;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('close', () => {
      this.ended = true;
    });
  }

  /** Connects to a local port and does the handshake. */
  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    socket.on('error', () => socket.destroy());
    await once(socket, 'connect');
    const client = new RawClient(socket);
    await client.#handshake();
    return client;
  }

  /** The text frames' JSON. */
  get messages(): Message[] {
    return this.frames
      .filter(({ opcode }) => opcode === TEXT)
      .map(({ payload }) => JSON.parse(payload.toString()) as Message);
  }

  get publications(): Message[] {
    return this.messages.filter((message) => !('type' in message));
  }

  controls(type: string): Message[] {
    return this.messages.filter((message) => message.type === type);
  }

  /** The code in the server's close frame; undefined before it arrives. */
  get closeCode(): number | undefined {
    return this.frames.find(({ opcode }) => opcode === CLOSE)?.payload.readUInt16BE(0);
  }

  request(message: Message): void {
    this.send(TEXT, Buffer.from(JSON.stringify(message)));
  }

  /** Subscribes, and waits for the last frame of the reply. */
  async subscribe(channels: readonly string[]): Promise<void> {
    const id = `subscribe ${channels.join()}`.slice(0, 64);
    this.request({ type: 'subscribe', id, channels });
    await until(
      () => this.controls('subscribed').some((answer) => answer.id === id && answer.done === true),
      `subscribed to ${channels.join()}`,
    );
  }

  sendClose(code: number): void {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.send(CLOSE, payload);
  }

  /** Holds back what is sent from here on. `uncork` sends it in one piece. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /** Stops reading: the kernel's buffers fill, then the server's. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends its half of the connection with a FIN, without a close frame. */
  end(): void {
    this.#socket.end();
  }

  /** Ends with a TCP reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Sends any frame of up to 65,535 bytes. */
  send(opcode: number, payload: Buffer): void {
    const mask = randomBytes(4);
    const masked = payload.map((byte, i) => byte ^ (mask[i % 4] as number));
    const long = payload.length > 125;
    const header = Buffer.from([0x80 | opcode, 0x80 | (long ? 126 : payload.length)]);
    const length = Buffer.alloc(long ? 2 : 0);
    if (long) length.writeUInt16BE(payload.length);
    this.#socket.write(Buffer.concat([header, length, mask, masked]));
  }

  async #handshake(): Promise<void> {
    const key = randomBytes(16).toString('base64');
    this.#socket.write(
      [
        `GET ${WEBSOCKET_PATH} HTTP/1.1`,
        'host: localhost',
        'upgrade: websocket',
        'connection: Upgrade',
        `sec-websocket-key: ${key}`,
        'sec-websocket-version: 13',
        `sec-websocket-protocol: ${JSON_SUBPROTOCOL}`,
        '',
        '',
      ].join('\r\n'),
    );
    let head = Buffer.alloc(0);
    while (!head.includes(END_OF_HEADER)) {
      const [chunk] = (await once(this.#socket, 'data')) as [Buffer];
      head = Buffer.concat([head, chunk]);
    }
    const end = head.indexOf(END_OF_HEADER) + END_OF_HEADER.length;
    const header = head.toString('latin1', 0, end);
    const accept = createHash('sha1').update(`${key}${ACCEPT_SALT}`).digest('base64');
    if (!header.startsWith('HTTP/1.1 101 ') || !header.includes(accept)) {
      throw new Error(`no handshake: ${header}`);
    }
    const read = (bytes: Buffer): void => {
      for (const frame of this.#decoder.push(bytes)) {
        this.frames.push(frame);
        if (frame.opcode === PING && !this.#socket.writableEnded) this.send(PONG, frame.payload);
      }
    };
    read(head.subarray(end));
    this.#socket.on('data', read);
  }
}
