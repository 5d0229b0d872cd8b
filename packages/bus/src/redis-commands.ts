import type { Redis } from 'ioredis';
import {
  describeError,
  isErrorReply,
  RedisRefusedError,
  RedisUnavailableError,
} from './redis-errors.ts';
import { COMMAND_BYTES_IN_FLIGHT, COMMANDS_IN_FLIGHT } from './redis-limits.ts';
import { RedisLink } from './redis-link.ts';
import type { RedisSettings } from './redis-settings.ts';

/** What a command link tells its owner. Neither may throw. */
export interface RedisCommandsEvents {
  /** Commands are accepted from now on. */
  available(): void;
  /** Commands are rejected from now on; those in flight have just been. Also when Redis cannot be reached to begin with. */
  unavailable(cause: string): void;
}

interface Pending {
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
  readonly #pending = new Set<Pending>();
  #pendingBytes = 0;

  /** @throws {TypeError} when the settings make no sense; see `checkRedisUrl`. */
  constructor(settings: RedisSettings, events: RedisCommandsEvents) {
    this.#events = events;
    this.#link = new RedisLink(settings, 'commands', {
      up: () => this.#events.available(),
      pulse: () => {},
      down: (cause) => {
        this.#abandon(cause);
        this.#events.unavailable(cause);
      },
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

  #run<T>(bytes: number, send: (redis: Redis) => Promise<T>): Promise<T> {
    const obstacle = this.#obstacle(bytes);
    if (obstacle !== undefined)
      return Promise.reject(new RedisUnavailableError('not-sent', obstacle));

    return new Promise((resolve, reject) => {
      const pending: Pending = { bytes, reject };
      this.#pending.add(pending);
      this.#pendingBytes += bytes;
      send(this.#link.redis).then(
        (reply) => {
          if (this.#settle(pending)) resolve(reply);
        },
        (error: unknown) => {
          if (!this.#settle(pending)) return;
          const reason = describeError(error);
          reject(
            isErrorReply(error)
              ? new RedisRefusedError(reason)
              : new RedisUnavailableError('unknown', reason),
          );
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
    for (const pending of this.#pending) {
      this.#settle(pending);
      pending.reject(new RedisUnavailableError('unknown', cause));
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
