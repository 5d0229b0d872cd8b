import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodePayload, refusalOf } from './check-publication.ts';
import {
  type Failure,
  failureOf,
  isForbidden,
  isPassing,
  needsNewConnection,
  PublishError,
} from './publish-error.ts';
import { SCRIPT_NAME, SCRIPT_SHA, SCRIPT_TEXT } from './publish-script.ts';
import { RedisClock } from './redis-clock.ts';
import {
  type PublisherRedis,
  type RedisArgument,
  RedisConnection,
  type Server,
} from './redis-connection.ts';
import type {
  CallOptions,
  Publication,
  PublicationData,
  Published,
  Publisher,
  PublisherOptions,
  PublishOptions,
  PublishResult,
} from './types.ts';

/** The most publications in one pipeline: with the largest payloads, 32 MiB that Redis and the client may have to hold. */
const PIPELINE = 512;

/** Waits between tries are drawn from 0 to this many ms, doubled with each try, up to the second number. */
const FIRST_WAIT_MS = 25;
const MAX_WAIT_MS = 1_000;

/** A try takes six round trips at most; with less time than this left, in ms, none is begun. */
const LAST_TRY_MS = 20;

/** A `notAfterMs` with which Redis publishes nothing, but answers to a key that it knows. */
const LONG_AGO = '1';

/** How long an answer may take, in ms, before the connection counts as lost. Redis answers within a few. */
const ANSWER_MS = 2_000;

/** One publication on its way. */
interface Call {
  readonly channel: string;
  readonly key: string;
  readonly payload: RedisArgument;
  /** A try may have been executed. */
  isUnknown: boolean;
  /** A later one of its channel was published, so it must not be any more. */
  isOvertaken: boolean;
  /** The next try only asks whether it was published. Others of its channel wait for the answer. */
  onlyAsks: boolean;
  /** Redis answered that it does not know the script. */
  lacksScript: boolean;
  /** The last try called the Function library. */
  byFunction: boolean;
  /** The server that it was sent to. */
  server: Server;
  /** Why the tries so far have failed. */
  lastFailure: Failure | undefined;
  result: PublishResult | undefined;
}

type Answer = { readonly published: Published } | { readonly failure: Failure };

/**
 * Makes a publisher on a connection of the caller's, who ends it. It should have none but this use, because it is replaced when it
 * leads to a demoted master or falls silent.
 *
 * @throws RangeError if `keyWindowMs` is not longer than `deadlineMs`: a late repetition would publish twice.
 */
export function createPublisher(redis: PublisherRedis, options: PublisherOptions = {}): Publisher {
  const connection = new RedisConnection(redis);
  return new RedisPublisher(connection, {
    history: options.history ?? 1_000,
    historyTtlMs: options.historyTtlMs ?? 3_600_000,
    keyWindowMs: options.keyWindowMs ?? 600_000,
    deadlineMs: options.deadlineMs ?? 5_000,
    maxPublicationBytes: options.maxPublicationBytes ?? 65_536,
    useFunction: options.useFunction ?? false,
    sharded: options.sharded ?? connection.isCluster,
  });
}

class RedisPublisher implements Publisher {
  readonly #connection: RedisConnection;
  readonly #clock: RedisClock;
  readonly #options: Required<PublisherOptions>;
  /** The user may not EVAL, so the Function library is called. */
  #usesFunction: boolean;
  /** Redis has the script: it executed it, and the connection was not lost since. */
  #isLoaded = false;

  constructor(connection: RedisConnection, options: Required<PublisherOptions>) {
    if (options.keyWindowMs <= options.deadlineMs)
      throw new RangeError('keyWindowMs must be longer than deadlineMs');
    this.#connection = connection;
    this.#clock = new RedisClock(connection);
    this.#options = options;
    this.#usesFunction = options.useFunction;
  }

  async publish(channel: string, data: PublicationData, options: PublishOptions = {}) {
    const { key = randomUUID() } = options;
    const [result] = await this.publishMany([{ channel, data, key }], options);
    if (!result!.ok) throw result!.error;
    const { epoch, offset, duplicate } = result!;
    return { epoch, offset, duplicate };
  }

