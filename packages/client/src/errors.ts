/**
 * Whatever the SDK reports or rejects with, except an abort, which rejects with its signal's reason. Compare `code`, never
 * the message.
 */
export class TradewindError extends Error {
  /** A code of docs/codes.md, or one of the SDK's own. */
  readonly code: string;
  /** Whether the same may succeed later without a change. */
  readonly retryable: boolean;

  constructor(code: string, message: string, retryable = false, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    // Minifiers shorten the names of classes.
    this.name = `TradewindError [${code}]`;
    this.code = code;
    this.retryable = retryable;
  }
}

/** A connection ended before `welcome`. Browsers hide why. */
export class ConnectError extends TradewindError {
  constructor(message: string, cause?: unknown, retryable = true) {
    super('connect_failed', message, retryable, cause);
  }
}

/** A connection that was in use ended. */
export class ConnectionLostError extends TradewindError {
  /** 1006 if it ended without a close frame. */
  readonly closeCode: number;
  /** Its name in docs/codes.md. */
  readonly closeName: string;

  constructor(closeCode: number, closeName: string, retryable: boolean) {
    super(closeName, `The connection ended with ${closeCode} ${closeName}.`, retryable);
    this.closeCode = closeCode;
    this.closeName = closeName;
  }
}

/** The token was refused twice, or none can be had. It ends the client. */
export class AuthError extends TradewindError {
  constructor(message: string, cause?: unknown) {
    super('unauthorized', message, false, cause);
  }
}

/** The function for the token failed, took too long or gave nothing. */
export class TokenError extends TradewindError {
  constructor(message: string, cause?: unknown) {
    super('token_failed', message, true, cause);
  }
}

/** A channel cannot be had, or cannot be had now. */
export class ChannelError extends TradewindError {
  readonly channel: string;

  constructor(channel: string, code: string, retryable: boolean, cause?: unknown) {
    super(code, `${channel}: ${code}`, retryable, cause);
    this.channel = channel;
  }
}

/** Something took longer than it may. */
export class TimeoutError extends TradewindError {
  readonly what: string;

  constructor(what: string) {
    super('timeout', `${what} took too long.`, true);
    this.what = what;
  }
}

/** An iterator with `overflow: 'error'` was too slow. */
export class SlowConsumerError extends TradewindError {
  readonly channel: string;
  /** The first and the last offset that it did not get; undefined for publications without offsets. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Publications that waited when it was full. */
  readonly buffered: number;

  constructor(channel: string, from: number | undefined, to: number | undefined, buffered: number) {
    super('slow_consumer', `${channel}: ${buffered} publications wait to be read.`);
    this.channel = channel;
    this.from = from;
    this.to = to;
    this.buffered = buffered;
  }
}

/** The server sent what the protocol does not have. */
export class ProtocolError extends TradewindError {
  constructor(message: string, cause?: unknown) {
    super('protocol_error', message, false, cause);
  }
}

/** The client is closed. */
export class ClosedError extends TradewindError {
  constructor() {
    super('closed', 'The client is closed.');
  }
}
