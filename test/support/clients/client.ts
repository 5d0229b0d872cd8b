import {
  BINARY_SUBPROTOCOL,
  type RejectedChannel,
  type RequestId,
  type ServerMessage,
  type Subscribed,
  type SubscribedChannel,
  type Welcome,
} from '@tradewind/protocol';
import { WebSocket } from 'ws';
import { TextOfFrames } from './text-of-frames.ts';

/** How long a client waits for an answer, in ms, also on slow machines. */
const DEFAULT_DEADLINE_MS = 30_000;

/** Frames that a client keeps. A test that sends more fails with an error instead of running out of memory. */
const MAX_FRAMES = 2_000_000;

/** A received publication, with its exact bytes. */
export interface ReceivedPublication {
  readonly seq: number;
  readonly channel: string;
  readonly offset: number | undefined;
  /** When it was published, ms since the Unix epoch. */
  readonly ts: number;
  /** The text of `data`, byte for byte as in the frame. */
  readonly data: string;
  /** When it was read here, ms since the Unix epoch. */
  readonly receivedAt: number;
}

/** The number of frames of both kinds that had arrived before this one. */
export interface Ordered {
  readonly index: number;
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A channel to subscribe to: its name, or its name and its starting position. */
export type ChannelChoice =
  | string
  | {
      readonly channel: string;
      readonly since?: { readonly epoch: string; readonly offset: number };
      readonly history?: number;
      readonly latest?: { readonly everyMs: number };
    };

/** The answer to one subscribe request, with all its frames. */
export interface SubscribeAnswer {
  readonly channels: readonly SubscribedChannel[];
  readonly rejected: readonly RejectedChannel[];
}

export interface ConnectOptions {
  /** Subscribed to before `connect` resolves. If one is rejected, `connect` rejects. */
  readonly channels?: readonly ChannelChoice[];
  /** Additional headers of the upgrade, e.g. `origin`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Subprotocols to offer; none by default. Binary frames are recorded as the text frames that they stand for. */
  readonly protocols?: readonly string[];
  /** PEM of the authority to trust, for `wss:`. */
  readonly ca?: string;
}

/** Makes text of a message; undefined for one that says nothing where frames are text. */
type ReadFrame = (data: Buffer, isBinary: boolean) => string | undefined;

function frameReader(isBinarySpoken: () => boolean): ReadFrame {
  const TEXT = 1;
  const BINARY = 2;
  const reader = new TextOfFrames();
  return (data, isBinary) =>
    isBinarySpoken() ? reader.textOf(isBinary ? BINARY : TEXT, data) : String(data);
}

/** A subscriber that records everything it receives. */
export class TestClient implements AsyncDisposable {
  readonly welcome: Welcome;
  /** Publications in the order of their arrival. */
  readonly publications: (ReceivedPublication & Ordered)[] = [];
  /** Control frames in the order of their arrival, the welcome first. */
  readonly controls: (ServerMessage & Ordered)[] = [];
  /** Settles when the connection has ended; never rejects. */
  readonly closed: Promise<Closed>;

  /** Bytes of all messages since the welcome, without frame headers. */
  bytes = 0;
  readonly #socket: WebSocket;
  readonly #readFrame: ReadFrame;
  readonly #watchers = new Set<() => void>();
  #closedWith: Closed | undefined;
  #frames = 0;
  #nextId = 1;

  /** For {@link connect}: `first` are the frames that arrived earlier, the welcome among them. */
  private constructor(
    socket: WebSocket,
    closed: Promise<Closed>,
    first: readonly string[],
    readFrame: ReadFrame,
  ) {
    this.#socket = socket;
    this.closed = closed;
    closed.then((how) => {
      this.#closedWith = how;
      this.#wake();
    });
    this.#readFrame = readFrame;
    for (const text of first) this.#take(text);
    const welcome = this.controls[0];
    if (welcome?.type !== 'welcome') throw new Error(`no welcome came first, but ${first[0]}`);
    this.welcome = welcome;
    socket.removeAllListeners('message');
    socket.on('message', (data, isBinary) => {
      this.bytes += (data as Buffer).length;
      const text = this.#readFrame(data as Buffer, isBinary);
      if (text !== undefined) this.#take(text);
    });
  }

