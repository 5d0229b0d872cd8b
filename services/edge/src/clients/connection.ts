import type { Loss, Notice, Outbox, Replay, Subscriber } from '@tradewind/fanout';
import { CLOSE_CODES, type CloseReason, type ServerMessage } from '@tradewind/protocol';
import { WebSocket } from 'ws';
import type { ByteSink, FrameWriter } from '../outbound/frame-writer.ts';
import { SendWindow } from '../outbound/send-window.ts';
import { oncePerFormat, type WireFormat } from '../outbound/wire-format.ts';
import { type AttendedTime, BEATS_PER_SECOND, NEVER } from './attended-time.ts';
import type { Dated } from './due-times.ts';
import type { Session } from './session.ts';

/** What a connection tells its owner. */
export interface ConnectionOwner {
  /** Something waits in its outbox: flush it at the end of the loop turn. */
  onFlushNeeded(connection: Connection): void;
  /** Its socket does not take what was written: {@link Connection.dueAt} has become sooner. */
  onBlocked(connection: Connection): void;
  /** Publications that its queue had refused were queued after all. */
  onCaughtUp(publications: number): void;
  /**
   * Publications of these channels can no longer be had, or there is something to tell whose turn has come:
   * it is to be told now, in this order.
   */
  onLosses(connection: Connection, losses: readonly Loss[]): void;
  onMessage(connection: Connection, data: Buffer, isBinary: boolean): void;
  /** It sent a WebSocket ping, or a pong that answers no ping of ours; `ws` has dealt with it. */
  onControlFrame(connection: Connection): void;
  /** It is being closed: nothing may be offered to it from here on. Called once, before `closed`. */
  onLeaving(connection: Connection): void;
  /** It is gone. Called once. */
  onClosed(connection: Connection, reason: CloseReason): void;
}

/** What a connection is made of. It owns all of it, except the writer and the owner. */
export interface ConnectionParts {
  readonly session: Session;
  /** Reads for us; writes only its own control frames. */
  readonly webSocket: WebSocket;
  /** The same connection's socket, which our frames are written to. */
  readonly socket: ByteSink;
  /** That socket's, or `NO_DESCRIPTOR`; see `FrameWriter`. */
  readonly descriptor: number;
  readonly outbox: Outbox;
  /** See {@link Subscriber}: those who speak the same format are of one group. */
  readonly group: number;
  /** The owner's. */
  readonly time: AttendedTime;
  readonly writer: FrameWriter;
  /** Whether what is written to it is to be bounded by a {@link SendWindow}. */
  readonly isWindowed: boolean;
  readonly owner: ConnectionOwner;
}

/**
 * How often a flush fills the queue again for a client that is being caught up with, at most. The rest
 * follows in the next round, so that nobody else waits for long. With 512 slots that makes 2,048
 * publications a round: more than a client is sent anew in one, or it would never get there.
 */
const CATCH_UP_STEPS = 4;

/** Gaps between publications of the past that are told in one such step, at most: each is a frame of its own. */
const GAPS_A_STEP = 32;

/** A socket that takes nothing for so long is stalled, rather than slow: packets are resent in less. */
const STALLED_BEATS = 3 * BEATS_PER_SECOND;

/**
 * So long a client may take for what it was promised while others wait for room, however slowly it reads: one that trickles
 * would otherwise keep them waiting until they do without. They wait for ten seconds (`Subscriptions`), and there must be room
 * before that. One that is closed for it goes on from what it has had.
 */
const PROMISE_BEATS = 8 * BEATS_PER_SECOND;

/** How often a client whose socket is blocked is looked at. */
const BLOCKED_LOOK_BEATS = BEATS_PER_SECOND;

const restoredIn = oncePerFormat((format) => format.encodeControl({ type: 'restored' }));

/** Stands for no beat. */
const UNBLOCKED = -1;

/** Frames that are read of a client that is being closed: some ms of work. What it sent in a round trip is less. */
const DISCARDED_FRAMES = 10_000;