  async publishMany(publications: readonly Publication[], options: CallOptions = {}) {
    const { deadlineMs = this.#options.deadlineMs } = options;
    const deadline = performance.now() + Math.min(deadlineMs, this.#options.keyWindowMs);
    const calls = publications.map((publication) => this.#prepare(publication));
    const sendable = calls.filter(({ result }) => result === undefined);
    for (let i = 0; i < sendable.length; i += PIPELINE)
      await this.#settle(sendable.slice(i, i + PIPELINE), deadline);
    return calls.map(({ result }) => result!);
  }

  #prepare({ channel, data, key = randomUUID() }: Publication): Call {
    const encoded =
      refusalOf(channel, key) ?? encodePayload(data, this.#options.maxPublicationBytes);
    const isRefused = 'code' in encoded;
    const call: Call = {
      ...{ channel, key, payload: isRefused ? '' : encoded.payload },
      ...{
        isUnknown: false,
        isOvertaken: false,
        onlyAsks: false,
        lacksScript: false,
        byFunction: false,
        server: this.#connection.serverOf(channel),
      },
      ...{ lastFailure: undefined, result: undefined },
    };
    if (isRefused) fail(call, { ...encoded, isUnknown: false });
    return call;
  }

  /** Gives each call a result, in as many rounds as the deadline allows. */
  async #settle(calls: readonly Call[], deadline: number): Promise<void> {
    let open = calls;
    for (let waits = 0; ; ) {
      if (performance.now() >= deadline) {
        for (const call of open) fail(call, call.lastFailure ?? TOO_LATE);
        return;
      }
      const answers = await this.#round(open, deadline);
      const isRefusedForm = this.#take(open, answers);
      open = open.filter(({ result }) => result === undefined);
      if (open.length === 0) return;
      // Redis takes the same call in another form: there is nothing to wait for.
      if (isRefusedForm) continue;
      const most = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** waits);
      waits += 1;
      const left = deadline - performance.now();
      // The last wait leaves time for a last try.
      await sleep(left <= LAST_TRY_MS ? left : Math.min(Math.random() * most, left - LAST_TRY_MS));
    }
  }

  /**
   * Takes over what one round brought, and leaves calls without a result that are worth another. Returns whether one of these was
   * refused only for its form, so that another round can begin at once.
   */
  #take(calls: readonly Call[], answers: readonly (Answer | undefined)[]): boolean {
    const published = new Set<string>();
    const open = new Map<string, number>();
    let isRefusedForm = false;
    for (let i = calls.length - 1; i >= 0; i -= 1) {
      const call = calls[i]!;
      const answer = answers[i];
      const { channel } = call;
      if (answer !== undefined && 'published' in answer) {
        published.add(channel);
        call.result = { ok: true, ...answer.published };
        this.#isLoaded = true;
        continue;
      }
      if (answer !== undefined) {
        const { failure } = answer;
        const isForm = this.#learn(call, failure);
        call.isUnknown ||= failure.isUnknown;
        // What Redis said before tells more than that the deadline cut the last try short.
        if (failure.code !== 'TIMEOUT') call.lastFailure = failure;
        else call.lastFailure ??= failure;
        isRefusedForm ||= isForm;
        if (call.onlyAsks && failure.code === 'TWLATE') {
          call.isUnknown = false;
          call.onlyAsks = false;
          isRefusedForm = true;
        } else if (!isForm && !isPassing(failure.code)) {
          fail(call, failure);
          continue;
        }
      }
      call.isOvertaken ||= published.has(channel);
      if (call.isOvertaken && !call.isUnknown) fail(call, OVERTAKEN);
      else open.set(channel, (open.get(channel) ?? 0) + 1);
    }
    // If a later one was published, an earlier one must not be any more. So it is asked first which of them were; ioredis may even
    // have sent them again by itself.
    for (const call of calls)
      call.onlyAsks ||= call.isUnknown && (call.isOvertaken || (open.get(call.channel) ?? 0) > 1);
    return isRefusedForm;
  }

