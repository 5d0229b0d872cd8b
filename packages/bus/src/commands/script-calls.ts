import type { Redis } from 'ioredis';
import type { RedisScript, ScriptArgument } from '../contract/script.ts';
import { describeError, isErrorReply, RedisUnavailableError } from '../redis-errors.ts';

/** Whether Redis may have executed a command. The outcome of a lost link depends on it. */
export interface Flight {
  sent: boolean;
}

interface ScriptCall {
  readonly flight: Flight;
  /** Calls of one lane are executed in their order. */
  readonly lane: string;
  readonly keys: readonly string[];
  readonly args: readonly ScriptArgument[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The calls of one script on one connection. They are executed in their order, each at most once.
 *
 * The first call on a connection carries the text, later calls its SHA-1. After a SCRIPT FLUSH Redis refuses every call in
 * flight without executing it. Refused calls are kept, and later calls wait behind them. When the last call in flight is
 * answered, all of them are sent again in their order, the first with the text.
 *
 * Only another client can break that order: it loads the same text while calls are in flight, so that Redis refuses an
 * earlier call and executes a later one. The earlier call is then rejected as not executed and not sent again, since it
 * would be executed out of order.
 */
export class ScriptCalls {
  readonly #script: RedisScript;
  /** Counts connections. Answers on an earlier one are ignored. */
  #connection = 0;
  #textSent = false;
  #inFlight = 0;
  #refused: ScriptCall[] = [];
  #held: ScriptCall[] = [];
  /** Lane → how many of the refused calls precede a later call of that lane that was executed. */
  readonly #overtaken = new Map<string, number>();

  constructor(script: RedisScript) {
    this.#script = script;
  }

  /** Sends a call. The caller must not change the memory of `args` before it settles, because the call may be repeated. */
  call(
    redis: Redis,
    flight: Flight,
    lane: string,
    keys: readonly string[],
    args: readonly ScriptArgument[],
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call: ScriptCall = { flight, lane, keys, args, resolve, reject };
      if (this.#refused.length === 0) {
        this.#send(redis, call);
        return;
      }
      flight.sent = false;
      this.#held.push(call);
    });
  }

  /** Forgets every call in flight, because the connection is lost. The caller settles them. */
  connectionLost(): void {
    this.#connection += 1;
    this.#textSent = false;
    this.#inFlight = 0;
    this.#refused = [];
    this.#held = [];
    this.#overtaken.clear();
  }

  #send(redis: Redis, call: ScriptCall): void {
    const connection = this.#connection;
    const { keys, args } = call;
    const { sha, text } = this.#script;
    call.flight.sent = true;
    this.#inFlight += 1;
    const reply = this.#textSent
      ? redis.evalsha(sha, keys.length, ...keys, ...args)
      : redis.eval(text, keys.length, ...keys, ...args);
    this.#textSent = true;
    reply.then(
      (value) => {
        if (connection !== this.#connection) return;
        if (this.#refused.length > 0) this.#overtaken.set(call.lane, this.#refused.length);
        call.resolve(value);
        this.#answered(redis);
      },
      (error: unknown) => {
        if (connection !== this.#connection) {
          call.reject(error);
          return;
        }
        if (isUnknownScript(error)) {
          call.flight.sent = false;
          this.#refused.push(call);
        } else call.reject(error);
        this.#answered(redis);
      },
    );
  }

  #answered(redis: Redis): void {
    this.#inFlight -= 1;
    if (this.#inFlight > 0 || this.#refused.length === 0) return;
    const refused = this.#refused;
    const held = this.#held;
    const overtaken = new Map(this.#overtaken);
    this.#refused = [];
    this.#held = [];
    this.#overtaken.clear();
    this.#textSent = false;
    for (const [index, call] of refused.entries()) {
      if (index < (overtaken.get(call.lane) ?? 0))
        call.reject(
          new RedisUnavailableError(
            'not-sent',
            'the script was flushed, and a later call was executed before this one',
          ),
        );
      else this.#send(redis, call);
    }
    for (const call of held) this.#send(redis, call);
  }
}

function isUnknownScript(error: unknown): boolean {
  return isErrorReply(error) && describeError(error).startsWith('NOSCRIPT');
}
