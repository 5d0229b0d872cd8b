import { WebSocket } from 'ws';
import type { Ledger } from '../oracle/ledger.ts';
import { Oracle } from '../oracle/oracle.ts';
import { readServerFrame, type ServerFrame } from '../oracle/server-frame.ts';

export interface ResumingClientOptions {
  readonly name: string;
  /** Edges, tried one after the other, in this order. */
  readonly urls: readonly string[];
  readonly channels: readonly string[];
  readonly ledger: Ledger;
  /** Numbers from 0 to 1 that spread reconnects. */
  readonly random: () => number;
  /** Whether it sends its position when it reconnects; false as a control. */
  readonly resumes?: boolean;
  /** The longest wait before a reconnect, in ms. */
  readonly jitterMs?: number;
  /** Source address; several of them give many clients enough ports. */
  readonly localAddress?: string;
}

const DEFAULT_JITTER_MS = 500;

/** How long a handshake may take, in ms. */
const HANDSHAKE_DEADLINE_MS = 5_000;

/** The pause before a temporarily refused channel is requested again, in ms. */
const REJECTED_RETRY_MS = 300;

/** The most channels that one request may name. */
const CHANNELS_PER_REQUEST = 128;

/**
 * A client that stays: it reconnects until it is stopped, resumes each channel at its position, and shows everything to
 * its oracle. It keeps no frames.
 */
export class ResumingClient implements AsyncDisposable {
  readonly oracle: Oracle;
  readonly #options: ResumingClientOptions;
  #socket: WebSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #next = 0;
  #stopped = false;
  /** Whether the client has dropped the connection, and its end has not been reported yet. */
  #dropped = false;
  /** Handshakes that failed, and connections that ended. */
  failures = 0;
  lastCloseCode: number | undefined;
  /** Called with every frame, for tests that need more than the oracle's counts. */
  onFrame: ((frame: ServerFrame) => void) | undefined;

  constructor(options: ResumingClientOptions) {
    this.#options = options;
    this.oracle = new Oracle(options.name, options.ledger);
    this.#connect();
  }

  /** Whether it holds all of its channels. */
  get live(): boolean {
    return this.#options.channels.every((channel) => this.oracle.isHeld(channel));
  }

  /** Whether it is live and has reached the publisher's last acknowledged position. */
  get settled(): boolean {
    return this.live && this.oracle.behind().length === 0;
  }

  /** Ends the connection without a close frame; the client reconnects by itself. Nothing more is read of it. */
  drop(): void {
    this.#dropped = true;
    this.oracle.disconnected();
    this.#socket?.terminate();
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Leaves permanently. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    if (socket === undefined || socket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.terminate();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #connect(): void {
    const { urls, localAddress } = this.#options;
    const url = urls[this.#next++ % urls.length]!;
    const socket = new WebSocket(url, {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_DEADLINE_MS,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('open', () => {
      this.#dropped = false;
      this.oracle.connected();
      this.#subscribe(this.#options.channels);
    });
    socket.on('message', (data) => {
      if (!this.#stopped && !this.#dropped) this.#take(String(data));
    });
    socket.on('close', (code) => this.#closed(code));
  }

  #subscribe(channels: readonly string[]): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    for (let at = 0; at < channels.length; at += CHANNELS_PER_REQUEST) {
      const asked = channels.slice(at, at + CHANNELS_PER_REQUEST).map((channel) => {
        const since = this.#options.resumes === false ? undefined : this.oracle.position(channel);
        this.oracle.asked(channel, since);
        return since === undefined ? channel : { channel, since };
      });
      this.#socket.send(JSON.stringify({ type: 'subscribe', id: at, channels: asked }));
    }
  }

  #take(text: string): void {
    const frame = readServerFrame(text);
    this.oracle.take(frame);
    this.onFrame?.(frame);
    if (frame.type === 'subscribed' && frame.rejected !== undefined && frame.rejected.length > 0)
      this.#askAgain();
    if (frame.type === 'unsubscribed' || frame.type === 'error') this.#askAgain();
  }

  #askAgain(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      this.#subscribe(this.#options.channels.filter((channel) => !this.oracle.isHeld(channel)));
    }, REJECTED_RETRY_MS);
  }

  #closed(code: number): void {
    this.failures += 1;
    this.lastCloseCode = code;
    this.oracle.disconnected();
    clearTimeout(this.#retryTimer);
    if (this.#stopped) return;
    const { random, jitterMs = DEFAULT_JITTER_MS } = this.#options;
    this.#timer = setTimeout(() => this.#connect(), random() * jitterMs);
  }
}