  /** Draws the consequences of a failure for the next try. Returns whether Redis would take the same call in another form. */
  #learn(call: Call, failure: Failure): boolean {
    const { code } = failure;
    if (code === 'NOSCRIPT' || code === 'CONNECTION' || code === 'TIMEOUT') this.#isLoaded = false;
    // Another server may answer next, and its clock is another.
    if (code !== 'NOSCRIPT' && isPassing(code)) this.#clock.forget(call.server);
    if (needsNewConnection(code)) this.#connection.replace(call.server);
    if (code === 'NOSCRIPT') call.lacksScript = true;
    else if (call.byFunction || !isForbidden(failure, 'eval', 'evalsha')) return false;
    else this.#usesFunction = true;
    return true;
  }

  /** One answer each at the deadline at the latest, and none to those that wait for others. The servers of a Cluster are asked side by side. */
  async #round(calls: readonly Call[], deadline: number): Promise<(Answer | undefined)[]> {
    const byServer = new Map<PublisherRedis, Call[]>();
    for (const call of calls) {
      call.server = this.#connection.serverOf(call.channel);
      const { client } = call.server;
      const others = byServer.get(client);
      if (others === undefined) byServer.set(client, [call]);
      else others.push(call);
    }
    const answers = new Map<Call, Answer | undefined>();
    const rounds = [...byServer.values()].map(async (group) => {
      const told = await this.#roundOfServer(group, deadline);
      for (const [index, call] of group.entries()) answers.set(call, told[index]);
    });
    await Promise.all(rounds);
    return calls.map((call) => answers.get(call));
  }

  /** Sends calls of one server in one pipeline. */
  async #roundOfServer(calls: readonly Call[], deadline: number): Promise<(Answer | undefined)[]> {
    const asking = new Set(calls.filter(({ onlyAsks }) => onlyAsks).map(({ channel }) => channel));
    let timer: NodeJS.Timeout | undefined;
    const patience = Math.max(1, Math.min(ANSWER_MS, deadline - performance.now()));
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Silence()), patience);
    });
    silence.catch(() => {});
    try {
      const notAfterMs = await Promise.race([this.#clock.at(deadline, calls[0]!.server), silence]);
      const byChannel = new Map<string, Call[]>();
      for (const call of calls) {
        if (asking.has(call.channel) && !call.onlyAsks) continue;
        const others = byChannel.get(call.channel);
        if (others === undefined) byChannel.set(call.channel, [call]);
        else others.push(call);
      }
      const replies = new Map<Call, Promise<unknown>>();
      for (const group of byChannel.values()) {
        const commands = group.map((call, index) => {
          // A pipeline repeats nothing by itself, and a Cluster's nodes know their scripts apart. One call alone may ask first.
          const withText =
            index === 0 && (call.lacksScript || (!this.#isLoaded && calls.length > 1));
          call.byFunction = this.#usesFunction;
          return this.#words(call, notAfterMs, withText);
        });
        const sent = this.#connection.sendInOrder(commands);
        for (const [index, call] of group.entries()) replies.set(call, sent[index]!);
      }
      return await Promise.all(
        calls.map((call) => {
          const reply = replies.get(call);
          return reply && answerOf(Promise.race([reply, silence]));
        }),
      );
    } catch (error) {
      // The clock was asked, so no call has been sent.
      const failure = { ...failureOfAnswer(error), isUnknown: false };
      return calls.map(() => ({ failure }));
    } finally {
      clearTimeout(timer);
    }
  }

  #words(call: Call, notAfterMs: number, withText: boolean): RedisArgument[] {
    const { channel, payload, key, onlyAsks } = call;
    const { history, historyTtlMs, keyWindowMs, sharded } = this.#options;
    const script = withText ? ['eval', SCRIPT_TEXT] : ['evalsha', SCRIPT_SHA];
    return [
      ...(this.#usesFunction ? ['fcall', SCRIPT_NAME] : script),
      ...['2', `{${channel}}:meta`, `{${channel}}:log`],
      ...[channel, payload, String(history), String(historyTtlMs)],
      ...[key, String(keyWindowMs), onlyAsks ? LONG_AGO : String(notAfterMs)],
      ...(sharded ? ['sharded'] : []),
    ];
  }
}

const OVERTAKEN: Failure = {
  code: 'OVERTAKEN',
  message: 'a later publication of the channel was published',
  isUnknown: false,
};

/** The deadline of all passed before this one was sent. */
const TOO_LATE: Failure = {
  code: 'TIMEOUT',
  message: 'the deadline has passed',
  isUnknown: false,
};

/** No answer came in time. */
class Silence extends Error {
  override readonly message = 'Redis did not answer';
}

function failureOfAnswer(error: unknown): Failure {
  if (!(error instanceof Silence)) return failureOf(error);
  return { code: 'TIMEOUT', message: error.message, isUnknown: true };
}

async function answerOf(reply: Promise<unknown>): Promise<Answer> {
  try {
    return readReply(await reply);
  } catch (error) {
    return { failure: failureOfAnswer(error) };
  }
}

function readReply(reply: unknown): Answer {
  const [epoch, offset, duplicate] = Array.isArray(reply) ? (reply as unknown[]) : [];
  const published = {
    epoch: String(epoch),
    offset: Number(offset),
    duplicate: Number(duplicate) === 1,
  };
  if (/^[A-Za-z0-9]{1,16}$/.test(published.epoch) && published.offset >= 1) return { published };
  const message = `${SCRIPT_NAME} gave an answer that is not its own`;
  return { failure: { code: 'BAD_REPLY', message, isUnknown: true } };
}

function fail(call: Call, failure: Failure): void {
  // Redis looks for the key before it looks at the clock: what is late now was not published before.
  const isUnknown = failure.isUnknown || (call.isUnknown && failure.code !== 'TWLATE');
  const error = new PublishError({ ...failure, isUnknown }, call.channel, call.key);
  call.result = { ok: false, error };
}
