import { Redis } from 'ioredis';
import { describeError, isErrorReply } from '../redis-errors.ts';
import {
  ANSWER_LIMIT_MS,
  CAUSES_TOLD,
  LEAVE_AGAIN_MS,
  PING_INTERVAL_MS,
  SILENCE_LIMIT_MS,
  SILENT_LOOKS,
} from '../redis-limits.ts';
import {
  type RedisRole,
  type RedisSettings,
  redisOptions,
  sentinelSettings,
} from '../redis-settings.ts';
import { type LinkAction, stateOfReply } from '../redis-states.ts';
import { LeftServers } from './left-servers.ts';
import { MasterWatch } from './master-watch.ts';
import { Reconnection } from './reconnection.ts';
import { connectorTo } from './sentinel-connector.ts';
import { Sentinels } from './sentinels.ts';

const LOOK_INTERVAL_MS = SILENCE_LIMIT_MS / SILENT_LOOKS;

/** What happens to a link. None of these may throw. */
export interface RedisLinkEvents {
  /**
   * A new connection answered its first PING, with an error perhaps: `REDIS_STATES` says with which. Nothing
   * of an earlier connection is left on it.
   */
  up(): void;
  /** A further PING was answered, be it with an error: about once a second while the link is up. */
  pulse(): void;
  /**
   * The connection is lost. Once for each `up`, and once more when the very first attempts fail, so
   * that a wrong address or password does not stay untold.
   */
  down(cause: string): void;
  /** The link is still down, for a cause that was not told since it went down: at most 8 of them. */
  stillDown(cause: string): void;
}

/** What an error reply means for a link that it came on. */
function actionFor(error: Error): LinkAction {
  return stateOfReply(error.message).link;
}

