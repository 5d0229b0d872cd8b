import {
  type ClientMessage,
  type ErrorCode,
  encodeServerMessage,
  errorMessage,
  parseClientMessage,
  type RequestId,
} from '@tradewind/protocol';
import type { Connection } from './connection.ts';
import type { LimitGuard } from './limits.ts';
import type { Subscriptions } from './subscriptions.ts';

/**
 * Requests of a client that may be ignored before it is disconnected for sending on regardless. Each
 * one that is answered makes up for one that was not, so that rare bursts do not add up.
 */
const IGNORED_REQUESTS_AT_MOST = 200;

const decoder = new TextDecoder();
const BINARY_NOT_AVAILABLE = encodeServerMessage(
  errorMessage('not_available', 'binary frames are not available', undefined),
);

/** Answers what clients send. Nothing that they send makes it throw. */
export class Requests {
  readonly #subscriptions: Subscriptions;
  readonly #rejected: (code: ErrorCode) => void;
  readonly #guard: LimitGuard;

  /** @param rejected told of each request that was answered with an error. */
  constructor(
    subscriptions: Subscriptions,
    rejected: (code: ErrorCode) => void,
    guard: LimitGuard,
  ) {
    this.#guard = guard;
    this.#subscriptions = subscriptions;
    this.#rejected = rejected;
  }

  /** @param now ms on the monotonic clock. */
  handle(connection: Connection, data: Buffer, isBinary: boolean, now: number): void {
    if (!connection.requestBudget.take(now) && this.#guard.refuses('requests')) {
      this.#slowDown(connection);
      return;
    }
    connection.ignoredRequests = Math.max(0, connection.ignoredRequests - 1);
    if (isBinary) {
      this.#rejected('not_available');
      connection.sendEncoded(BINARY_NOT_AVAILABLE);
    } else {
      const parsed = parseClientMessage(decoder.decode(data));
      if (parsed.ok) this.#answer(connection, parsed.message, now);
      else this.#refuse(connection, parsed.fault.code, parsed.fault.message, parsed.fault.id);
    }
  }

  /**
   * Charges a WebSocket ping or pong like a request: `ws` has answered it already, which costs as
   * much as an answer of ours.
   */
  handleControlFrame(connection: Connection, now: number): void {
    if (connection.requestBudget.take(now) || !this.#guard.refuses('requests')) return;
    connection.ignoredRequests += 1;
    if (connection.ignoredRequests > IGNORED_REQUESTS_AT_MOST) connection.close('rate_limited');
  }

  #answer(connection: Connection, message: ClientMessage, now: number): void {
    switch (message.type) {
      case 'subscribe':
        this.#subscriptions.subscribe(connection, message, now);
        break;
      case 'unsubscribe':
        this.#subscriptions.unsubscribe(connection, message);
        break;
      case 'ping':
        connection.send({ type: 'pong', id: message.id, serverTime: Date.now() });
        break;
      case 'auth':
        this.#refuse(
          connection,
          'not_available',
          'this node asks for no authentication',
          message.id,
        );
    }
  }

  #slowDown(connection: Connection): void {
    connection.ignoredRequests += 1;
    if (connection.ignoredRequests > IGNORED_REQUESTS_AT_MOST) {
      connection.close('rate_limited');
      return;
    }
    this.#rejected('rate_limited');
    connection.send(
      errorMessage(
        'rate_limited',
        'too many requests; this one was ignored',
        undefined,
        connection.requestBudget.waitMs(),
      ),
    );
  }

  #refuse(
    connection: Connection,
    code: ErrorCode,
    message: string,
    id: RequestId | undefined,
  ): void {
    this.#rejected(code);
    connection.send(errorMessage(code, message, id));
  }
}
