import { Redis } from 'ioredis';
import { MasterWatch } from './master-watch.ts';
import { describeError, isErrorReply, replyCode } from './redis-errors.ts';
import {
  ANSWER_LIMIT_MS,
  PING_INTERVAL_MS,
  RECONNECT_MAX_MS,
  SILENCE_LIMIT_MS,
  SILENT_LOOKS,
} from './redis-limits.ts';
import {
  type RedisRole,
  type RedisSettings,
  redisOptions,
  sentinelSettings,
} from './redis-settings.ts';
import { connectorTo } from './sentinel-connector.ts';
import { Sentinels } from './sentinels.ts';

const LOOK_INTERVAL_MS = SILENCE_LIMIT_MS / SILENT_LOOKS;

/** The codes with which a Redis refuses writes because it is, or may be, no master any more. */
const LEFT_FOR: readonly string[] = ['READONLY', 'NOREPLICAS'];

/** What happens to a link. None of these may throw. */
export interface RedisLinkEvents {
  /** A new connection answered its first PING. Nothing of an earlier connection is left on it. */
  up(): void;
  /** A further PING was answered: about once a second while the link is up. */
  pulse(): void;
  /**
   * The connection is lost. Once for each `up`, and once more when the very first attempts fail, so
   * that a wrong address or password does not stay untold.
   */
  down(cause: string): void;
}

/**
 * One connection to Redis that is either proven or replaced: it connects, connects again for as long
 * as it is not stopped, and asks once a second whether the other side still answers. TCP cannot tell:
 * the kernel of a frozen Redis goes on to acknowledge.
 *
 * The answer is awaited by looking, several times, whether bytes still come. The sockets are read
 * between two looks, so a stall of our own event loop costs no link, and neither does an answer that
 * stands behind a burst of messages. A link to a master that Sentinels name asks them, too, whether it
 * still is the master.
 */
