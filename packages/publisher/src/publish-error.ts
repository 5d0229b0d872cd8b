/** What Redis says while it cannot publish, and what ends by itself: the same call again may succeed. */
const PASSING = new Set([
  ...['LOADING', 'BUSY', 'UNKILLABLE', 'OOM', 'MISCONF', 'CLUSTERDOWN', 'TRYAGAIN', 'NOSCRIPT'],
  ...['READONLY', 'MASTERDOWN', 'NOREPLICAS', 'NOFUNCTION', 'TWLATE', 'CONNECTION', 'TIMEOUT'],
]);

/** The server at the end of this connection may no longer be the master, or is silent: a new connection may lead elsewhere. */
const STALE = new Set(['READONLY', 'MASTERDOWN', 'NOREPLICAS', 'TIMEOUT']);

/** A reply's first word. Before version 7, Redis puts the script's line in front: `@user_script: 108: -OOM …`. */
const CODE = /^(?:@\w+: \d+: )?-?([A-Z][A-Z0-9_]+)(?: |$)/;

/** How a Cluster of ioredis says that it has repeated a command for long enough; the last answer stands behind it. */
const GIVEN_UP = /^Too many Cluster redirections\. Last error: (?:\w+: )?/;

/** Why one try did not publish. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** Whether Redis may have executed the call all the same. */
  readonly isUnknown: boolean;
}

/** A publication was not published, or it is unknown whether it was: see {@link PublishError.published}. */
export class PublishError extends Error {
  override readonly name = 'PublishError';
  /**
   * The first word of Redis' answer (docs/publishing.md), such as `NOPERM`, `TWTYPE`, `LOADING`; or
   * - `BAD_CHANNEL`, `BAD_KEY`, `BAD_PAYLOAD`, `TOO_LARGE`: refused here, before anything was sent;
   * - `CONNECTION`, `TIMEOUT`: the connection was lost, or no answer came;
   * - `NOFUNCTION`: Redis does not have the Function library;
   * - `OVERTAKEN`: a later publication of the same channel was published while this one was refused;
   * - `BAD_REPLY`: Redis answered something that the script never answers.
   */
  readonly code: string;
  /** Whether the same call, with the same key, may succeed later. */
  readonly retryable: boolean;
  /** `no`: no client receives it. `unknown`: repeat it with the same {@link key}, which publishes it at most once. */
  readonly published: 'no' | 'unknown';
  readonly channel: string;
  /** The idempotency key: the caller's, or the random one that was made for this call. */
  readonly key: string;

  constructor(failure: Failure, channel: string, key: string) {
    super(`${channel}: ${failure.message}`);
    this.code = failure.code;
    this.retryable = isPassing(failure.code) || failure.code === 'OVERTAKEN';
    this.published = failure.isUnknown ? 'unknown' : 'no';
    this.channel = channel;
    this.key = key;
  }
}

/** Whether the same call is worth another try. */
export function isPassing(code: string): boolean {
  return PASSING.has(code);
}

/** Whether another try needs another connection. */
export function needsNewConnection(code: string): boolean {
  return STALE.has(code);
}

/**
 * What a rejected command means. The client's error itself is not kept: ioredis puts the command's arguments into it, and a
 * payload must not reach a log.
 */
export function failureOf(error: unknown): Failure {
  const text = error instanceof Error ? error.message || error.name : String(error);
  const message = text.replace(GIVEN_UP, '');
  const isSystemError = error instanceof Error && 'syscall' in error;
  const code = isSystemError ? undefined : CODE.exec(message)?.[1];
  if (code === undefined) return { code: 'CONNECTION', message, isUnknown: true };
  const isMissing = code === 'ERR' && /Function not found/.test(message);
  // Of the tries before the last one the client says nothing.
  const isUnknown = message !== text;
  return { code: isMissing ? 'NOFUNCTION' : code, message, isUnknown };
}

/** Whether the user may not run one of these commands at all, whatever its keys. @param commands in lower case. */
export function isForbidden({ code, message }: Failure, ...commands: readonly string[]): boolean {
  return code === 'NOPERM' && commands.some((command) => message.includes(`'${command}'`));
}
