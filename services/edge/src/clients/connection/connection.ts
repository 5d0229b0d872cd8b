import type { Loss, Outbox, Replay, Subscriber } from '@tradewind/fanout';
import { CLOSE_CODES, type CloseReason, type ServerMessage } from '@tradewind/protocol';
import { WebSocket } from 'ws';
import type { ByteSink, FrameWriter } from '../../outbound/frame-writer.ts';
import { SendWindow } from '../../outbound/send-window.ts';
import { oncePerFormat, type WireFormat } from '../../outbound/wire-format.ts';
import type { Session } from '../session/session.ts';
import { type AttendedTime, BEAT_MS, BEATS_PER_SECOND, NEVER } from '../time/attended-time.ts';
import type { HasDueSlot } from '../time/due-times.ts';
import { reasonOfError, reasonOfPeerCode } from './close-reasons.ts';
import type { EncodedNotice } from './loss-notices.ts';

/** Owns a connection, and hears what happens to it. */
export interface ConnectionOwner {
  /** The outbox has something to send. The owner must flush the connection at the end of the loop turn. */
  onFlushNeeded(connection: Connection): void;
  /** The socket takes no more bytes, and {@link Connection.dueAt} has become sooner. */
  onBlocked(connection: Connection): void;
  /** Publications that the queue had refused were queued after all. */
  onCaughtUp(publications: number): void;
  /** The client has lost publications, or a notice is due. The owner must send them now, in order. */
  onLosses(connection: Connection, losses: readonly Loss[]): void;
  onMessage(connection: Connection, data: Buffer, isBinary: boolean): void;
  /** The client sent a WebSocket ping, which `ws` has answered, or a pong that answers no ping of ours. */
  onControlFrame(connection: Connection): void;
  /** The connection begins to end. The owner must offer it nothing from here on. Called once, before `onClosed`. */
  onLeaving(connection: Connection): void;
  /** The connection has ended. Called once. */
  onClosed(connection: Connection, reason: CloseReason): void;
}

/** What a connection is made of. The connection owns all parts but `time`, `writer` and `owner`. */
export interface ConnectionParts {
  readonly session: Session;
  /** Reads all frames, but writes only its own control frames. */
  readonly webSocket: WebSocket;
  /** The socket of `webSocket`, to which our frames are written. */
  readonly socket: ByteSink;
  /** The socket's descriptor, or `NO_DESCRIPTOR`; see `FrameWriter`. */
  readonly descriptor: number;
  readonly outbox: Outbox;
  /** See {@link Subscriber}: clients of the same format are one group. */
  readonly group: number;
  /** The worker's. */
  readonly time: AttendedTime;
  readonly writer: FrameWriter;
  /** Whether a {@link SendWindow} must bound the bytes that the client has not read. */
  readonly isWindowed: boolean;
  readonly owner: ConnectionOwner;
}

/**
 * How often one flush refills the queue of a client that is behind, at most. The rest follows in the next round, so that other
 * clients do not wait for long. With 512 slots these are 2,048 publications a round. More than arrive during a round must fit,
 * or the client would never catch up.
 */
const CATCH_UP_STEPS = 4;

/** The most gaps that one such refill sends. Each is a frame of its own. */
const GAPS_A_STEP = 32;

/** A socket that takes no byte for this long is stalled, not slow: TCP resends packets sooner. */
const STALLED_BEATS = 3 * BEATS_PER_SECOND;

/**
 * How long a client may take for its replay while others wait for memory, although it reads slowly all the time. The others
 * give up after 10 s (`MAX_DELAY_SECONDS`), so it must be less. A client that is closed for it resumes after the last
 * publication that it received.
 */
const PROMISE_BEATS = 8 * BEATS_PER_SECOND;

/** How often a blocked connection is tended. */
const BLOCKED_LOOK_BEATS = BEATS_PER_SECOND;

const restoredIn = oncePerFormat((format) => format.encodeControl({ type: 'restored' }));

/** In place of a beat: the socket is not blocked. */
const UNBLOCKED = -1;

/** The most frames of a closing client that are read and dropped: some ms of work, and more than arrive in a round trip. */
const DISCARDED_FRAMES = 10_000;

/**
 * The transport of one client: its outbox, how the outbox is flushed to the socket, and how the connection ends. Its
 * {@link Session} says what the client may do.
 */
