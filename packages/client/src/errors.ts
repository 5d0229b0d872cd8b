/**
 * Whatever the SDK reports or rejects with, except an abort, which rejects with its signal's reason. Compare `code`, never
 * the message.
 */
export class TradewindError extends Error {
  /** A code of docs/codes.md, or one of the SDK's own. */
  readonly code: string;
  /** Whether the same attempt may succeed later without a change. */
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

/** A node asks for a token and there is none, it refused the token twice, or the function for the token threw this error. Ends the client. */
export class AuthError extends TradewindError {
  constructor(message: string, cause?: unknown) {
    super('unauthorized', message, false, cause);
  }
}

/** The function for the token failed, took too long or returned no token. */
export class TokenError extends TradewindError {
  constructor(message: string, cause?: unknown) {
    super('token_failed', message, true, cause);
  }
}

/** A node refused a channel, or the name is not one; `retryable` tells whether it may be granted later. */
export class ChannelError extends TradewindError {
  /** The name of the channel. */
  readonly channel: string;

  constructor(channel: string, code: string, retryable: boolean, cause?: unknown) {
    super(code, `${channel}: ${code}`, retryable, cause);
    this.channel = channel;
  }
}

/** Something took longer than its limit. */
export class TimeoutError extends TradewindError {
  /** What took too long, in words. */
  readonly what: string;

  constructor(what: string) {
    super('timeout', `${what} took too long.`, true);
    this.what = what;
  }
}

/** An iterator with `overflow: 'error'` was too slow. */
export class SlowConsumerError extends TradewindError {
  /** The name of the channel. */
  readonly channel: string;
  /** The first offset that it did not get; undefined for publications without offsets. */
  readonly from: number | undefined;
  /** The last offset that it did not get; undefined where `from` is. */
  readonly to: number | undefined;
  /** The number of publications that waited when the buffer was full. */
  readonly buffered: number;

  constructor(channel: string, from: number | undefined, to: number | undefined, buffered: number) {
    super('slow_consumer', `${channel}: ${buffered} publications wait to be read.`);
    this.channel = channel;
    this.from = from;
    this.to = to;
    this.buffered = buffered;
  }
}

/** The server sent something that the protocol does not allow. */
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
