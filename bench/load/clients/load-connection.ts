import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type SecureContext, connect as secureConnect, TLSSocket } from 'node:tls';
import type { LatencyHistogram } from '@tradewind/dev';
import { nowMicros } from '../processes/clock.ts';
import { encodeClientClose, encodeClientFrame, encodeClientText } from '../wire/client-frames.ts';
import type { Dialect, DialectSession } from '../wire/dialect.ts';
import { FrameCounter, type FrameCounts, type FrameListener } from '../wire/frame-counter.ts';
import type { Handshake } from '../wire/handshake.ts';
import { readSentTime } from '../wire/sent-time.ts';
import type { ToldLosses } from './shortfall.ts';
import type { Reading } from './subscription-plan.ts';

/** How long a connection may take until its subscriptions are confirmed, in ms. */
const SUBSCRIBED_DEADLINE_MS = 30_000;

/** How long the server may take to end a connection that we close, in ms. */
const CLOSE_DEADLINE_MS = 2_000;

/** The close code of a connection that ended without a close frame. */
const CONNECTION_LOST = 1006;
const NORMAL_CLOSE = 1000;

/**
 * All connections of a process read into this memory, one after the other, and count the bytes at once. A connection
 * therefore costs no buffer, and a read no allocation.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024);

/**
 * A slow connection reads in steps of this size. Over TLS a step is everything that one read of the socket returned, up
 * to 64 KiB.
 */
const SLOW_READ_BUFFER = Buffer.allocUnsafeSlow(4 * 1024);

/** Shared by the connections of one process. */
export interface ConnectionSetup {
  readonly dialect: Dialect;
  readonly sampleEvery: number;
  /** Receives the latencies of steady connections, in µs. */
  readonly latency: LatencyHistogram;
  readonly slowBytesPerSecond: number;
  readonly stallAfterMs: number;
  /** Called for every piece of data that arrives. */
  readonly dataCame: () => void;
  /** Called once for each connection, after it has subscribed or failed. */
  readonly settled: (failure: string | undefined) => void;
  /** Called once for each connection that was subscribed and that the server or the network ended. */
  readonly disconnected: (reading: Reading, reason: string) => void;
}

/** Where to connect to, and from which address. */
export interface Route {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  /** For TLS; undefined for plain TCP. */
  readonly secure: SecureRoute | undefined;
  readonly handshake: Handshake;
}

/** How to reach the server of a `wss:` URL. */
export interface SecureRoute {
  /** Shared by all connections of a process; otherwise Node makes one for each. */
  readonly context: SecureContext;
  /** The server name (SNI); undefined for an IP address, which RFC 6066 excludes. */
  readonly serverName: string | undefined;
}

type State = 'upgrading' | 'subscribing' | 'subscribed' | 'ended';

/** One client: connects, subscribes, and counts what it receives. */
export class LoadConnection implements FrameListener, DialectSession {
  readonly channels: readonly string[];
  /** The same by number. */
  readonly channelNumbers: readonly number[];
  readonly reading: Reading;
  node = '';
  /** `gap` frames, the losses in them, and reconnect notices. */
  gaps = 0;
  gapLost = 0;
  /** The `gap` frames without a number of losses. */
  unnumberedGaps = 0;
  reconnectNotices = 0;
  /** Settles after the connection has ended. */
  readonly ended: Promise<void>;
  readonly #setup: ConnectionSetup;
  readonly #handshake: Handshake;
  readonly #socket: Socket;
  readonly #counter: FrameCounter;
  #state: State = 'upgrading';
  #wasSubscribed = false;
  /** The bytes of the upgrade's answer so far. */
  #answer: Buffer | undefined;
  #failure: string | undefined;
  #closeCode = CONNECTION_LOST;
  #closing = false;
  #timer: NodeJS.Timeout | undefined;
  /** Whether it has stopped reading, until it is released or its pause is over. */
  #paused = false;
  /** Until when a slow connection pauses for the bytes that it has read, in ms of `performance.now()`. */
  #busyUntil = 0;
  #released = false;
  #markedPublications = 0;
  #markedGapLost = 0;
  #markedGaps = 0;
  #markedUnnumberedGaps = 0;

