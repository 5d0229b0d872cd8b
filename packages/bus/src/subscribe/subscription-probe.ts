import { randomBytes } from 'node:crypto';
import type { HeartbeatOutcome } from '../commands/redis-commands.ts';
import type { RedisLink } from '../link/redis-link.ts';
import { describeError, isErrorReply, RedisRefusedError } from '../redis-errors.ts';
import {
  PROBE_INTERVAL_MS,
  PROBE_LATE_LIMIT,
  PROBE_SOON_MS,
  UNSENT_LIMIT_MS,
} from '../redis-limits.ts';
import { LinkProbe, type ProbeVerdict } from './link-probe.ts';
import type { PubSubKind } from './pubsub-kind.ts';

/**
 * How a subscriber proves that publications reach it. The owner provides the functions; none may throw.
 */
export interface ProbeOptions {
  /**
   * The node's own name. The probe uses the channel `tw:probe:<name>`. On a node of a Redis Cluster the name begins with a hash
   * tag of a slot that this node owns, and may be another one after {@link misplaced}.
   */
  readonly name: string;
  /** This node of a cluster does not own the slot of the probe any more. */
  misplaced?(): void;
  /**
   * Writes to Redis and publishes `token` on `tw:probe:<name>` over a command connection; see `RedisCommands.heartbeat`.
   * Called at most once a second on a proven link and ten times a second before. It must settle, because it is not called
   * again before. Rejects with a `RedisUnavailableError`, or with a `RedisRefusedError` with the code of the write's error.
   */
  heartbeat(name: string, token: string): Promise<HeartbeatOutcome>;
  /**
   * Whether subscriber and command connection lead to the same server, by Redis' account. Called after the first heartbeat
   * over a new command connection, until they agree. After two consecutive differences the link is replaced, so that it
   * follows the command connection; after further ones {@link strayed} is called.
   */
  linksAgree?(): Promise<boolean>;
  /** The new link leads to another server than the heartbeats, too: the command connection must be replaced. */
  strayed?(): void;
  /**
   * A check, one a second, failed: the probe did not arrive, a Redis that is no master refused it, or Redis holds another
   * number of subscriptions. The second consecutive failure replaces the link, and `linkLost` follows at once. A refusal by
   * one server replaces the link only once.
   */
  probeFailed(cause: string): void;
  /**
   * Redis refuses the probe. Called once until a probe arrives again. The link stays up without this proof. The probe is
   * tried again every second, or every 30 s if the refusal lasts (`NOPERM`, `ERR`).
   */
  probeRefused(error: RedisRefusedError): void;
  /** Redis refuses writes but delivers publications. Called once for each code, until `writesAccepted`. */
  writesRefused?(error: RedisRefusedError): void;
  /** Redis accepts writes again. */
  writesAccepted?(): void;
}

/** Events of a probe, for the subscriber that owns it. */
export interface SubscriptionProbeEvents {
  /** The link is up but does not deliver; the subscriber must cut it. */
  dead(cause: string): void;
  /** A probe arrived, or it is known that none can be sent before an operator acts. */
  settled(): void;
}

/** Bytes of a token. Somebody who has read all earlier tokens, such as in the heartbeat's key, cannot guess the next. */
const TOKEN_BYTES = 16;

/**
 * Checks the subscription once a second while the link is up. It subscribes to the probe's channel again, and Redis answers
 * with the number of this connection's subscriptions. It then publishes a fresh token, which must arrive before the next
 * such answer.
 */
export class SubscriptionProbe {
  readonly #link: RedisLink;
  readonly #kind: PubSubKind;
  readonly #held: () => number;
  readonly #options: ProbeOptions;
  readonly #events: SubscriptionProbeEvents;
  readonly #probe = new LinkProbe(() => randomBytes(TOKEN_BYTES).toString('hex'));
  #startedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Counts connections. An answer that belongs to an earlier count is ignored. */
  #connection = 0;
  #checking = false;
  #heartbeatInFlight = false;
  #refusal: RedisRefusedError | undefined;
  #forbidden = false;
  /** The code by which the latest write was refused. */
  #writeRefusal: string | undefined;
  #refusedInRow = 0;
  /** Since when no heartbeat could be sent, in ms. */
  #unsentSince: number | undefined;
  /** A probe has arrived on the present link. */
  #proven = false;
  /** The command connection that is known to lead to the subscription's server; 0: none. */
  #agreedWith = 0;
  /** The command connection that the link was replaced to follow; 0: none. */
  #followed = 0;
  #differed = false;
  #noCheckBefore = Number.NEGATIVE_INFINITY;
  #noHeartbeatBefore = Number.NEGATIVE_INFINITY;

