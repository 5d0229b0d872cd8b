import { ReplyError } from 'ioredis';
import { type RedisState, replyCode, stateOfReply } from './redis-states.ts';

/**
 * Redis was unavailable for a command. `outcome` says what the caller may conclude:
 * - `not-sent`: no byte reached the socket, or Redis did not know the script. It was not executed and may be repeated.
 * - `unknown`: the link was lost after the command was sent. Redis may have executed it; a frozen Redis may still do so.
 */
export class RedisUnavailableError extends Error {
  override readonly name = 'RedisUnavailableError';
  readonly code = 'unavailable';
  readonly outcome: 'not-sent' | 'unknown';

  constructor(outcome: 'not-sent' | 'unknown', reason: string) {
    super(reason);
    this.outcome = outcome;
  }
}

/**
 * Redis answered a command with an error and did not execute it.
 *
 * Replaces the error of ioredis, which carries the command's arguments. Payloads, and the password of a handshake,
 * must not reach a log.
 */
export class RedisRefusedError extends Error {
  override readonly name = 'RedisRefusedError';
  /** The reply's code, such as `NOPERM`, `READONLY`, `OOM`, `LOADING`, `MASTERDOWN`, `ERR`. */
  readonly code: string;
  /** The reply's row in `REDIS_STATES`. */
  readonly state: RedisState;

  constructor(reply: string) {
    super(reply);
    this.code = replyCode(reply);
    this.state = stateOfReply(reply);
  }
}

/** Whether ioredis rejected a command because Redis answered with an error. */
export function isErrorReply(error: unknown): error is Error {
  return error instanceof ReplyError;
}

/** Returns one line that says what went wrong, without the error's other properties, which may hold secrets. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  // Node gives an AggregateError without a message when a host has several addresses.
  return 'code' in error ? String(error.code) : error.name;
}

/** Whether the ACL forbids the command itself, and not one of its keys. @param command in lower case. */
export function isCommandForbidden(error: unknown, command: string): boolean {
  if (!(error instanceof RedisRefusedError) || error.code !== 'NOPERM') return false;
  return error.message.includes(`'${command}'`);
}