  /**
   * Connects to an edge (`ws://127.0.0.1:8080/ws`), waits for its welcome and subscribes to `channels`. If the upgrade
   * is refused, rejects with the HTTP status in the message.
   */
  static async connect(wsUrl: string, options: ConnectOptions = {}): Promise<TestClient> {
    const socket = new WebSocket(wsUrl, [...(options.protocols ?? [])], {
      headers: { ...options.headers },
      perMessageDeflate: false,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
    const closed = new Promise<Closed>((resolve) => {
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    const first: string[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`no welcome from ${wsUrl} within ${DEFAULT_DEADLINE_MS} ms`)),
      DEFAULT_DEADLINE_MS,
    );
    socket.on('error', reject);
    const readFrame = frameReader(() => socket.protocol === BINARY_SUBPROTOCOL);
    socket.on('message', (data, isBinary) => {
      const text = readFrame(data as Buffer, isBinary);
      if (text !== undefined) first.push(text);
      resolve();
    });
    closed.then(({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`)));
    try {
      await promise;
    } catch (error) {
      socket.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    const client = new TestClient(socket, closed, first, readFrame);
    if (options.channels && options.channels.length > 0) {
      const { rejected } = await client.subscribe(options.channels);
      if (rejected.length > 0) {
        socket.terminate();
        throw new Error(`rejected: ${JSON.stringify(rejected)}`);
      }
    }
    return client;
  }

  /** Subscribes and waits for the answer's last frame. Rejects if the answer is an `error`. */
  async subscribe(channels: readonly ChannelChoice[]): Promise<SubscribeAnswer> {
    const id = this.request({ type: 'subscribe', channels });
    await this.waitFor(() => this.#answers(id).some((answer) => answer.done));
    const frames = this.#answers(id);
    return {
      channels: frames.flatMap((frame) => frame.channels),
      rejected: frames.flatMap((frame) => frame.rejected ?? []),
    };
  }

  /** Unsubscribes and waits for the answer. */
  async unsubscribe(channels: readonly string[]): Promise<void> {
    const id = this.request({ type: 'unsubscribe', channels });
    await this.waitFor(() => this.#answer(id, 'unsubscribed') !== undefined);
  }

  /** A round trip. Everything that the edge had sent before its answer has then been read. */
  async ping(deadlineMs = DEFAULT_DEADLINE_MS): Promise<void> {
    const id = this.request({ type: 'ping' });
    await this.waitFor(() => this.#answer(id, 'pong') !== undefined, deadlineMs);
  }

  /** Sends a request with a new id, returns the id, and does not wait. */
  request(message: Readonly<Record<string, unknown>>): number {
    const id = this.#nextId++;
    this.sendText(JSON.stringify({ id, ...message }));
    return id;
  }

  /** Sends a text frame unchanged. */
  sendText(text: string): void {
    this.#socket.send(text);
  }

  /** Sends a binary frame. */
  sendBinary(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  /** Sends a WebSocket ping. */
  sendPing(): void {
    if (this.isOpen) this.#socket.ping();
  }

  /** Whether the connection is open in both directions. */
  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** The publications of one channel, oldest first. */
  publicationsOn(channel: string): (ReceivedPublication & Ordered)[] {
    return this.publications.filter((publication) => publication.channel === channel);
  }

  /** Control frames of one type, oldest first. */
  controlsOf<T extends ServerMessage['type']>(
    type: T,
  ): (Extract<ServerMessage, { type: T }> & Ordered)[] {
    return this.controls.filter(
      (control): control is Extract<ServerMessage, { type: T }> & Ordered => control.type === type,
    );
  }

  /**
   * Resolves once `holds` returns true; it is called now and after every frame. Rejects at the deadline, or as soon as
   * the connection has ended without it.
   */
  waitFor(holds: (client: this) => boolean, deadlineMs = DEFAULT_DEADLINE_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
      };
      const fail = (why: string): void => {
        settle();
        reject(new Error(`${why}; ${this.#describe()}`));
      };
      const look = (): void => {
        try {
          if (holds(this)) {
            settle();
            resolve();
          } else if (this.#closedWith) {
            const { code, reason } = this.#closedWith;
            fail(`the connection ended with ${code} ${reason}`);
          }
        } catch (error) {
          settle();
          reject(error);
        }
      };
      const timer = setTimeout(() => fail(`not within ${deadlineMs} ms`), deadlineMs);
      this.#watchers.add(look);
      look();
    });
  }

  /** Stops reading the socket, as a client that does not keep up. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes with a close frame and waits until the connection has ended. */
  async close(code = 1000): Promise<Closed> {
    this.#socket.resume();
    this.#socket.close(code);
    return await this.closed;
  }

  /** Cuts the connection without a close frame. */
  async terminate(): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate();
  }

  #take(text: string): void {
    const receivedAt = Date.now();
    const index = this.#frames++;
    if (index >= MAX_FRAMES) throw new Error(`more than ${MAX_FRAMES} frames`);
    const frame = JSON.parse(text) as Record<string, unknown>;
    if ('type' in frame) {
      this.controls.push({ ...(frame as unknown as ServerMessage), index });
    } else {
      const data = dataOf(text);
      const { seq, channel, offset, ts } = frame as Omit<ReceivedPublication, 'data'>;
      this.publications.push({ seq, channel, offset, ts, data, receivedAt, index });
    }
    this.#wake();
  }

  #wake(): void {
    for (const look of [...this.#watchers]) look();
  }

  #answers(id: RequestId): Subscribed[] {
    this.#throwIfRefused(id);
    return this.controlsOf('subscribed').filter((answer) => answer.id === id);
  }

  #answer(id: RequestId, type: 'unsubscribed' | 'pong'): ServerMessage | undefined {
    this.#throwIfRefused(id);
    return this.controlsOf(type).find((answer) => answer.id === id);
  }

  #throwIfRefused(id: RequestId): void {
    const error = this.controlsOf('error').find((answer) => answer.id === id);
    if (error) throw new Error(`${error.code}: ${error.message}`);
  }

  #describe(): string {
    const last = this.controls.slice(-3).map((control) => JSON.stringify(control));
    return `${this.publications.length} publications came, and lastly ${last.join(' ')}`;
  }
}

/** `data` is the envelope's last field; the key cannot occur earlier, because names hold no quotes. */
function dataOf(text: string): string {
  const key = '"data":';
  const start = text.indexOf(key);
  if (start === -1 || !text.endsWith('}')) throw new Error(`not a publication: ${text}`);
  return text.slice(start + key.length, -1);
}
