import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** How long Redis may take to accept the connection and the password, in ms. */
const CONNECT_DEADLINE_MS = 5_000;

/** Bytes of commands that are buffered until Redis reads them; above it no more are accepted. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** The longest line of a reply: an integer, an error, or a text without line feeds. */
const LONGEST_LINE_BYTES = 4 * 1024;

const LINE_FEED = 0x0a;
const ERROR_REPLY = '-'.charCodeAt(0);
const ARRAY_REPLY = '*'.charCodeAt(0);
const TEXT_REPLY = '$'.charCodeAt(0);

/** Encodes a command for Redis. */
export function encodeCommand(words: readonly string[]): Buffer {
  const encoded = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${encoded.join('')}`);
}

/**
 * A connection that only publishes: commands are written as bytes, many at a time, and replies are counted. A client
 * library costs more for each command than Redis does. It understands only the replies that these commands get: no
 * missing texts (`$-1`), and no text with a line feed.
 */
export class RedisPipeline {
  readonly #socket: Socket;
  readonly #onReply: (refusal: string | undefined) => void;
  #partial: Buffer | undefined;
  #asked: PromiseWithResolvers<void> | undefined;
  /** What is missing of the current reply: its number of values, and whether a text is next. */
  #valuesLeft = 1;
  #isText = false;
  #failure: Error | undefined;

  private constructor(socket: Socket, onReply: (refusal: string | undefined) => void) {
    this.#socket = socket;
    this.#onReply = onReply;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#read(bytes));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('Redis closed the connection')));
  }

  /**
   * Connects and sends the password of the URL. Rejects if Redis refuses the login or does not answer in time.
   *
   * @param onReply called for each command's reply, in order, with Redis' error if there is one.
   * @param deadlineMs how long connecting and login may take, in ms.
   */
  static async connect(
    redisUrl: string,
    onReply: (refusal: string | undefined) => void,
    deadlineMs: number = CONNECT_DEADLINE_MS,
  ): Promise<RedisPipeline> {
    const url = new URL(redisUrl);
    const address = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 6379) };
    const secure = url.protocol === 'rediss:';
    const socket = secure ? connectTls(address) : connect(address);
    const giveUp = (): void => {
      socket.destroy(new Error(`no answer within ${deadlineMs / 1_000} s`));
    };
    const deadline = setTimeout(giveUp, deadlineMs);
    try {
      await once(socket, secure ? 'secureConnect' : 'connect');
      const pipeline = new RedisPipeline(socket, onReply);
      await pipeline.#greet(url);
      return pipeline;
    } catch (error) {
      socket.destroy();
      throw new Error(`${url.host}: ${whyNot(error as NodeJS.ErrnoException)}`, { cause: error });
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Bytes that are buffered here until Redis reads them. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  get isFull(): boolean {
    return this.waitingBytes > MAX_WAITING_BYTES;
  }

  /** Why the connection has failed; undefined while it works. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Writes whole commands. The connection owns the bytes from now on. */
  write(commands: Buffer): void {
    this.#socket.write(commands);
  }

  end(): void {
    this.#socket.destroy();
  }

  /** Waits for the reply to one command while no other is in flight. Rejects with Redis' error. */
  async ask(command: readonly string[]): Promise<void> {
    this.#asked = Promise.withResolvers();
    this.#socket.write(encodeCommand(command));
    await this.#asked.promise;
  }

  async #greet(url: URL): Promise<void> {
    const parts = ['AUTH', url.username, url.password].filter((part) => part !== '');
    await this.ask(url.password === '' ? ['PING'] : parts.map(decodeURIComponent));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#asked?.reject(error);
  }

  #read(chunk: Buffer): void {
    const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk]);
    this.#partial = undefined;
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(LINE_FEED, at);
      if (end === -1) break;
      this.#line(bytes, at, end - 1);
      at = end + 1;
    }
    if (at === bytes.length) return;
    if (bytes.length - at > LONGEST_LINE_BYTES) this.#socket.destroy();
    this.#partial = bytes.subarray(at);
  }

  #line(bytes: Buffer, start: number, end: number): void {
    const kind = this.#isText ? undefined : bytes[start];
    this.#isText = kind === TEXT_REPLY;
    if (this.#isText) return;
    this.#valuesLeft -= 1;
    if (kind === ARRAY_REPLY) this.#valuesLeft += Number(bytes.toString('latin1', start + 1, end));
    if (this.#valuesLeft > 0) return;
    this.#valuesLeft = 1;
    this.#reply(kind === ERROR_REPLY ? bytes.toString('utf8', start + 1, end) : undefined);
  }

  #reply(refusal: string | undefined): void {
    if (this.#asked === undefined) {
      this.#onReply(refusal);
      return;
    }
    if (refusal === undefined) this.#asked.resolve();
    else this.#asked.reject(new Error(`Redis: ${refusal}`));
    this.#asked = undefined;
  }
}

/** Describes an error. If a host has several addresses, Node's error has a code and no message. */
function whyNot({ name, message, code }: NodeJS.ErrnoException): string {
  return message || (code ?? name);
}
