import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** How long Redis may take to accept the connection and the password, in ms. */
const CONNECT_DEADLINE_MS = 5_000;

/** Commands that Redis has not read and that are kept here; above it no more are taken, in bytes. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** A line of a reply: an integer, an error, or a text without line feeds. */
const LONGEST_LINE_BYTES = 4 * 1024;

const LINE_FEED = 0x0a;
const ERROR_REPLY = '-'.charCodeAt(0);
const ARRAY_REPLY = '*'.charCodeAt(0);
const TEXT_REPLY = '$'.charCodeAt(0);

/** A command as Redis reads it. */
export function encodeCommand(words: readonly string[]): Buffer {
  const encoded = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${encoded.join('')}`);
}

/**
 * A connection that only publishes: commands are written as bytes, many at a time, and replies are
 * counted. A client library costs more for each command than Redis does. Of replies it knows as much as
 * these commands get: no missing texts (`$-1`), and none with a line feed.
 */
export class RedisPipeline {
  readonly #socket: Socket;
  readonly #onReply: (refusal: string | undefined) => void;
  #partial: Buffer | undefined;
  #asked: PromiseWithResolvers<void> | undefined;
  /** What is yet to come of the reply that is being read: its values, and whether a text is next. */
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
   * Connects and gives the password that the URL holds. Rejects when Redis does not let us in, or not in time.
   *
   * @param onReply called for each command's reply, in order, with what Redis says against it.
   * @param deadlineMs until Redis must have let us in, in ms.
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

  /** Bytes that wait here for Redis to read them. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  get isFull(): boolean {
    return this.waitingBytes > MAX_WAITING_BYTES;
  }

  /** Why the connection is of no use any more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Writes whole commands. The bytes are Redis' from now on. */
  write(commands: Buffer): void {
    this.#socket.write(commands);
  }

  end(): void {
    this.#socket.destroy();
  }

  /** Waits for the reply to one command while no other is under way. Rejects with what Redis says against it. */
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

/** Of a host with several addresses Node gives an error without a message, which has a code. */
function whyNot({ name, message, code }: NodeJS.ErrnoException): string {
  return message || (code ?? name);
}
