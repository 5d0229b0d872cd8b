import type { Redis } from 'ioredis';
import type { RedisScript, ScriptArgument } from '../contract/script.ts';
import { describeError, isErrorReply, RedisUnavailableError } from '../redis-errors.ts';

/** Whether Redis may have executed a command by now. What a lost link means for it depends on that. */
export interface Flight {
  sent: boolean;
}

interface ScriptCall {
  readonly flight: Flight;
  /** Calls with the same text here are executed in their order. */
  readonly lane: string;
  readonly keys: readonly string[];
  readonly args: readonly ScriptArgument[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The calls of one script on one connection, executed in the order of the calls and each at most once.
 *
 * The first call on a connection carries the text, the others its SHA-1. When the scripts are flushed
 * in between, Redis refuses those under way one after the other, none of them executed. They are kept;
 * later calls wait behind them; and when the last one under way is answered, all of them go out again
 * in their order, the first with the text.
 *
 * That order could be broken by another client alone, which loads the same text while our calls are
 * under way, so that the later of two is executed and the earlier was refused. The earlier one is then
 * rejected as not executed, rather than sent behind its time.
 */
export class ScriptCalls {
  readonly #script: RedisScript;
  /** Changes with the connection; what an earlier one still answers is no longer listened to. */
  #connection = 0;
  #textSent = false;
  #underWay = 0;
  #refused: ScriptCall[] = [];
  #held: ScriptCall[] = [];
  /** For a lane: how many of the refused calls a later call of that lane was executed before. */
  readonly #overtaken = new Map<string, number>();

  constructor(script: RedisScript) {
    this.#script = script;
  }

  /** The memory of `args` is read again when the call has to be repeated. */
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

  /** The connection is lost, and nothing that was under way on it is settled here. */
  connectionLost(): void {
    this.#connection += 1;
    this.#textSent = false;
    this.#underWay = 0;
    this.#refused = [];
    this.#held = [];
    this.#overtaken.clear();
  }

  #send(redis: Redis, call: ScriptCall): void {
    const connection = this.#connection;
    const { keys, args } = call;
    const { sha, text } = this.#script;
    call.flight.sent = true;
    this.#underWay += 1;
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
    this.#underWay -= 1;
    if (this.#underWay > 0 || this.#refused.length === 0) return;
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