  constructor(
    setup: ConnectionSetup,
    route: Route,
    channels: readonly string[],
    channelNumbers: readonly number[],
    reading: Reading,
  ) {
    this.#setup = setup;
    this.#handshake = route.handshake;
    this.channels = channels;
    this.channelNumbers = channelNumbers;
    this.reading = reading;
    const { dialect, sampleEvery } = setup;
    const firstSample = 1 + Math.floor(Math.random() * sampleEvery);
    this.#counter = new FrameCounter(dialect.shape, this, sampleEvery, firstSample);
    const buffer = reading === 'slow' ? SLOW_READ_BUFFER : READ_BUFFER;
    const options: TcpNetConnectOpts = {
      host: route.host,
      port: route.port,
      ...(route.localAddress === undefined ? {} : { localAddress: route.localAddress }),
      noDelay: true,
      onread: {
        buffer,
        callback: (length) => {
          this.#setup.dataCame();
          this.#take(buffer.subarray(0, length));
          return !this.#paused;
        },
      },
    };
    const { secure } = route;
    if (secure === undefined) {
      this.#socket = connect(options);
    } else {
      const { context: secureContext, serverName } = secure;
      const name = serverName === undefined ? {} : { servername: serverName };
      this.#socket = secureConnect({ ...options, ...name, secureContext });
    }
    const connected = secure === undefined ? 'connect' : 'secureConnect';
    this.#socket.on(connected, () => this.#socket.write(this.#handshake.request));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#failure ??= error.code ?? error.message;
    });
    this.ended = new Promise((resolve) => {
      this.#socket.once('close', () => {
        this.#end();
        resolve();
      });
    });
    this.#timer = setTimeout(() => this.#fail('timeout'), SUBSCRIBED_DEADLINE_MS);
  }

  get counts(): FrameCounts {
    return this.#counter.counts;
  }

  get isOpen(): boolean {
    return this.#state === 'subscribed';
  }

  /** Whether it has ever been subscribed. */
  get wasSubscribed(): boolean {
    return this.#wasSubscribed;
  }

  /** Publications received since the mark. */
  get receivedSinceMark(): number {
    return this.counts.publications - this.#markedPublications;
  }

  /** The losses that the server reported to it since the mark. */
  get toldSinceMark(): ToldLosses {
    return {
      gaps: this.gaps - this.#markedGaps,
      unnumberedGaps: this.unnumberedGaps - this.#markedUnnumberedGaps,
      lost: this.gapLost - this.#markedGapLost,
    };
  }

  mark(): void {
    this.#markedPublications = this.counts.publications;
    this.#markedGapLost = this.gapLost;
    this.#markedGaps = this.gaps;
    this.#markedUnnumberedGaps = this.unnumberedGaps;
  }

  /** Makes the connection read as fast as it can. */
  release(): void {
    this.#released = true;
    if (this.#state !== 'subscribed') return;
    clearTimeout(this.#timer);
    this.#resume();
  }

  /** Ends it, with a close frame if the server still listens; resolves after it has ended. */
  async close(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#closing = true;
    clearTimeout(this.#timer);
    this.#released = true;
    if (this.#state === 'upgrading') {
      this.#socket.destroy();
    } else {
      this.#resume();
      this.#socket.end(encodeClientClose(NORMAL_CLOSE));
      this.#timer = setTimeout(() => this.#vanish(), CLOSE_DEADLINE_MS);
    }
    await this.ended;
  }

  /** Ends it at once without a close frame, as a client that vanishes; resolves after it has ended. */
  async drop(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#closing = true;
    clearTimeout(this.#timer);
    this.#vanish();
    await this.ended;
  }

  send(text: string): void {
    this.#socket.write(encodeClientText(text));
  }

  subscribed(): void {
    if (this.#state !== 'subscribing') return;
    this.#state = 'subscribed';
    this.#wasSubscribed = true;
    clearTimeout(this.#timer);
    if (this.reading === 'stalled' && !this.#released) {
      this.#timer = setTimeout(() => this.#pause(), this.#setup.stallAfterMs);
    }
    this.#setup.settled(undefined);
  }

  refused(reason: string): void {
    this.#fail(reason);
  }

  gap(lost: number | undefined): void {
    this.gaps += 1;
    if (lost === undefined) this.unnumberedGaps += 1;
    else this.gapLost += lost;
  }

  reconnect(): void {
    this.reconnectNotices += 1;
  }

  control(payload: Buffer): void {
    this.#setup.dialect.control(payload.toString(), this);
  }

  sample(start: Buffer): void {
    if (this.reading !== 'steady') return;
    const { decode } = this.#setup.dialect;
    const payload = decode === undefined ? start : decode(start, this);
    const sent = payload === undefined ? undefined : readSentTime(payload);
    if (sent !== undefined) this.#setup.latency.record(nowMicros() - sent);
  }

  closing(code: number): void {
    this.#closeCode = code;
    this.#socket.end(encodeClientClose(NORMAL_CLOSE));
  }

  ping(payload: Buffer): void {
    this.#socket.write(encodeClientFrame('pong', payload));
  }

  #take(bytes: Buffer): void {
    try {
      if (this.#state === 'upgrading') this.#upgrade(bytes);
      else this.#counter.push(bytes);
    } catch (error) {
      this.#fail((error as Error).message);
    }
    if (this.#state === 'subscribed' && this.reading === 'slow' && !this.#released) {
      this.#rest(bytes.length);
    }
  }

  #upgrade(bytes: Buffer): void {
    this.#answer = Buffer.concat([this.#answer ?? Buffer.alloc(0), bytes]);
    const answer = this.#handshake.read(this.#answer);
    if (answer === undefined) return;
    this.#answer = undefined;
    if (!answer.accepted) {
      this.#fail(answer.reason);
      return;
    }
    this.#state = 'subscribing';
    this.#setup.dialect.opened(this);
    if (answer.rest.length > 0) this.#counter.push(answer.rest);
  }

  /**
   * Stops reading for the time that the bytes just read may take. TLS hands over everything that it has decrypted even
   * while reading is stopped: each piece adds to the pause.
   */
  #rest(bytes: number): void {
    this.#pause();
    const now = performance.now();
    const takesMs = (bytes / this.#setup.slowBytesPerSecond) * 1_000;
    this.#busyUntil = Math.max(now, this.#busyUntil) + takesMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#resume(), this.#busyUntil - now);
  }

  #pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  #resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  #vanish(): void {
    // Node cannot reset a TLS connection. The kernel still resets it if unread bytes are left.
    if (this.#socket instanceof TLSSocket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  #fail(reason: string): void {
    this.#failure ??= reason;
    this.#socket.destroy();
  }

  /** The close code. Without a close frame, also the fault. */
  #howItEnded(): string {
    const code = String(this.#closeCode);
    return this.#closeCode === CONNECTION_LOST && this.#failure ? this.#failure : code;
  }

  #end(): void {
    const { disconnected, settled } = this.#setup;
    clearTimeout(this.#timer);
    const state = this.#state;
    this.#state = 'ended';
    if (state === 'subscribed') {
      if (!this.#closing) disconnected(this.reading, this.#howItEnded());
    } else {
      settled(this.#howItEnded());
    }
  }
}
