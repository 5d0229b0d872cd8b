import { ReplyError } from 'ioredis';
import { type RedisState, replyCode, stateOfReply } from './redis-states.ts';

/**
 * Redis was not there for a command.
 *
 * `outcome` says what a caller may conclude. `not-sent`: nothing was handed to the socket, or Redis said
 * that it did not know the script, so it will never be executed and is safe to repeat. `unknown`: the link was lost after it was handed over, so
 * Redis may have executed it, or may yet do so when it was only frozen.
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
 * Made from ioredis' error because that one carries the command's arguments (payloads, and in a
 * handshake the password), which do not belong in a log.
 */
export class RedisRefusedError extends Error {
  override readonly name = 'RedisRefusedError';
  /** The reply's word, such as `NOPERM`, `READONLY`, `OOM`, `LOADING`, `MASTERDOWN`, `ERR`. */
  readonly code: string;
  /** The row of what Redis says that this is. */
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

/** One line on what went wrong, without the error's other properties, which may hold secrets. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  // Node gives an AggregateError without a message when a host has several addresses.
  return 'code' in error ? String(error.code) : error.name;
}

/** Whether the ACL does not allow this command, in lower case; of a key that it does not allow, Redis speaks otherwise. */
export function isCommandForbidden(error: unknown, command: string): boolean {
  if (!(error instanceof RedisRefusedError) || error.code !== 'NOPERM') return false;
  return error.message.includes(`'${command}'`);
}