  /** @param held returns how many channels the connection holds besides the probe's, by Redis' answers so far. */
  constructor(
    link: RedisLink,
    kind: PubSubKind,
    held: () => number,
    options: ProbeOptions,
    events: SubscriptionProbeEvents,
  ) {
    this.#link = link;
    this.#kind = kind;
    this.#held = held;
    this.#options = options;
    this.#events = events;
  }

  /** The channel on which the tokens come. */
  get channel(): string {
    return `tw:probe:${this.#options.name}`;
  }

  /** See `RedisSubscriber.probeAgeMs`. */
  get ageMs(): number | undefined {
    if (this.#startedAt === undefined || this.#forbidden) return undefined;
    return performance.now() - (this.#probe.provenAt ?? this.#startedAt);
  }

  /** Whether a probe has ever arrived. */
  get provenOnce(): boolean {
    return this.#probe.provenAt !== undefined;
  }

  /** Why Redis refuses the probe; undefined while Redis accepts it. */
  get refusal(): RedisRefusedError | undefined {
    return this.#refusal;
  }

  /** Starts to count the age. */
  start(): void {
    this.#startedAt ??= performance.now();
  }

  linkUp(): void {
    this.linkDown();
    this.#probe.linkUp();
    this.#proven = false;
    this.#agreedWith = 0;
    this.#differed = false;
    this.#refusedInRow = 0;
    this.#unsentSince = undefined;
    this.#noCheckBefore = Number.NEGATIVE_INFINITY;
    this.#noHeartbeatBefore = Number.NEGATIVE_INFINITY;
    this.#check();
  }

  /** Ends every timer, because the link is lost or the subscriber stops. */
  linkDown(): void {
    this.#connection += 1;
    this.#checking = false;
    clearTimeout(this.#timer);
  }

  /** A message on {@link channel} arrived. A token that is not ours is ignored. */
  receive(payload: Buffer): void {
    if (!this.#probe.received(payload.toString('latin1'))) return;
    this.#refusal = undefined;
    this.#forbidden = false;
    this.#proven = true;
    this.#events.settled();
  }

  #check(): void {
    this.#checkIn(PROBE_INTERVAL_MS);
    // The link's own PINGs notice an answer that never comes.
    if (this.#checking || !this.#link.writable) return;
    if (performance.now() < this.#noCheckBefore) {
      if (this.#forbidden) this.#events.settled();
      return;
    }
    this.#checking = true;
    const connection = this.#connection;
    this.#kind.subscribe(this.#link.redis, [this.channel]).then(
      (reported) => {
        if (connection === this.#connection) this.#answered(Number(reported));
      },
      (error: unknown) => {
        if (connection !== this.#connection) return;
        this.#checking = false;
        if (!isErrorReply(error)) return;
        const refusal = new RedisRefusedError(describeError(error));
        if (this.#isMisplaced(refusal)) return;
        this.#refused(refusal);
        this.#noCheckBefore = performance.now() + this.#backoff(refusal);
      },
    );
  }

  #checkIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), ms);
  }

  #answered(reported: number): void {
    this.#checking = false;
    if (this.#act(this.#probe.judge(reported, this.#held() + 1))) return;
    if (this.#heartbeatInFlight) {
      if (!this.#proven) this.#unsent();
      return;
    }
    if (performance.now() < this.#noHeartbeatBefore) {
      if (this.#forbidden) this.#events.settled();
      return;
    }
    this.#heartbeatInFlight = true;
    void this.#sendHeartbeat(this.#probe.next(performance.now()));
  }

  async #sendHeartbeat(token: string): Promise<void> {
    const connection = this.#connection;
    try {
      const outcome = await this.#options.heartbeat(this.#options.name, token);
      this.#probe.published(token);
      if (connection === this.#connection) await this.#heartbeatSent(outcome, connection);
    } catch (error) {
      if (connection === this.#connection) this.#heartbeatFailed(token, error);
    } finally {
      this.#heartbeatInFlight = false;
    }
  }

  /** The token was published. Checks by the outcome whether the server is the one to be linked to. */
  async #heartbeatSent({ refusal, connection: writer }: HeartbeatOutcome, connection: number) {
    this.#unsentSince = undefined;
    if (refusal !== undefined) {
      if (this.#writeRefusal !== refusal.code) this.#options.writesRefused?.(refusal);
      this.#writeRefusal = refusal.code;
      this.#refusedByNoMaster(refusal);
      return;
    }
    this.#refusedInRow = 0;
    this.#link.serves();
    if (this.#writeRefusal !== undefined) this.#options.writesAccepted?.();
    this.#writeRefusal = undefined;
    if (writer !== this.#agreedWith) await this.#compareServers(writer, connection);
  }

  async #compareServers(writer: number, connection: number): Promise<void> {
    const agree = await (this.#options.linksAgree?.() ?? Promise.resolve(true)).catch(
      () => undefined,
    );
    if (agree === undefined || connection !== this.#connection) return;
    // One difference may come from a promotion between the two answers.
    const strays = !agree && this.#differed;
    this.#differed = !agree && !strays;
    if (agree) this.#agreedWith = writer;
    if (!strays) return;
    if (this.#followed === writer) {
      this.#options.strayed?.();
    } else {
      this.#followed = writer;
      this.#events.dead('what is written goes to another server');
    }
  }

  #heartbeatFailed(token: string, error: unknown): void {
    this.#probe.notPublished(token);
    if (error instanceof RedisRefusedError && this.#isMisplaced(error)) return;
    if (error instanceof RedisRefusedError) {
      this.#refused(error);
      this.#noHeartbeatBefore = performance.now() + this.#backoff(error);
      if (!this.#forbidden) this.#refusedByNoMaster(error);
      return;
    }
    this.#unsent();
  }

  /** No heartbeat can be sent: there is no command connection, or the earlier link's heartbeat has not settled. */
  #unsent(): void {
    const now = performance.now();
    this.#unsentSince ??= now;
    const unsentMs = now - this.#unsentSince;
    if (unsentMs >= UNSENT_LIMIT_MS) this.#events.settled();
    else if (!this.#proven && unsentMs < PROBE_INTERVAL_MS) this.#checkIn(PROBE_SOON_MS);
  }

  #refused(error: RedisRefusedError): void {
    if (this.#refusal === undefined) this.#options.probeRefused(error);
    this.#refusal = error;
    this.#forbidden = error.state.lasts === 'lasting' && error.state.delivers === 'yes';
    // A passing state is proven over when a probe arrives; until then the link does not count as restored.
    if (this.#forbidden) this.#events.settled();
  }

  /** Whether the probe must have another slot. Then its next check uses one, soon. */
  #isMisplaced({ code }: RedisRefusedError): boolean {
    const { misplaced } = this.#options;
    if (misplaced === undefined || code !== 'MOVED') return false;
    // A node ends a sharded subscription itself, and refuses this call then. It would keep a classic one.
    this.#kind.unsubscribe(this.#link.redis, [this.channel]).catch(() => {});
    misplaced();
    this.#checkIn(PROBE_SOON_MS);
    return true;
  }

  /** How long to wait after a refusal before the next attempt, beyond the usual interval, in ms. */
  #backoff({ state: { waitMs } }: RedisRefusedError): number {
    return waitMs > PROBE_INTERVAL_MS ? waitMs : 0;
  }

  /** Leaves a server that is or may be no longer the master, once: its name may lead to another server now. */
  #refusedByNoMaster({ message }: RedisRefusedError): void {
    if (!this.#link.mayLeave(message)) return;
    this.#refusedInRow += 1;
    const cause = `Redis refused the probe: ${message}`;
    this.#options.probeFailed(cause);
    if (this.#refusedInRow >= PROBE_LATE_LIMIT)
      this.#link.leave(message, `${cause}, ${this.#refusedInRow} times in a row`);
  }

  /** Acts on a verdict. Returns whether the link was cut. */
  #act(verdict: ProbeVerdict): boolean {
    if (verdict.kind === 'fine') return false;
    this.#options.probeFailed(verdict.cause);
    if (verdict.kind === 'suspect') return false;
    this.#events.dead(verdict.cause);
    return true;
  }
}