/** One client's WebSocket: what it is owed, how it is written to, and how it ends. What the client may do is its {@link Session}. */
export class Connection implements Subscriber, Dated {
  // What a flush needs comes first: V8 lays fields out in this order, and of thousands of clients each piece of
  // memory is waited for.
  readonly outbox: Outbox;
  readonly #webSocket: WebSocket;
  readonly #socket: ByteSink;
  readonly #descriptor: number;
  readonly #writer: FrameWriter;
  readonly #window: SendWindow | undefined;
  #isFlushing = false;
  #wasBlocked = false;
  /** Whether nothing but an answer of the client is waited for, to go on writing. */
  #waitsForAnswer = false;
  /** The notice that says that the node is degraded, while it is; and the one that the client was told last. */
  #pendingState: Uint8Array | undefined;
  #lastSentState: Uint8Array | undefined;
  #state: 'open' | 'finishing' | 'closing' = 'open';
  readonly #onUnblocked: (error?: Error | null) => void;

  readonly session: Session;
  /** See {@link Subscriber}. */
  readonly group: number;
  /** See {@link Dated}. */
  dueSlot = 0;
  readonly #owner: ConnectionOwner;
  readonly #time: AttendedTime;
  /** Since when its socket has not taken what it holds. */
  #blockedSince = UNBLOCKED;
  /** Since when, without a pause, it has been promised something; counts while it is. */
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
    // All closures stand here and share one context: of thousands of clients each further one is felt.
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

  /** What its client speaks. */
  get format(): WireFormat {
    return this.#writer.format;
  }

