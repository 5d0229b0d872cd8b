import type { ChainableCommander, Redis } from 'ioredis';
import { heartbeatKey, logKey, metaKey, probeChannel } from '../contract/channel-keys.ts';
import { META_READ_BYTES } from '../contract/channel-meta.ts';
import { EPOCH_SCRIPT, type EpochStart, readEpochReply } from '../contract/epoch-script.ts';
import { type ChannelHistory, readHistoryReply } from '../contract/history.ts';
import {
  PUBLISH_SCRIPT,
  type PublishedPosition,
  publishArguments,
  publishKeys,
  readPublishReply,
  type SequencedPublication,
} from '../contract/publish-script.ts';
import { RedisLink } from '../link/redis-link.ts';
import { isInfoHidden, readServerIdentity } from '../link/server-identity.ts';
import {
  describeError,
  isCommandForbidden,
  isErrorReply,
  RedisRefusedError,
  RedisUnavailableError,
} from '../redis-errors.ts';
import {
  COMMAND_BYTES_IN_FLIGHT,
  COMMANDS_IN_FLIGHT,
  HEARTBEAT_EXPIRY_MS,
} from '../redis-limits.ts';
import type { RedisSettings } from '../redis-settings.ts';
import { type Flight, ScriptCalls } from './script-calls.ts';

/** What a command link tells its owner. Neither may throw. */
export interface RedisCommandsEvents {
  /** Commands are accepted from now on. */
  available(): void;
  /** Commands are rejected from now on; those in flight have just been. Also when Redis cannot be reached to begin with. */
  unavailable(cause: string): void;
  /** Commands are still rejected, for a cause that was not told since they are; at most 8 of them. */
  stillUnavailable?(cause: string): void;
}

/** What became of a heartbeat that was published. */
export interface HeartbeatOutcome {
  /** Why Redis did not write it; undefined when it did. */
  readonly refusal: RedisRefusedError | undefined;
  /** Which of the link's connections published it: counted from 1. */
  readonly connection: number;
}

interface Pending extends Flight {
  readonly bytes: number;
  readonly reject: (error: Error) => void;
}

/**
 * A connection to Redis for commands. It never holds a command back: what Redis cannot take now is
 * rejected now, and what it has been given is settled within 3 s of the link falling silent.
 */
export class RedisCommands {
  readonly #events: RedisCommandsEvents;
  readonly #link: RedisLink;
  readonly #publishCalls = new ScriptCalls(PUBLISH_SCRIPT);
  readonly #epochCalls = new ScriptCalls(EPOCH_SCRIPT);
  readonly #pending = new Set<Pending>();
  #pendingBytes = 0;
  #connection = 0;
  /** Redis does not let us read a part of a value: our ACL is of a release before. Until the link is lost. */
  #readsWhole = false;

