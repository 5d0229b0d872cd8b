import type { Redis } from 'ioredis';
import type { RedisScript, ScriptArgument } from '../contract/script.ts';
import { describeError, isErrorReply, RedisUnavailableError } from '../redis-errors.ts';

/** Whether Redis may have executed a command. The outcome of a lost link depends on it. */
export interface Flight {
  sent: boolean;
  /** Whether each attempt must be preceded by ASKING; see `RedisCommands.asking`. */
  readonly isAsking?: boolean;
}

/** How Redis is asked to run a script. */
type CallForm = 'function' | 'text' | 'sha';

/**
 * The replies by which Redis says that it did not run the script, and would by another form. Some managed services rename or
 * hide FCALL, and it is unknown then.
 */
const REFUSES: Readonly<Record<CallForm, RegExp>> = {
  function: /^ERR (Function not found|unknown command)|^NOPERM .*'fcall/i,
  text: /^NOSCRIPT/,
  sha: /^NOSCRIPT/,
};

/** The user may not send scripts. */
const FORBIDS_SCRIPTS = /^NOPERM .*'eval(sha)?'/i;

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
 * A connection begins with calls of the function, by FCALL: a user who may not send scripts has nothing else. If Redis has no such
 * function, or the user may not call it, the next call carries the text (EVAL), and later calls its SHA-1 (EVALSHA). If the
 * user may not send those either, the next call is one of the function again, which an operator may have loaded by then.
 *
 * Redis refuses every call in flight without executing it when it has no such function, and after a SCRIPT FLUSH.
 * Refused calls are kept, and later calls wait behind them. When the last call in flight is answered, all of them are
 * sent again in their order, the first with the text.
 *
 * Only another client can break that order: it loads the text or the library while calls are in flight, so that Redis refuses an
 * earlier call and executes a later one. The earlier call is then rejected as not executed and not sent again, since it
 * would be executed out of order.
 */
export class ScriptCalls {
  readonly #script: RedisScript;
  /** Counts connections. Answers on an earlier one are ignored. */
  #connection = 0;
  #form: CallForm = 'function';
  /** Why Redis refused to call the function, on this connection. */
  #functionRefusal: unknown;
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
    this.#form = 'function';
    this.#functionRefusal = undefined;
    this.#inFlight = 0;
    this.#refused = [];
    this.#held = [];
    this.#overtaken.clear();
  }

  #send(redis: Redis, call: ScriptCall): void {
    const connection = this.#connection;
    const form = this.#form;
    call.flight.sent = true;
    this.#inFlight += 1;
    if (form === 'text') this.#form = 'sha';
    // Its refusal shows in the command behind it.
    if (call.flight.isAsking) redis.asking().catch(() => {});
    request(redis, form, this.#script, call).then(
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
        if (REFUSES[form].test(replyText(error))) {
          if (form === 'function') this.#functionRefusal = error;
          call.flight.sent = false;
          this.#refused.push(call);
        } else call.reject(this.#reasonOf(error));
        this.#answered(redis);
      },
    );
  }

  /** What the caller is told. A user who may not send scripts can only have the function, so its refusal counts. */
  #reasonOf(error: unknown): unknown {
    if (!FORBIDS_SCRIPTS.test(replyText(error))) return error;
    this.#form = 'function';
    return this.#functionRefusal ?? error;
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
    this.#form = 'text';
    for (const [index, call] of refused.entries()) {
      if (index < (overtaken.get(call.lane) ?? 0))
        call.reject(
          new RedisUnavailableError(
            'not-sent',
            'Redis did not have the script, and executed a later call before this one',
          ),
        );
      else this.#send(redis, call);
    }
    for (const call of held) this.#send(redis, call);
  }
}

function request(
  redis: Redis,
  form: CallForm,
  { name, text, sha }: RedisScript,
  { keys, args }: ScriptCall,
): Promise<unknown> {
  if (form === 'function') return redis.fcall(name, keys.length, ...keys, ...args);
  if (form === 'text') return redis.eval(text, keys.length, ...keys, ...args);
  return redis.evalsha(sha, keys.length, ...keys, ...args);
}

/** The reply of Redis; empty if the error is none. */
function replyText(error: unknown): string {
  return isErrorReply(error) ? describeError(error) : '';
}