  /** Whether publications may be offered to it. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /**
   * Whether it has read nothing of what it was promised for some seconds, or not all of it for several. Only a client whose
   * socket takes no more is to blame.
   */
  get blocksReplayMemory(): boolean {
    if (this.#blockedSince === UNBLOCKED || !this.outbox.isPromised) return false;
    const { beat } = this.#time;
    return (
      beat - this.#blockedSince >= STALLED_BEATS || beat - this.#promisedSince >= PROMISE_BEATS
    );
  }

  /** The beat at which to {@link tend} next, unless `ConnectionOwner.blocked` is called before. */
  get dueAt(): number {
    const { beat } = this.#time;
    const blockedDueAt = this.outbox.blocked ? beat + BLOCKED_LOOK_BEATS : NEVER;
    const { session } = this;
    const sessionDueAt = this.isOpen ? session.dueAt : session.liveness.dueAt;
    return Math.max(beat + 1, Math.min(sessionDueAt, blockedDueAt));
  }

  send(message: ServerMessage): void {
    this.sendEncoded(this.format.encodeControl(message));
  }

  /** Queues a control frame's payload in its format, which may be shared with other connections. */
  sendEncoded(frame: Uint8Array): void {
    if (this.#state === 'closing') return;
    const verdict = this.outbox.offerControl(frame);
    if (verdict === 'slow') this.close('slow');
    else this.#applyVerdict(verdict);
  }

  /** Tells of a gap or a new epoch, in its place among the publications of its channel. */
  sendInOrder(notice: Notice & { readonly frame: Uint8Array }): void {
    if (this.#state === 'closing') return;
    if (this.outbox.misses(notice.channel)) this.outbox.defer(notice);
    else this.sendNow(notice);
  }

  /**
   * The same when its place is here. A client that has left so many frames unread that there is no room for
   * it is not blamed: it is told once there is.
   */
  sendNow(notice: Notice & { readonly frame: Uint8Array }): void {
    if (this.#state === 'closing') return;
    this.#applyVerdict(this.outbox.offerNotice(notice));
  }

  /** Promises publications of the past; they are written behind all that waits. Not to be called in a flush. */
  scheduleReplay(replay: Replay): void {
    if (this.#state !== 'open') return;
    if (!this.outbox.isPromised) this.#promisedSince = this.#time.beat;
    this.outbox.replay(replay);
    // What finds room in its queue at once need not be held for it, and does not put it behind.
    this.#catchUp();
    if (!this.outbox.blocked) this.#owner.onFlushNeeded(this);
  }

  /**
   * Tells of the node's state, unless that is what the client was told last. When there is no room, it is told once
   * there is, of the state of then: so `restored` never comes without `degraded`, nor the other way round.
   *
   * @param degraded the notice that says that the node is degraded, which other connections share; undefined while it is not.
   */
  sendState(degraded: Uint8Array | undefined): void {
    this.#pendingState = degraded;
    if (this.#state === 'closing' || degraded === this.#lastSentState) return;
    const verdict = this.outbox.offerControl(degraded ?? restoredIn(this.format));
    if (verdict === 'slow') return;
    this.#lastSentState = degraded;
    this.#applyVerdict(verdict);
  }

  /** See `Flushable`. */
  touch(): number {
    return this.outbox.touchNext() + this.#webSocket.readyState + this.#socket.writableLength;
  }

  /** Writes what waits, until nothing does or the socket is blocked. */
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

  /** Ends the connection after everything that already waits was written. */
  finish(reason: CloseReason): void {
    if (this.#state !== 'open') return;
    this.#leave('finishing', reason);
    this.flush();
  }

  /** Ends the connection now; what waits is dropped. */
  close(reason: CloseReason): void {
    if (this.#state === 'closing') return;
    if (this.#state === 'open') this.#leave('closing', reason);
    this.#closeNow();
  }

  /** Ends the connection without a close frame. For a peer that would not read one. */
  terminate(reason: CloseReason): void {
    if (this.#state === 'open') this.#leave('closing', reason);
    this.#state = 'closing';
    this.outbox.clear();
    this.#webSocket.terminate();
  }

  /**
   * Does what is due.
   *
   * @param now ms on the clock of the deliveries.
   */
  tend(now: number): void {
    const verdict = this.session.judge(this.#time.beat);
    if (this.outbox.blocked && this.outbox.isLate(now)) this.close('slow');
    else if (verdict === 'dead') this.terminate('heartbeat_timeout');
    else if (!this.isOpen) return;
    else if (verdict === 'silent') this.close('silent');
    else if (verdict === 'ping') this.#ping();
  }

  #ping(): void {
    if (this.#window === undefined) this.#webSocket.ping();
    else this.#window.pingAgain();
  }

  /** The gaps come first, each before the next publication of its channel. */
  #catchUp(): void {
    for (let step = 0; step < GAPS_A_STEP && this.outbox.isBehind; step += 1) {
      const losses = this.outbox.takeLosses();
      if (losses !== undefined) this.#owner.onLosses(this, losses);
      const queued = this.outbox.catchUp();
      if (queued > 0) this.#owner.onCaughtUp(queued);
      if (losses === undefined && queued === 0) return;
    }
  }

  /** What is queued by a flush is seen to at its end. */
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
    // The socket is broken; `ws` hears of it a moment later, and until then looks open.
    if (error) return;
    this.#waitsForAnswer = this.#window?.isShut === true;
    if (this.#waitsForAnswer) return;
    this.outbox.blocked = false;
    this.#blockedSince = UNBLOCKED;
    this.session.liveness.recordLife();
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
   * A client sends on until it has read our close frame. To end the connection over what it sent would make the kernel
   * reset it, and the client would see no close code: it is read until `ws` gives the client up. Beyond
   * {@link DISCARDED_FRAMES} it is left to the kernel.
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

  /** An answer to a ping of ours is not charged: the client cannot help it. */
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

/** Which reason stands for a close that the peer began; its own codes say nothing about us. */
function reasonOfPeerCode(code: number): CloseReason {
  const ABNORMAL_CLOSURE = 1006;
  if (code === CLOSE_CODES.going_away.code) return 'going_away';
  return code === ABNORMAL_CLOSURE ? 'connection_lost' : 'normal';
}

/** Which reason stands for an error of `ws` (its codes are listed in its API page). */
function reasonOfError(code: string | undefined): CloseReason {
  switch (code) {
    case 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH':
    case 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH':
      return 'message_too_large';
    case 'WS_ERR_INVALID_UTF8':
      return 'invalid_text';
    case 'WS_ERR_TOO_MANY_BUFFERED_PARTS':
      return 'policy_violation';
    default:
      return code?.startsWith('WS_ERR_') === true ? 'protocol_error' : 'connection_lost';
  }
}