export class Connection implements Subscriber, HasDueSlot {
  // V8 lays out fields in this order. The fields that a flush needs come first and share cache lines, because among thousands of
  // clients each line is a cache miss.
  readonly outbox: Outbox;
  readonly #webSocket: WebSocket;
  readonly #socket: ByteSink;
  readonly #descriptor: number;
  readonly #writer: FrameWriter;
  readonly #window: SendWindow | undefined;
  #isFlushing = false;
  #wasBlocked = false;
  /** Whether the client must answer a ping of the window before writing continues. */
  #waitsForAnswer = false;
  /** The node's state that must be sent, and the one that was sent last: the `degraded` notice, or undefined for restored. */
  #pendingState: Uint8Array | undefined;
  #lastSentState: Uint8Array | undefined;
  #state: 'open' | 'finishing' | 'closing' = 'open';
  readonly #onUnblocked: (error?: Error | null) => void;

  readonly session: Session;
  /** See {@link Subscriber}. */
  readonly group: number;
  /** See {@link HasDueSlot}. */
  dueSlot = 0;
  readonly #owner: ConnectionOwner;
  readonly #time: AttendedTime;
  /** The beat since which the socket has taken no bytes. */
  #blockedSince = UNBLOCKED;
  /** The beat since which a replay has been pending without a pause. Valid only while one is. */
  #promisedSince = 0;
  #reason: CloseReason | undefined;

