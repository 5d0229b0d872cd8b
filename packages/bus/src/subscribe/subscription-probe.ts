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

/**
 * How a subscriber proves that what is published reaches it. The functions belong to the owner; none
 * may throw.
 */
export interface ProbeOptions {
  /** The node's own name. The probe travels on the channel `tw:probe:<name>`. */
  readonly name: string;
  /**
   * Writes to Redis and publishes `token` on `tw:probe:<name>`, over a connection for commands; see
   * `RedisCommands.heartbeat`. Called at most once a second once the link has proven itself, ten times before,
   * and not again before it has settled, so it must settle. Rejects with a `RedisUnavailableError`, or with a
   * `RedisRefusedError` that has the code of the write's own error.
   */
  heartbeat(name: string, token: string): Promise<HeartbeatOutcome>;
  /**
   * Whether the subscription and the connection for commands lead to the same server, as far as Redis tells.
   * Asked until they do, whenever a heartbeat was written over another connection than before. Two differences
   * in a row cost the link, which follows what is written; further ones end in {@link strayed}.
   */
  linksAgree?(): Promise<boolean>;
  /** The new link, too, leads to another server than heartbeats are written to: they are to go elsewhere. */
  strayed?(): void;
  /**
   * A look, one a second, found the link wanting: the probe did not arrive, or a Redis that is no master
   * refused it, or Redis holds another number of subscriptions. The second in a row costs the link,
   * and `linkLost` follows at once; for the answer of one server only once.
   */
  probeFailed(cause: string): void;
  /**
   * Redis refuses the probe. Told once until a probe arrives again. The link goes on without this proof, which
   * is tried again every second, or every 30 s where that lasts (`NOPERM`, `ERR`).
   */
  probeRefused(error: RedisRefusedError): void;
  /** Redis refuses writes and goes on to deliver. Once for each code, until `writesAccepted`. */
  writesRefused?(error: RedisRefusedError): void;
  /** It writes again. */
  writesAccepted?(): void;
}

/** What a probe tells the subscriber that it belongs to. */
export interface SubscriptionProbeEvents {
  /** The link is up but does not do its work; it has to be cut. */
  dead(cause: string): void;
  /** A probe arrived, or it has become clear that none can be sent before somebody acts. */
  settled(): void;
}

/** A probe's token: who has seen all tokens before it, in the heartbeat's key say, cannot make the next. */
const TOKEN_BYTES = 16;

/**
 * Asks once a second, while the link is up, whether the subscription does its work: subscribes the
 * probe's channel (again), which Redis answers with the number of this connection's subscriptions,
 * and then has a fresh token published, which must have arrived by the next such answer.
 */
export class SubscriptionProbe {
  readonly channel: string;
  readonly #link: RedisLink;
  readonly #held: () => number;
  readonly #options: ProbeOptions;
  readonly #events: SubscriptionProbeEvents;
  readonly #probe = new LinkProbe(() => randomBytes(TOKEN_BYTES).toString('hex'));
  #startedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Changes whenever what was asked before has lost its meaning. */
  #connection = 0;
  #asking = false;
  #beating = false;
  #refusal: RedisRefusedError | undefined;
  #forbidden = false;
  /** What the last write was refused with. */
  #writeRefusal: string | undefined;
  #refusedInRow = 0;
  /** Since when no heartbeat could be sent, in ms. */
  #unsentSince: number | undefined;
  /** A probe has arrived on the present link. */
  #proven = false;
  /** The connection for commands that is known to lead to the server of the subscription; 0: none. */
  #agreedWith = 0;
  /** The one that the subscription followed. */
  #followed = 0;
  #differed = false;
  #noLookBefore = Number.NEGATIVE_INFINITY;
  #noBeatBefore = Number.NEGATIVE_INFINITY;

  /** @param held how many channels the connection holds besides the probe's, by Redis' answers so far. */
  constructor(
    link: RedisLink,
    held: () => number,
    options: ProbeOptions,
    events: SubscriptionProbeEvents,
  ) {
    this.channel = `tw:probe:${options.name}`;
    this.#link = link;
    this.#held = held;
    this.#options = options;
    this.#events = events;
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

  /** Why Redis refuses the probe; undefined while it does not. */
  get refusal(): RedisRefusedError | undefined {
    return this.#refusal;
  }

  /** From here on the age is counted. */
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
    this.#noLookBefore = Number.NEGATIVE_INFINITY;
    this.#noBeatBefore = Number.NEGATIVE_INFINITY;
    this.#look();
  }