  /** @throws {TypeError} when the settings make no sense; see `checkRedisUrl`. */
  constructor(settings: RedisSettings, events: RedisCommandsEvents) {
    this.#events = events;
    this.#link = new RedisLink(settings, 'commands', {
      up: () => {
        this.#connection += 1;
        this.#readsWhole = false;
        this.#events.available();
      },
      pulse: () => {},
      down: (cause) => {
        this.#abandon(cause);
        this.#events.unavailable(cause);
      },
      stillDown: (cause) => this.#events.stillUnavailable?.(cause),
    });
  }

  /** Whether the link is up and answers its PINGs. */
  get available(): boolean {
    return this.#link.up;
  }

  /** Begins to connect, and never gives up until {@link stop}. */
  start(): void {
    this.#link.start();
  }

  /** Gives up the connection and makes a new one; what is in flight is rejected. Nothing while there is none. */
  reconnect(cause: string): void {
    this.#link.cut(cause);
  }

  /** Ends the connection; commands in flight are rejected with the outcome `unknown`. */
  async stop(): Promise<void> {
    const stopped = this.#link.stop();
    this.#abandon('the link was stopped');
    await stopped;
  }

  /**
   * Publishes `payload` and resolves with the number of subscribers that Redis gave it to. Publishes
   * are executed in the order of the calls. `payload` may be reused as soon as the call returns.
   *
   * Rejects with {@link RedisUnavailableError}, at once with the outcome `not-sent` when the link is
   * down or too much is in flight, or later with `unknown`; and with {@link RedisRefusedError}.
   */
  publish(channel: string, payload: Uint8Array | string): Promise<number> {
    const bytes = typeof payload === 'string' ? payload : asBuffer(payload);
    return this.#run(Buffer.byteLength(bytes), (redis) => redis.publish(channel, bytes));
  }

  /**
   * Publishes with an offset and a history, as `docs/publishing.md` says. Publications are executed in
   * the order of these calls, each at most once for a call; among those of {@link publish} they have
   * no place.
   *
   * Rejects as {@link publish} does. Of a {@link RedisRefusedError} nothing was executed; its code is
   * Redis' own or one of the script's, such as `TWLATE`.
   */
  async publishSequenced(publication: SequencedPublication): Promise<PublishedPosition> {
    const { channel, payload, idempotencyKey = '' } = publication;
    const bytes = Buffer.byteLength(payload) + Buffer.byteLength(idempotencyKey);
    // A copy, because the call may have to be repeated when the caller has long reused the memory.
    const owned =
      typeof payload === 'string' ? publication : { ...publication, payload: Buffer.from(payload) };
    const reply = await this.#run(bytes, (redis, flight) =>
      this.#publishCalls.call(
        redis,
        flight,
        channel,
        publishKeys(channel),
        publishArguments(owned),
      ),
    );
    return readPublishReply(reply);
  }

  /**
   * Reads a channel's position and up to `limit` entries of its history from the offset `from` to the offset `to`
   * (both inclusive), both as they were at one moment. Rejects as {@link publish} does.
   */
  async readHistory(
    channel: string,
    from: number,
    limit: number,
    to = Number.POSITIVE_INFINITY,
  ): Promise<ChannelHistory> {
    const end = Number.isFinite(to) ? String(to) : '+';
    const key = metaKey(channel);
    try {
      const [meta, entries] = await this.#transact(channel.length, (transaction) =>
        (this.#readsWhole
          ? transaction.getBuffer(key)
          : transaction.getrangeBuffer(key, 0, META_READ_BYTES - 1)
        ).xrangeBuffer(logKey(channel), String(from), end, 'COUNT', limit),
      );
      return readHistoryReply(meta, entries);
    } catch (error) {
      if (this.#readsWhole || !isCommandForbidden(error, 'getrange')) throw error;
      this.#readsWhole = true;
      return await this.readHistory(channel, from, limit, to);
    }
  }

  /**
   * Starts a new epoch of a channel if its epoch is still `expectedEpoch` (undefined: if it has no
   * `meta`). The offset and the history stay; without `meta` the offset begins at 0 and a history is
   * deleted. Rejects as {@link publish} does.
   */
  async startEpoch(channel: string, expectedEpoch: string | undefined): Promise<EpochStart> {
    const reply = await this.#run(0, (redis, flight) =>
      this.#epochCalls.call(redis, flight, channel, publishKeys(channel), [expectedEpoch ?? '']),
    );
    return readEpochReply(reply);
  }

  /**
   * Which server this is and whose data it holds: equal for two links exactly if both reach the same
   * process with the same replication history. Undefined where Redis does not allow INFO. Otherwise
   * rejects as {@link publish} does.
   */
  async serverIdentity(): Promise<string | undefined> {
    try {
      const [server, replication] = await Promise.all([
        this.#run(0, (redis) => redis.info('server')),
        this.#run(0, (redis) => redis.info('replication')),
      ]);
      return readServerIdentity(server, replication);
    } catch (error) {
      if (isInfoHidden(error)) return undefined;
      throw error;
    }
  }

  /**
   * Writes `token` to `tw:heartbeat:<name>` for 30 s and publishes it to `tw:probe:<name>`. A write,
   * so that a Redis that was demoted refuses it.
   *
   * Where Redis refuses the write and, by `REDIS_STATES`, goes on to deliver, the token is published all the
   * same: it proves what it proves, and the outcome says why it was not written. A replica must be in touch
   * with its master for that. Otherwise rejects as {@link publish} does.
   */
  async heartbeat(name: string, token: string): Promise<HeartbeatOutcome> {
    const connection = this.#connection;
    try {
      await this.#transact(token.length, (transaction) =>
        transaction
          .set(heartbeatKey(name), token, 'PX', HEARTBEAT_EXPIRY_MS)
          .publish(probeChannel(name), token),
      );
      this.#link.serves();
      return { refusal: undefined, connection };
    } catch (error) {
      if (!(error instanceof RedisRefusedError) || !(await this.#delivers(error))) throw error;
      await this.publish(probeChannel(name), token);
      return { refusal: error, connection };
    }
  }

  /** Whether a Redis that refuses writes so delivers what is published, as far as it tells. */
  async #delivers({ state: { delivers } }: RedisRefusedError): Promise<boolean> {
    if (delivers !== 'attached') return delivers === 'yes';
    const replication = this.#run(0, (redis) => redis.info('replication'));
    return (await replication.catch(() => '')).includes('master_link_status:up');
  }

  /** All of `commands` in one round trip, with nothing in between; rejects with the first refusal. */
  async #transact(
    bytes: number,
    commands: (transaction: ChainableCommander) => ChainableCommander,
  ): Promise<unknown[]> {
    return await this.#run(bytes, async (redis) => {
      const results = await commands(redis.multi()).exec();
      return (results ?? []).map(([error, reply]) => {
        if (error !== null) throw error;
        return reply;
      });
    });
  }

  #run<T>(bytes: number, send: (redis: Redis, flight: Flight) => Promise<T>): Promise<T> {
    const obstacle = this.#obstacle(bytes);
    if (obstacle !== undefined)
      return Promise.reject(new RedisUnavailableError('not-sent', obstacle));

    return new Promise((resolve, reject) => {
      const pending: Pending = { bytes, reject, sent: true };
      this.#pending.add(pending);
      this.#pendingBytes += bytes;
      send(this.#link.redis, pending).then(
        (reply) => {
          if (this.#settle(pending)) resolve(reply);
        },
        (error: unknown) => {
          if (!this.#settle(pending)) return;
          reject(asOutcome(error));
        },
      );
    });
  }

  #obstacle(bytes: number): string | undefined {
    if (!this.#link.writable) return 'Redis is not reachable';
    if (this.#pending.size >= COMMANDS_IN_FLIGHT)
      return `${COMMANDS_IN_FLIGHT} commands are in flight`;
    if (this.#pendingBytes + bytes > COMMAND_BYTES_IN_FLIGHT)
      return `${COMMAND_BYTES_IN_FLIGHT} bytes are in flight`;
    return undefined;
  }

  #settle(pending: Pending): boolean {
    if (!this.#pending.delete(pending)) return false;
    this.#pendingBytes -= pending.bytes;
    return true;
  }

  /** ioredis never settles what was in flight when the link broke, so it is done here. */
  #abandon(cause: string): void {
    this.#publishCalls.connectionLost();
    this.#epochCalls.connectionLost();
    for (const pending of this.#pending) {
      this.#settle(pending);
      pending.reject(new RedisUnavailableError(pending.sent ? 'unknown' : 'not-sent', cause));
    }
  }
}

/** What a command that failed means for its caller. */
function asOutcome(error: unknown): RedisRefusedError | RedisUnavailableError {
  if (error instanceof RedisUnavailableError) return error;
  if (!isErrorReply(error)) return new RedisUnavailableError('unknown', describeError(error));
  return new RedisRefusedError(describeError(firstRefusal(error)));
}

/** A transaction is refused as a whole because of one of its commands, whose refusal says why. */
function firstRefusal(error: Error): unknown {
  const { previousErrors } = error as { previousErrors?: readonly unknown[] };
  return previousErrors?.find((previous) => isErrorReply(previous)) ?? error;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