  constructor(parts: ConnectionParts) {
    this.session = parts.session;
    this.outbox = parts.outbox;
    this.group = parts.group;
    this.#webSocket = parts.webSocket;
    this.#socket = parts.socket;
    this.#descriptor = parts.descriptor;
    this.#writer = parts.writer;
    this.#window = parts.isWindowed ? new SendWindow(parts.webSocket) : undefined;
    this.#owner = parts.owner;
    this.#time = parts.time;
    // All closures are made here, so that they share one context. A second context would cost 40 bytes a connection.
    this.#onUnblocked = (error) => this.#resume(error);
    parts.webSocket
      .on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary))
      .on('ping', () => this.#onControlFrame())
      .on('pong', (payload) => this.#onPong(payload))
      .on('error', (error) => this.#onError(error))
      .on('close', (code) => this.#onClose(code));
  }

  /** See {@link Subscriber}. */
  get queueId(): number {
    return this.outbox.queueId;
  }

  /** The format that the client chose. */
  get format(): WireFormat {
    return this.#writer.format;
  }

  /** Whether publications may be offered to the client. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether nothing more is written to the client but a close frame. */
  get isClosing(): boolean {
    return this.#state === 'closing';
  }

  /** For how long its socket has taken no byte, in ms of attended time; 0 if it takes bytes. */
  get stalledMs(): number {
    if (this.#blockedSince === UNBLOCKED) return 0;
    return (this.#time.beat - this.#blockedSince) * BEAT_MS;
  }

  /**
   * Whether the client has occupied replay memory for too long: it read nothing for {@link STALLED_BEATS}, or did not read all
   * for {@link PROMISE_BEATS}. False while its socket is not blocked, because then the node is what is slow.
   */
  get blocksReplayMemory(): boolean {
    if (this.#blockedSince === UNBLOCKED || !this.outbox.owesReplay) return false;
    const { beat } = this.#time;
    return (
      beat - this.#blockedSince >= STALLED_BEATS || beat - this.#promisedSince >= PROMISE_BEATS
    );
  }

  /** The beat at which to {@link tend} next, unless `ConnectionOwner.onBlocked` is called before. */
  get dueAt(): number {
    const { beat } = this.#time;
    const blockedDueAt = this.outbox.blocked ? beat + BLOCKED_LOOK_BEATS : NEVER;
    const { session } = this;
    const sessionDueAt = this.isOpen ? session.dueAt : session.liveness.dueAt;
    return Math.max(beat + 1, Math.min(sessionDueAt, blockedDueAt));
  }

  /** Queues a control message, in the client's format. Closes the client as `slow` if there is no room for it. */
  send(message: ServerMessage): void {
    this.sendEncoded(this.format.encodeControl(message));
  }

  /** Like {@link send}, for the payload of a control frame in the client's format. Connections may share it. */
  sendEncoded(frame: Uint8Array): void {
    if (this.#state === 'closing') return;
    const verdict = this.outbox.offerControl(frame);
    if (verdict === 'slow') this.close('slow');
    else this.#applyVerdict(verdict);
  }

  /** Sends a gap or a new epoch, in its place among the publications of the channel. */
  sendInOrder(notice: EncodedNotice): void {
    if (this.#state === 'closing') return;
    if (this.outbox.misses(notice.channel)) this.outbox.defer(notice);
    else this.sendNow(notice);
  }

  /**
   * Sends a notice at once, because everything before it was sent. If there is no room, the notice is sent as soon as there is;
   * the client is not closed for that.
   */
  sendNow(notice: EncodedNotice): void {
    if (this.#state === 'closing') return;
    this.#applyVerdict(this.outbox.offerNotice(notice));
  }

  /** Schedules a replay after everything that waits, and holds its excerpt. Must not be called within a flush. */
  scheduleReplay(replay: Replay): void {
    if (this.#state !== 'open') return;
    if (!this.outbox.owesReplay) this.#promisedSince = this.#time.beat;
    this.outbox.replay(replay);
    // If the replay fits into the queue at once, it occupies no replay memory.
    this.#catchUp();
    if (!this.outbox.blocked) this.#owner.onFlushNeeded(this);
  }

  /**
   * Sends the node's state, unless the client was told that state last. If there is no room, it is sent later: the state that
   * holds by then. So `restored` never comes without `degraded`, nor the same `degraded` twice.
   *
   * @param degraded the `degraded` notice, which connections share; undefined while the node is not degraded.
   */
  sendState(degraded: Uint8Array | undefined): void {
    const last = this.#lastSentState;
    this.#pendingState = areSame(degraded, last) ? last : degraded;
    if (this.#state === 'closing' || this.#pendingState === last) return;
    const verdict = this.outbox.offerControl(degraded ?? restoredIn(this.format));
    if (verdict === 'slow') return;
    this.#lastSentState = degraded;
    this.#applyVerdict(verdict);
  }

  /** See `Flushable`. */
  touch(): number {
    return this.outbox.touchNext() + this.#webSocket.readyState + this.#socket.writableLength;
  }

  /** Writes what waits, until nothing is left or the socket is blocked. */
  flush(): void {
    if (this.#isFlushing || this.#webSocket.readyState !== WebSocket.OPEN) return;
    this.#isFlushing = true;
    for (let step = 0; step < CATCH_UP_STEPS; step += 1) {
      this.#writer.write(
        this.outbox,
        this.#socket,
        this.#wasBlocked,
        this.#onUnblocked,
        this.#descriptor,
        this.#window,
      );
      this.#wasBlocked = this.outbox.blocked && this.#window?.isShut !== true;
      if (this.#pendingState !== this.#lastSentState) this.sendState(this.#pendingState);
      if (!this.outbox.isBehind) break;
      this.#catchUp();
      if (this.outbox.blocked) break;
    }
    this.#isFlushing = false;
    if (this.outbox.blocked) this.#markBlocked();
    else if (this.outbox.size > 0 || this.outbox.isBehind) this.#owner.onFlushNeeded(this);
    else if (this.#state === 'finishing') this.#closeNow();
  }

  /** Ends the connection once everything that waits was written. */
  finish(reason: CloseReason): void {
    if (this.#state !== 'open') return;
    this.#leave('finishing', reason);
    this.flush();
  }

  /** Ends the connection now, and drops what waits. */
  close(reason: CloseReason): void {
    if (this.#state === 'closing') return;
    if (this.#state === 'open') this.#leave('closing', reason);
    this.#closeNow();
  }

  /** Ends the connection without a close frame, for a peer that would not read one. */
  terminate(reason: CloseReason): void {
    if (this.#state === 'open') this.#leave('closing', reason);
    this.#state = 'closing';
    this.outbox.clear();
    this.#webSocket.terminate();
  }

  /**
   * Does what is due: closes a client that is late, dead or silent, or pings it.
   *
   * @param now ms on the clock of the deliveries.
   */
  tend(now: number): void {
    const verdict = this.session.judge(this.#time.beat);
    if (this.outbox.blocked && this.outbox.isLate(now)) this.close('slow');
    else if (verdict === 'dead') this.terminate('heartbeat_timeout');
    else if (!this.isOpen) return;
    else if (verdict === 'silent') this.close('silent');
    else if (verdict === 'unidentified') this.close('unauthorized');
    else if (verdict === 'expired') this.close('token_expired');
    else if (verdict === 'expiring') this.#tellExpiring();
    else if (verdict === 'ping') this.#ping();
  }

  #tellExpiring(): void {
    const { identity } = this.session;
    if (identity !== undefined) this.send({ type: 'expiring', ...identity.notice(Date.now()) });
  }

  #ping(): void {
    if (this.#window === undefined) this.#webSocket.ping();
    else this.#window.pingAgain();
  }

  /** Refills the queue from the backlog. Each gap is sent before the next publication of its channel. */
  #catchUp(): void {
    for (let step = 0; step < GAPS_A_STEP && this.outbox.isBehind; step += 1) {
      const losses = this.outbox.takeLosses();
      if (losses !== undefined) this.#owner.onLosses(this, losses);
      const queued = this.outbox.catchUp();
      if (queued > 0) this.#owner.onCaughtUp(queued);
      if (losses === undefined && queued === 0) return;
    }
  }

  /** A flush ignores verdicts: it looks at the queue when it ends. */
  #applyVerdict(verdict: 'queued' | 'wasIdle' | 'nearlyFull'): void {
    if (this.#isFlushing) return;
    if (verdict === 'wasIdle') this.#owner.onFlushNeeded(this);
    else if (verdict === 'nearlyFull') this.flush();
  }

  #markBlocked(): void {
    if (this.#blockedSince !== UNBLOCKED) return;
    this.#blockedSince = this.#time.beat;
    this.#owner.onBlocked(this);
  }

  #resume(error: Error | null | undefined): void {
    // The socket is broken, although `ws` looks open until it hears of that.
    if (error) return;
    this.#waitsForAnswer = this.#window?.isShut === true;
    if (this.#waitsForAnswer) return;
    this.outbox.blocked = false;
    // Over TLS the first write of a turn blocks the second one, so the end of that is no sign of life of the client.
    const isByTls = this.#socket.encrypted === true && this.#blockedSince === this.#time.beat;
    if (!isByTls) this.session.liveness.recordLife();
    this.#blockedSince = UNBLOCKED;
    this.flush();
  }

  #leave(state: 'finishing' | 'closing', reason: CloseReason): void {
    this.#state = state;
    this.#reason = reason;
    this.#owner.onLeaving(this);
  }

  #closeNow(): void {
    this.#state = 'closing';
    this.outbox.clear();
    const reason = this.#reason ?? 'internal';
    this.#webSocket.close(CLOSE_CODES[reason].code, reason);
  }

  /**
   * Drops what a client sends before it has read our close frame. If the connection ended with its bytes unread, the kernel
   * would reset it and the client would see no close code. So they are read until `ws` gives the client up; after
   * {@link DISCARDED_FRAMES} they stay in the kernel.
   */
  #discard(): void {
    this.session.ignoredRequests += 1;
    if (this.session.ignoredRequests > DISCARDED_FRAMES) this.#webSocket.pause();
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    this.session.liveness.recordLife();
    if (this.#state === 'open') this.#owner.onMessage(this, data, isBinary);
    else this.#discard();
  }

  #onControlFrame(): void {
    this.session.liveness.recordLife();
    if (this.#state === 'open') this.#owner.onControlFrame(this);
    else this.#discard();
  }

  /** A pong that answers a ping of ours is not charged: the client must send it. */
  #onPong(payload: Buffer): void {
    const isAnswer = this.#window?.answer(payload) === true || this.session.liveness.matchPong();
    if (!isAnswer) {
      this.#onControlFrame();
      return;
    }
    this.session.liveness.recordLife();
    if (this.#waitsForAnswer) this.#resume(undefined);
  }

  #onError(error: Error & { readonly code?: string }): void {
    this.#reason ??= reasonOfError(error.code);
  }

  #onClose(code: number): void {
    const reason = this.#reason ?? reasonOfPeerCode(code);
    if (this.#state === 'open') this.#leave('closing', reason);
    this.#state = 'closing';
    this.outbox.end();
    this.#owner.onClosed(this, reason);
  }
}

/** Whether two notices say the same. Bytes are compared, because a notice that names channels is encoded anew for each client. */
function areSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return (
    one === other || (one !== undefined && other !== undefined && Buffer.compare(one, other) === 0)
  );
}