  /** The link is lost, or the subscriber stopped: no timer is left. */
  linkDown(): void {
    this.#connection += 1;
    this.#asking = false;
    clearTimeout(this.#timer);
  }

  /** A message on {@link channel}. Tokens that are not ours are nobody's business. */
  receive(payload: Buffer): void {
    if (!this.#probe.received(payload.toString('latin1'))) return;
    this.#refusal = undefined;
    this.#forbidden = false;
    this.#proven = true;
    this.#events.settled();
  }

  #look(): void {
    this.#lookIn(PROBE_INTERVAL_MS);
    // An answer that does not come at all is what the link's own PINGs are for.
    if (this.#asking || !this.#link.writable) return;
    if (performance.now() < this.#noLookBefore) {
      if (this.#forbidden) this.#events.settled();
      return;
    }
    this.#asking = true;
    const connection = this.#connection;
    this.#link.redis.subscribe(this.channel).then(
      (told) => {
        if (connection === this.#connection) this.#answered(Number(told));
      },
      (error: unknown) => {
        if (connection !== this.#connection) return;
        this.#asking = false;
        if (!isErrorReply(error)) return;
        const refusal = new RedisRefusedError(describeError(error));
        this.#refused(refusal);
        this.#noLookBefore = performance.now() + this.#patience(refusal);
      },
    );
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), ms);
  }

  #answered(told: number): void {
    this.#asking = false;
    if (this.#act(this.#probe.judge(told, this.#held() + 1))) return;
    if (this.#beating) {
      if (!this.#proven) this.#unsent();
      return;
    }
    if (performance.now() < this.#noBeatBefore) {
      if (this.#forbidden) this.#events.settled();
      return;
    }
    this.#beating = true;
    void this.#beat(this.#probe.next(performance.now()));
  }

  async #beat(token: string): Promise<void> {
    const connection = this.#connection;
    try {
      const outcome = await this.#options.heartbeat(this.#options.name, token);
      this.#probe.published(token);
      if (connection === this.#connection) await this.#beaten(outcome, connection);
    } catch (error) {
      if (connection === this.#connection) this.#notBeaten(token, error);
    } finally {
      this.#beating = false;
    }
  }

  /** The token is published. What else the server said of itself shows whether it is the one to be linked to. */
  async #beaten({ refusal, connection: writer }: HeartbeatOutcome, connection: number) {
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
    // One difference may be a promotion between the two answers.
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

  #notBeaten(token: string, error: unknown): void {
    this.#probe.notPublished(token);
    if (error instanceof RedisRefusedError) {
      this.#refused(error);
      this.#noBeatBefore = performance.now() + this.#patience(error);
      if (!this.#forbidden) this.#refusedByNoMaster(error);
      return;
    }
    this.#unsent();
  }

  /** There is nothing to send a heartbeat over, or that of the link before is not settled. */
  #unsent(): void {
    const now = performance.now();
    this.#unsentSince ??= now;
    const unsentMs = now - this.#unsentSince;
    if (unsentMs >= UNSENT_LIMIT_MS) this.#events.settled();
    else if (!this.#proven && unsentMs < PROBE_INTERVAL_MS) this.#lookIn(PROBE_SOON_MS);
  }

  #refused(error: RedisRefusedError): void {
    if (this.#refusal === undefined) this.#options.probeRefused(error);
    this.#refusal = error;
    this.#forbidden = error.state.lasts === 'lasting' && error.state.delivers === 'yes';
    // What passes will be proven when it has passed; until then the link is not told to be restored.
    if (this.#forbidden) this.#events.settled();
  }

  /** How long a refused question is left alone beyond the usual interval, in ms. */
  #patience({ state: { waitMs } }: RedisRefusedError): number {
    return waitMs > PROBE_INTERVAL_MS ? waitMs : 0;
  }

  /** A server that is, or may be, no master any more is left for it, once: the name may lead elsewhere by now. */
  #refusedByNoMaster({ message }: RedisRefusedError): void {
    if (!this.#link.mayLeave(message)) return;
    this.#refusedInRow += 1;
    const cause = `Redis refused the probe: ${message}`;
    this.#options.probeFailed(cause);
    if (this.#refusedInRow >= PROBE_LATE_LIMIT)
      this.#link.leave(message, `${cause}, ${this.#refusedInRow} times in a row`);
  }

  /** Returns whether the link was given up. */
  #act(verdict: ProbeVerdict): boolean {
    if (verdict.kind === 'fine') return false;
    this.#options.probeFailed(verdict.cause);
    if (verdict.kind === 'suspect') return false;
    this.#events.dead(verdict.cause);
    return true;
  }
}
