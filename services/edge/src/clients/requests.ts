import {
  type ClientMessage,
  type ErrorCode,
  errorMessage,
  parseClientMessage,
  type RequestId,
} from '@tradewind/protocol';
import type { LimitGuard } from '../limits.ts';
import { oncePerFormat } from '../outbound/wire-format.ts';
import { type Authentication, type AuthenticationFault, explain } from './authentication.ts';
import type { Connection } from './connection/connection.ts';
import type { Session } from './session/session.ts';
import type { Subscriptions } from './subscriptions/subscriptions.ts';

/** The most ignored requests of one client. One more disconnects it. */
const MAX_IGNORED_REQUESTS = 200;

/**
 * How many ignored requests each answered one makes up for, so that rare bursts do not add up. A client that sends up to
 * three times its rate is held to the rate; a client that sends more is disconnected.
 */
const FORGIVEN_PER_REQUEST = 2;

/**
 * The most unread pongs of one client. With one more, `ws` ends the connection without a close frame. All pings of one read of
 * the socket count. The number is above the default burst of requests (`EDGE_REQUEST_BURST`) plus {@link MAX_IGNORED_REQUESTS},
 * so a client that reads is told a code first. With the default of `ws`, 60, a few dozen pings at once lost the connection.
 */
export const MAX_PENDING_PONGS = 1_024;

/**
 * The window in which a client's errors are counted, in ms. Without a limit in it, a client that sends junk below its rate of
 * requests would be answered for ever.
 */
export const ERROR_WINDOW_MS = 5_000;

/** The wait that a client is told with a token that could not be verified, in ms: too many are in flight, or there are no keys. */
const VERIFY_AGAIN_MS: Partial<Record<ErrorCode, number>> = {
  rate_limited: 1_000,
  unavailable: 10_000,
};

const decoder = new TextDecoder();
const BINARY_NOT_AVAILABLE = errorMessage(
  'not_available',
  'Binary frames are not available.',
  undefined,
);
const binaryNotAvailableIn = oncePerFormat((format) => format.encodeControl(BINARY_NOT_AVAILABLE));

/** Answers the messages of clients. No message makes it throw. */
export class Requests {
  readonly #subscriptions: Subscriptions;
  readonly #onRejected: (code: ErrorCode) => void;
  readonly #guard: LimitGuard;
  readonly #maxErrors: number;
  readonly #authentication: Authentication | undefined;
  readonly #onTokenRefused: (fault: AuthenticationFault, session: Session) => void;

  /**
   * @param onRejected hears of each request that was answered with an error.
   * @param maxErrors errors within {@link ERROR_WINDOW_MS}; the last of them ends the connection.
   * @param authentication undefined if the node asks for no tokens.
   * @param onTokenRefused hears of each token that was refused.
   */
  constructor(
    subscriptions: Subscriptions,
    onRejected: (code: ErrorCode) => void,
    guard: LimitGuard,
    maxErrors: number,
    authentication?: Authentication,
    onTokenRefused: (fault: AuthenticationFault, session: Session) => void = () => undefined,
  ) {
    this.#authentication = authentication;
    this.#onTokenRefused = onTokenRefused;
    this.#maxErrors = maxErrors;
    this.#guard = guard;
    this.#subscriptions = subscriptions;
    this.#onRejected = onRejected;
  }

