import type { ChainableCommander, Redis } from 'ioredis';
import { RedisLink } from '../link/redis-link.ts';
import { type UnmendedFault, unmendedFault } from '../link/server-version.ts';
import {
  describeError,
  isErrorReply,
  RedisRefusedError,
  RedisUnavailableError,
} from '../redis-errors.ts';
import { COMMAND_BYTES_IN_FLIGHT, COMMANDS_IN_FLIGHT } from '../redis-limits.ts';
import type { RedisSettings } from '../redis-settings.ts';
import type { Flight } from './script-calls.ts';

/** Events of a command link. No handler may throw. */
export interface RedisCommandsEvents {
  /** Commands are accepted from now on. */
  available(): void;
  /** Commands are rejected from now on, and those in flight were rejected. Also sent if the first connection fails. */
  unavailable(cause: string): void;
  /** Commands are still rejected, for a cause that was not reported in this outage. At most `MAX_FURTHER_CAUSES` an outage. */
  stillUnavailable?(cause: string): void;
  /** Redis has a fault by its version, which a distribution may have mended without another version. Told once a version. */
  unmended?(fault: UnmendedFault): void;
  /** The owners of some slots of a cluster may have changed, so a slot may be served again. */
  ownersChanged?(): void;
}

interface Pending extends Flight {
  readonly bytes: number;
  readonly reject: (error: Error) => void;
}

/** What the owner of a {@link CommandLink} does when its connection changes, before anybody else is told. */
export interface ConnectionHooks {
  readonly up: () => void;
  readonly down: () => void;
}

/**
 * A connection to Redis for commands. It never queues a command: if Redis cannot take it now, it is rejected now. Commands
 * in flight settle within 3 s after the link falls silent.
 */
export class CommandLink {
  readonly #events: RedisCommandsEvents;
  readonly #hooks: ConnectionHooks;
  readonly #link: RedisLink;
  readonly #pending = new Set<Pending>();
  #pendingBytes = 0;
  #connection = 0;
  /** The latest version whose fault was told. */
  #unmendedVersion: string | undefined;
  /** Whether the commands of this moment say ASKING first. */
  #isAsking = false;

  /** @throws {TypeError} if the settings are invalid; see `checkRedisUrl`. */
  constructor(settings: RedisSettings, events: RedisCommandsEvents, hooks: ConnectionHooks) {
    this.#events = events;
    this.#hooks = hooks;
    this.#link = new RedisLink(settings, 'commands', {
      up: () => {
        this.#connection += 1;
        this.#hooks.up();
        this.#events.available();
        this.#tellUnmended();
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

  /** The number of connections so far; while the link is up, the present one's. */
  get connection(): number {
    return this.#connection;
  }

  /** Starts to connect, and reconnects until {@link stop}. */
  start(): void {
    this.#link.start();
  }

  /** Replaces the connection and rejects every command in flight. Does nothing if there is no connection. */
  reconnect(cause: string): void {
    this.#link.cut(cause);
  }

  /** Redis has shown that it serves what it must. See `RedisLink.serves`. */
  serves(): void {
    this.#link.serves();
  }

  /**
   * Makes a call that sends commands as Redis wants it after an ASK: the node serves keys of a slot that it is still being given.
   *
   * @param call must send its first command before it returns.
   */
  asking<T>(call: () => T): T {
    this.#isAsking = true;
    try {
      return call();
    } finally {
      this.#isAsking = false;
    }
  }

  /** Ends the connection and rejects every command in flight with the outcome `unknown`. */
  async stop(): Promise<void> {
    const stopped = this.#link.stop();
    this.#abandon('the link was stopped');
    await stopped;
  }

  /** Executes `commands` as one transaction in one round trip. Rejects with the first refusal. */
  async transact(
    bytes: number,
    commands: (transaction: ChainableCommander) => ChainableCommander,
  ): Promise<unknown[]> {
    return await this.run(bytes, async (redis) => {
      const results = await commands(redis.multi()).exec();
      return (results ?? []).map(([error, reply]) => {
        if (error !== null) throw error;
        return reply;
      });
    });
  }

  /**
   * Sends commands. Rejects with {@link RedisUnavailableError}: at once with `not-sent` if the link is down or a limit of commands in
   * flight is reached, later with `unknown` if the link is lost. Rejects with {@link RedisRefusedError} if Redis refuses.
   *
   * @param bytes of the payload, which count as in flight.
   * @param send must send its first command before it returns.
   */
  run<T>(bytes: number, send: (redis: Redis, flight: Flight) => Promise<T>): Promise<T> {
    const obstacle = this.#obstacle(bytes);
    if (obstacle !== undefined)
      return Promise.reject(new RedisUnavailableError('not-sent', obstacle));

    return new Promise((resolve, reject) => {
      const pending: Pending = { bytes, reject, sent: true, isAsking: this.#isAsking };
      this.#pending.add(pending);
      this.#pendingBytes += bytes;
      // Its refusal shows in the command behind it.
      if (this.#isAsking) this.#link.redis.asking().catch(() => {});
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

  #tellUnmended(): void {
    const fault = unmendedFault(this.#link.serverVersion);
    if (fault === undefined || fault.version === this.#unmendedVersion) return;
    this.#unmendedVersion = fault.version;
    this.#events.unmended?.(fault);
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

  /** Rejects every command in flight, because ioredis never settles them after a link broke. */
  #abandon(cause: string): void {
    this.#hooks.down();
    for (const pending of this.#pending) {
      this.#settle(pending);
      pending.reject(new RedisUnavailableError(pending.sent ? 'unknown' : 'not-sent', cause));
    }
  }
}

/** Converts a failure of ioredis into the error that the caller gets. */
function asOutcome(error: unknown): RedisRefusedError | RedisUnavailableError {
  if (error instanceof RedisUnavailableError) return error;
  if (!isErrorReply(error)) return new RedisUnavailableError('unknown', describeError(error));
  return new RedisRefusedError(describeError(firstRefusal(error)));
}

/** Returns the refusal of the command that made Redis refuse its whole transaction. */
function firstRefusal(error: Error): unknown {
  const { previousErrors } = error as { previousErrors?: readonly unknown[] };
  return previousErrors?.find((previous) => isErrorReply(previous)) ?? error;
}
