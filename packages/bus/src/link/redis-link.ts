import { Redis } from 'ioredis';
import { describeError, isErrorReply } from '../redis-errors.ts';
import {
  ANSWER_LIMIT_MS,
  LEAVE_AGAIN_MS,
  MAX_FURTHER_CAUSES,
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
import { Greeting, modeFault, type ServerVersion, versionFault } from './server-version.ts';
import { withTlsHint } from './tls-hint.ts';

const LOOK_INTERVAL_MS = SILENCE_LIMIT_MS / SILENT_LOOKS;

/** Events of a link. No handler may throw. */
export interface RedisLinkEvents {
  /**
   * A new connection answered its first PING. The answer may be an error reply that `REDIS_STATES` lets a link go on
   * with. Subscriptions and transactions of an earlier connection do not exist on it.
   */
  up(): void;
  /** A later PING was answered, possibly with an error reply: about once a second while the link is up. */
  pulse(): void;
  /**
   * The connection is lost. Sent once after each `up`, and once when the first attempts fail, so that a wrong
   * address or password is reported.
   */
  down(cause: string): void;
  /** The link is still down, for a cause that was not reported since it went down. At most `MAX_FURTHER_CAUSES` an outage. */
  stillDown(cause: string): void;
}

/** What the link must do about an error reply. */
function actionFor(error: Error): LinkAction {
  return stateOfReply(error.message).link;
}

/**
 * One connection to a Redis of 7.0 or later that is either proven or replaced. It connects, reconnects until it is stopped, and sends a
 * PING once a second. TCP alone does not show a dead server: the kernel of a frozen Redis still acknowledges packets.
 * An error reply counts as an answer; `REDIS_STATES` says what the link must do about it.
 *
 * The link waits for an answer by checking several times whether new bytes arrived. Sockets are read between two
 * checks, so neither a stall of our own event loop nor an answer behind a burst of messages costs the link. In the
 * mode `sentinel`, the link also asks the Sentinels whether its server is still the master.
 */
export class RedisLink {
  /** The connection. Its owner may send commands while {@link writable}, and may add listeners. */
  readonly redis: Redis;
  readonly #events: RedisLinkEvents;
  readonly #settings: RedisSettings;
  readonly #role: RedisRole;
  readonly #watch: MasterWatch | undefined;
  readonly #greeting: Greeting;
  readonly #reconnection = new Reconnection();
  readonly #left: LeftServers;
  readonly #ignorePasswords: (() => void) | undefined;
  #phase: 'new' | 'started' | 'stopped' = 'new';
  #up = false;
  #upSince = 0;
  /** How long the latest connection that ended was up, in ms. */
  #lastUpMs = 0;
  /** Causes of this outage that were reported, by their first word. Empty while the link is up. */
  readonly #reportedCauses = new Set<string>();
  /** Redis refused the password. */
  #unauthenticated = false;
  /** Counts connections. An answer that belongs to an earlier count is ignored. */
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
    this.#greeting = new Greeting(this.redis);
    this.redis.on('error', (error) => {
      this.#lastError = describeError(error);
      if (isErrorReply(error)) this.#unauthenticated ||= actionFor(error) === 'authenticate';
    });
    this.redis.on('connect', () => this.#connected());
    this.redis.on('ready', () => this.#greeted());
    this.redis.on('close', () => this.#closed());
    this.redis.on('end', () => this.#startOver());
    this.#ignorePasswords = settings.onPasswordChange?.((password) => this.#authenticate(password));
  }

  /** Whether the connection answered a PING and was not cut since. */
  get up(): boolean {
    return this.#up;
  }

  /** What the server of this connection says that it is; undefined if it does not say. */
  get serverVersion(): ServerVersion | undefined {
    return this.#greeting.version;
  }

  /** Whether a command sent now reaches the socket. If false, ioredis rejects it without sending it. */
  get writable(): boolean {
    return this.#up && this.redis.status === 'ready' && this.redis.stream.writable;
  }

  /** Starts to connect. A second call, and a call after {@link stop}, do nothing. */
  start(): void {
    if (this.#phase !== 'new') return;
    this.#phase = 'started';
    this.#connect();
  }

  /** Destroys the connection; the link then makes a new one. Does nothing if there is no connection. */
  cut(cause: string): void {
    const { status, stream } = this.redis;
    if (status !== 'ready' && status !== 'connect') return;
    stream.destroy();
    this.#lose(cause);
  }

  /** Whether a new connection could lead to another server, or to this one in another state, after this error reply. */
  mayLeave(reply: string): boolean {
    if (stateOfReply(reply).link !== 'leave') return false;
    return this.#left.mayLeave(this.#server, stateOfReply(reply).says, performance.now());
  }

  /** Cuts the connection because of an error reply, if {@link mayLeave} allows it. Returns whether it was cut. */
  leave(reply: string, cause = reply): boolean {
    if (!this.#mayLeaveNow(reply)) return false;
    this.cut(cause);
    return true;
  }

  /** The server accepts writes as a master does, so every reason for which a server was left has ended. */
  serves(): void {
    this.#left.forget();
  }

  /** Ends the connection, the attempts and every timer. No event is sent after the call. */
  async stop(): Promise<void> {
    const { status } = this.redis;
    this.#phase = 'stopped';
    this.#ignorePasswords?.();
    this.#forgetConnection();
    const open = status === 'connecting' || status === 'connect' || status === 'ready';
    const ended = open ? new Promise((resolve) => this.redis.once('end', resolve)) : undefined;
    if (status !== 'wait') this.redis.disconnect();
    await ended;
  }

  /** Says again who it is, since the password before will end. Redis takes no AUTH on a connection that has subscribed. */
  #authenticate(password: string): void {
    const { options } = this.redis;
    options.password = password;
    if (this.#role === 'subscriber' || !this.writable) return;
    const user = options.username ?? 'default';
    this.redis.auth(user, password).catch((error: unknown) => {
      if (isErrorReply(error)) this.cut(describeError(error));
    });
  }

  #connect(): void {
    this.#lastError = undefined;
    // ioredis also reports the failure by events, and the retry strategy makes the next attempt.
    this.redis.connect().catch(() => {});
  }

  /**
   * Whether an error reply to a command ends the connection, once every command in flight has been answered. True
   * once only: each of the commands in flight gets the same reply.
   */
  #leaves(error: Error): boolean {
    if (!this.#up || !this.redis.stream.writable) return false;
    const isStranger = this.#role === 'commands' && actionFor(error) === 'authenticate';
    if (!isStranger && !this.#mayLeaveNow(error.message)) return false;
    this.#unauthenticated ||= isStranger;
    this.#lastError = describeError(error);
    return true;
  }

  /** Redis may refuse a new connection by its first bytes and close it. ioredis has no event for that. */
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

  /** How long to wait before the next attempt, in ms. Also reads the password that this attempt uses. */
  #nextWait(answered: boolean): number {
    if (this.#unauthenticated) {
      const password = this.#settings.rereadPassword?.();
      if (password !== undefined) this.redis.options.password = password;
      this.#unauthenticated = false;
    }
    const upMs = this.#up ? performance.now() - this.#upSince : this.#lastUpMs;
    return this.#reconnection.next(answered, upMs);
  }

  /** Starts again where ioredis stops for good: when no Sentinel answers, or no socket can be created. */
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

  #closed(): void {
    const { options, stream } = this.redis;
    const cause = withTlsHint(this.#lastError, options.tls !== undefined, stream.bytesRead);
    this.#lose(cause, 'Redis closed the connection');
  }

  /** A server that is too old, or of another kind, is left before anything is asked of it, and tried again: it may have been replaced. */
  #greeted(): void {
    const { version } = this.#greeting;
    const isClusterNode = this.#settings.isClusterNode ?? false;
    const fault = versionFault(version) ?? modeFault(version, isClusterNode);
    if (fault === undefined) this.#ping();
    else this.cut(fault);
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
    this.#reportedCauses.clear();
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
      this.#reportDown(cause);
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

  /** @param otherwise the cause to report if none is known and none was reported, such as after our own `cut`. */
  #lose(cause: string | undefined, otherwise = ''): void {
    if (this.#phase !== 'started') return;
    this.#forgetConnection();
    this.#lastError = undefined;
    if (cause !== undefined || this.#reportedCauses.size === 0)
      this.#reportDown(cause ?? otherwise);
  }

  #reportDown(cause: string): void {
    const kind = stateOfReply(cause).says === 'ERR' ? cause : stateOfReply(cause).says;
    if (this.#reportedCauses.has(kind) || this.#reportedCauses.size > MAX_FURTHER_CAUSES) return;
    const isFirst = this.#reportedCauses.size === 0;
    this.#reportedCauses.add(kind);
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