export class RedisLink {
  /** The connection. Its owner may send commands while {@link writable}, and listen. */
  readonly redis: Redis;
  readonly #events: RedisLinkEvents;
  readonly #watch: MasterWatch | undefined;
  #phase: 'new' | 'started' | 'stopped' = 'new';
  #up = false;
  #outageTold = false;
  /** Changes whenever what was asked before has lost its meaning. */
  #connection = 0;
  #lastError: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: RedisSettings, role: RedisRole, events: RedisLinkEvents) {
    this.#events = events;
    const asked = sentinelSettings(settings);
    const sentinels = asked === undefined ? undefined : new Sentinels(asked);
    if (sentinels !== undefined)
      this.#watch = new MasterWatch(sentinels, (cause) => this.cut(cause));
    this.redis = new Redis({
      ...redisOptions(settings, role),
      ...(sentinels === undefined ? {} : { Connector: connectorTo(sentinels, asked?.tls) }),
      reconnectOnError: (error) => this.#leaves(error),
    });
    this.redis.on('error', (error) => {
      this.#lastError = describeError(error);
    });
    this.redis.on('connect', () => this.#connected());
    this.redis.on('ready', () => this.#ping());
    this.redis.on('close', () => this.#lose(this.#lastError ?? 'Redis closed the connection'));
    this.redis.on('end', () => this.#startOver());
  }

  /** Whether the connection has answered a PING and not been given up since. */
  get up(): boolean {
    return this.#up;
  }

  /** Whether a command sent now reaches the socket; when false, ioredis would reject it unsent. */
  get writable(): boolean {
    return this.#up && this.redis.status === 'ready' && this.redis.stream.writable;
  }

  /** Begins to connect. Later calls, and calls after {@link stop}, do nothing. */
  start(): void {
    if (this.#phase !== 'new') return;
    this.#phase = 'started';
    this.#connect();
  }

  /** Gives up the connection at once; a new one is made. Does nothing while there is none. */
  cut(cause: string): void {
    const { status, stream } = this.redis;
    if (status !== 'ready' && status !== 'connect') return;
    stream.destroy();
    this.#lose(cause);
  }

  /** Ends the connection, the attempts and every timer. No event comes after the call. */
  async stop(): Promise<void> {
    const { status } = this.redis;
    this.#phase = 'stopped';
    this.#forgetConnection();
    const open = status === 'connecting' || status === 'connect' || status === 'ready';
    const ended = open ? new Promise((resolve) => this.redis.once('end', resolve)) : undefined;
    if (status !== 'wait') this.redis.disconnect();
    await ended;
  }

  #connect(): void {
    this.#lastError = undefined;
    // The attempt's failure comes as events, too, and is repeated by the retry strategy.
    this.redis.connect().catch(() => {});
  }

  /**
   * Whether an error reply ends the connection. READONLY does: this is no master any more, and a new
   * connection asks the name service or the Sentinels anew. So does NOREPLICAS, from a master that
   * may have been cut off and replaced. Only once, since each of many commands in flight is answered so.
   */
  #leaves(error: Error): boolean {
    if (!LEFT_FOR.includes(replyCode(error.message)) || !this.redis.stream.writable) return false;
    this.#lastError = describeError(error);
    return true;
  }

  /** ioredis gives up for good when no Sentinel answers, or no socket can be created; we do not. */
  #startOver(): void {
    if (this.#phase !== 'started') return;
    this.#lose(this.#lastError ?? 'no connection could be made');
    this.#after(RECONNECT_MAX_MS, () => this.#connect());
  }

  #connected(): void {
    if (this.#phase !== 'started') return;
    this.#watch?.start();
    this.#awaitAnswer();
  }

  #ping(): void {
    if (this.#phase !== 'started') return;
    const connection = ++this.#connection;
    this.#awaitAnswer();
    this.redis.ping().then(
      () => {
        if (connection === this.#connection) this.#answered();
      },
      (error: unknown) => {
        if (connection === this.#connection) this.#unanswered(error);
      },
    );
  }

  #answered(): void {
    this.#after(PING_INTERVAL_MS, () => this.#ping());
    if (this.#up) {
      this.#events.pulse();
      return;
    }
    this.#up = true;
    this.#outageTold = false;
    this.#lastError = undefined;
    this.#events.up();
  }

  #unanswered(error: unknown): void {
    const cause = describeError(error);
    // LOADING, MASTERDOWN and their like pass; the same connection is good when they have.
    if (isErrorReply(error) && !this.#up) {
      this.#after(PING_INTERVAL_MS, () => this.#ping());
      this.#tellDown(cause);
      return;
    }
    this.cut(cause);
  }

  #awaitAnswer(): void {
    if (this.#phase !== 'started') return;
    const { stream } = this.redis;
    const askedAt = performance.now();
    let bytesSeen = stream.bytesRead;
    let silentLooks = 0;
    const look = (): void => {
      silentLooks = stream.bytesRead === bytesSeen ? silentLooks + 1 : 0;
      bytesSeen = stream.bytesRead;
      if (silentLooks === SILENT_LOOKS) this.cut(`no answer within ${SILENCE_LIMIT_MS} ms`);
      else if (performance.now() - askedAt >= ANSWER_LIMIT_MS)
        this.cut(`no answer within ${ANSWER_LIMIT_MS} ms`);
      else this.#after(LOOK_INTERVAL_MS, look);
    };
    this.#after(LOOK_INTERVAL_MS, look);
  }

  #lose(cause: string): void {
    if (this.#phase !== 'started') return;
    this.#forgetConnection();
    this.#lastError = undefined;
    this.#tellDown(cause);
  }

  #tellDown(cause: string): void {
    if (this.#outageTold) return;
    this.#outageTold = true;
    this.#events.down(cause);
  }

  #forgetConnection(): void {
    this.#up = false;
    this.#connection += 1;
    clearTimeout(this.#timer);
    this.#watch?.end();
  }

  #after(milliseconds: number, action: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, milliseconds);
  }
}