  /**
   * Answers a message, or ignores it if it is beyond the client's rate.
   *
   * @param now ms on the monotonic clock.
   */
  handle(connection: Connection, data: Buffer, isBinary: boolean, now: number): void {
    const isBeyond = this.#isBeyond(connection.session, now);
    if (!isBeyond)
      connection.session.ignoredRequests = Math.max(
        0,
        connection.session.ignoredRequests - FORGIVEN_PER_REQUEST,
      );
    else if (!this.#mayIgnore(connection)) return;
    if (isBinary) {
      if (isBeyond) this.#slowDown(connection, undefined);
      else this.#refuseBinary(connection, now);
      return;
    }
    // Ignored requests are parsed too, for their `id`. The connection ends before the cost of that adds up.
    const parsed = parseClientMessage(decoder.decode(data));
    const { id } = parsed.ok ? parsed.message : parsed.fault;
    if (isBeyond && !(parsed.ok && parsed.message.type === 'unsubscribe')) {
      this.#slowDown(connection, id);
    } else if (parsed.ok) {
      this.#dispatch(connection, parsed.message, now);
    } else {
      this.#refuse(connection, parsed.fault.code, parsed.fault.message, id, now);
    }
  }

  /**
   * Charges a WebSocket ping or pong like a request: `ws` has answered it already, which costs as much as a reply of ours.
   */
  handleControlFrame(connection: Connection, now: number): void {
    if (this.#isBeyond(connection.session, now)) this.#mayIgnore(connection);
  }

  /** Verifies a token that came with `auth`, or in the handshake (then without an `id`), and answers the client. */
  async authenticate(
    connection: Connection,
    token: string,
    id: RequestId | undefined,
  ): Promise<void> {
    const fault = await this.#authentication?.identify(connection, token, id);
    if (fault === undefined) return;
    this.#onTokenRefused(fault, connection.session);
    if (!connection.isOpen) return;
    const { code } = fault;
    const isFull = fault.cause === 'connections';
    const retryAfterMs = isFull ? undefined : VERIFY_AGAIN_MS[code];
    this.#refuse(connection, code, explain(fault), id, performance.now(), retryAfterMs);
    if (isFull) {
      disconnect(connection);
      return;
    }
    // A client that has an identity keeps it, and its connection, until the identity ends.
    if (code === 'rate_limited' || connection.session.identity?.current !== undefined) return;
    connection.flush();
    // Without keys the code must not blame the token: the client must come back with it.
    connection.close(code === 'unavailable' ? 'internal' : code);
  }

  #dispatch(connection: Connection, message: ClientMessage, now: number): void {
    const { identity } = connection.session;
    if (identity !== undefined && message.type !== 'auth' && identity.current === undefined) {
      this.#refuse(connection, 'auth_required', 'Send `auth` first.', message.id, now);
      return;
    }
    switch (message.type) {
      case 'subscribe':
        if (identity?.leftMs(Date.now()) === 0) {
          this.#refuse(connection, 'token_expired', 'Send a new token first.', message.id, now);
          break;
        }
        this.#subscriptions.subscribe(connection, message, now);
        if (message.channels.length === 0) this.#countError(connection, now);
        break;
      case 'unsubscribe':
        this.#subscriptions.unsubscribe(connection, message);
        break;
      case 'ping':
        connection.send({ type: 'pong', id: message.id, serverTime: Date.now() });
        break;
      case 'auth':
        if (identity !== undefined) {
          void this.authenticate(connection, message.token, message.id);
          break;
        }
        this.#refuse(
          connection,
          'not_available',
          'This node asks for no authentication.',
          message.id,
          now,
        );
    }
  }

  /** Whether a request exceeds the rate of its client, or of the client's subject, and must be ignored. */
  #isBeyond({ requestBudget, subjectOwner }: Session, now: number): boolean {
    if (!requestBudget.take(now)) return this.#guard.refuses('requests');
    const isShared = subjectOwner?.take('requests', now) ?? true;
    return !isShared && this.#guard.refuses('subject_requests');
  }

  /** Counts an ignored request. Returns false, and disconnects the client, if it was one too many. */
  #mayIgnore(connection: Connection): boolean {
    connection.session.ignoredRequests += 1;
    if (connection.session.ignoredRequests <= MAX_IGNORED_REQUESTS) return true;
    disconnect(connection);
    return false;
  }

  #slowDown(connection: Connection, id: RequestId | undefined): void {
    const { requestBudget, subjectOwner } = connection.session;
    const waitMs = Math.max(requestBudget.waitMs(), subjectOwner?.waitMs('requests') ?? 0);
    this.#onRejected('rate_limited');
    connection.send(
      errorMessage('rate_limited', 'Too many requests; this one was ignored.', id, waitMs),
    );
  }

  #refuse(
    connection: Connection,
    code: ErrorCode,
    message: string,
    id: RequestId | undefined,
    now: number,
    retryAfterMs?: number,
  ): void {
    this.#onRejected(code);
    connection.send(errorMessage(code, message, id, retryAfterMs));
    this.#countError(connection, now);
  }

  #refuseBinary(connection: Connection, now: number): void {
    this.#onRejected('not_available');
    connection.sendEncoded(binaryNotAvailableIn(connection.format));
    this.#countError(connection, now);
  }

  /** Counts an error, and ends the connection with the last one that is allowed. */
  #countError(connection: Connection, now: number): void {
    const { session } = connection;
    session.errorTimes ??= [];
    const { errorTimes } = session;
    if (errorTimes.push(now) < this.#maxErrors) return;
    const first = errorTimes.shift() ?? now;
    if (now - first < ERROR_WINDOW_MS && this.#guard.refuses('errors')) disconnect(connection);
  }
}

/** Sends the replies that wait, and then closes the connection. */
function disconnect(connection: Connection): void {
  connection.flush();
  connection.close('rate_limited');
}