/**
 * One connection to Redis that is either proven or replaced: it connects, connects again for as long
 * as it is not stopped, and asks once a second whether the other side still answers. TCP cannot tell:
 * the kernel of a frozen Redis goes on to acknowledge. An error reply is an answer: what it means for the
 * link, `REDIS_STATES` says.
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
  readonly #settings: RedisSettings;
  readonly #role: RedisRole;
  readonly #watch: MasterWatch | undefined;
  readonly #reconnection = new Reconnection();
  readonly #left: LeftServers;
  #phase: 'new' | 'started' | 'stopped' = 'new';
  #up = false;
  #upSince = 0;
  /** How long the connection that ended last was up, in ms. */
  #lastUpMs = 0;
  /** Causes of this outage that were told, by what they begin with. Empty while there is none. */
  readonly #causesTold = new Set<string>();
  /** Redis did not take the password. */
  #unauthenticated = false;
  /** Changes whenever what was asked before has lost its meaning. */
  #connection = 0;
  #lastError: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: RedisSettings, role: RedisRole, events: RedisLinkEvents) {
    this.#events = events;
    this.#settings = settings;
    this.#role = role;
    this.#left = new LeftServers(role === 'commands' ? LEAVE_AGAIN_MS : Number.POSITIVE_INFINITY);
    const asked = sentinelSettings(settings);
    const sentinels = asked === undefined ? undefined : new Sentinels(asked);
    if (sentinels !== undefined)
      this.#watch = new MasterWatch(sentinels, (cause) => this.cut(cause));
    this.redis = new Redis({
      ...redisOptions(settings, role),
      ...(sentinels === undefined ? {} : { Connector: connectorTo(sentinels, asked?.tls) }),
      retryStrategy: () => this.#nextWait(this.redis.stream.bytesRead > 0),
      reconnectOnError: (error) => this.#leaves(error),
    });
    this.redis.on('error', (error) => {
      this.#lastError = describeError(error);
      if (isErrorReply(error)) this.#unauthenticated ||= actionFor(error) === 'authenticate';
    });
    this.redis.on('connect', () => this.#connected());
    this.redis.on('ready', () => this.#ping());
    this.redis.on('close', () => this.#lose(this.#lastError, 'Redis closed the connection'));
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

  /** Whether leaving this server for this error reply may find another one, or the same in another state. */
  mayLeave(reply: string): boolean {
    if (stateOfReply(reply).link !== 'leave') return false;
    return this.#left.mayLeave(this.#server, stateOfReply(reply).says, performance.now());
  }

  /** Leaves this server for an error reply of its own, if it {@link mayLeave}. Returns whether it does. */
  leave(reply: string, cause = reply): boolean {
    if (!this.#mayLeaveNow(reply)) return false;
    this.cut(cause);
    return true;
  }

  /** The server that the link leads to does what a master does: whatever it was left for has ended. */
  serves(): void {
    this.#left.forget();
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
   * Whether an error reply to a command ends the connection, after all that is under way has been answered.
   * Only once, since each of many commands in flight is answered so.
   */
  #leaves(error: Error): boolean {
    if (!this.#up || !this.redis.stream.writable) return false;
    const isStranger = this.#role === 'commands' && actionFor(error) === 'authenticate';
    if (!isStranger && !this.#mayLeaveNow(error.message)) return false;
    this.#unauthenticated ||= isStranger;
    this.#lastError = describeError(error);
    return true;
  }

  /** Redis turns a new connection away with its first bytes and closes it, of which ioredis makes no event. */
  #firstBytes(bytes: Buffer): void {
    const [, reply] = /^-([^\r\n]+)/.exec(bytes.toString('latin1')) ?? [];
    if (reply !== undefined && stateOfReply(reply).link === 'replace') this.#lastError = reply;
  }

  #mayLeaveNow(reply: string): boolean {
    if (!this.mayLeave(reply)) return false;
    this.#left.left(this.#server, stateOfReply(reply).says, performance.now());
    return true;
  }

  get #server(): string {
    const { remoteAddress, remotePort } = this.redis.stream;
    return `${remoteAddress}:${remotePort}`;
  }

  /** How long to wait before the next attempt, in ms; the password that it uses is read here. */
  #nextWait(answered: boolean): number {
    if (this.#unauthenticated) {
      const password = this.#settings.rereadPassword?.();
      if (password !== undefined) this.redis.options.password = password;
      this.#unauthenticated = false;
    }
    const upMs = this.#up ? performance.now() - this.#upSince : this.#lastUpMs;
    return this.#reconnection.next(answered, upMs);
  }

  /** ioredis gives up for good when no Sentinel answers, or no socket can be created; we do not. */
  #startOver(): void {
    if (this.#phase !== 'started') return;
    this.#lose(this.#lastError, 'no connection could be made');
    this.#after(this.#nextWait(false), () => this.#connect());
  }

  #connected(): void {
    if (this.#phase !== 'started') return;
    this.#lastUpMs = 0;
    this.redis.stream.once('data', (bytes: Buffer) => this.#firstBytes(bytes));
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
    this.#upSince = performance.now();
    this.#causesTold.clear();
    this.#lastError = undefined;
    this.#events.up();
  }

  #unanswered(error: unknown): void {
    const cause = describeError(error);
    if (!isErrorReply(error)) {
      this.cut(cause);
      return;
    }
    const action = actionFor(error);
    if (action === 'leave' && this.leave(cause)) return;
    if (this.#up || action === 'stay') {
      this.#answered();
    } else if (action === 'authenticate' || action === 'replace') {
      this.#unauthenticated = action === 'authenticate';
      this.cut(cause);
    } else {
      this.#after(PING_INTERVAL_MS, () => this.#ping());
      this.#tellDown(cause);
    }
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

  /** @param otherwise told where no cause is known, unless one was told: for what we ended ourselves, say. */
  #lose(cause: string | undefined, otherwise = ''): void {
    if (this.#phase !== 'started') return;
    this.#forgetConnection();
    this.#lastError = undefined;
    if (cause !== undefined || this.#causesTold.size === 0) this.#tellDown(cause ?? otherwise);
  }

  #tellDown(cause: string): void {
    const kind = stateOfReply(cause).says === 'ERR' ? cause : stateOfReply(cause).says;
    if (this.#causesTold.has(kind) || this.#causesTold.size > CAUSES_TOLD) return;
    const isFirst = this.#causesTold.size === 0;
    this.#causesTold.add(kind);
    if (isFirst) this.#events.down(cause);
    else this.#events.stillDown(cause);
  }

  #forgetConnection(): void {
    if (this.#up) this.#lastUpMs = performance.now() - this.#upSince;
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
