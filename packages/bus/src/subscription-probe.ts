import { randomBytes } from 'node:crypto';
import { LinkProbe, type ProbeVerdict } from './link-probe.ts';
import { describeError, isErrorReply, RedisRefusedError } from './redis-errors.ts';
import { PROBE_INTERVAL_MS, PROBE_REFUSED_RETRY_MS } from './redis-limits.ts';
import type { RedisLink } from './redis-link.ts';

/**
 * How a subscriber proves that what is published reaches it. The functions belong to the owner; none
 * may throw.
 */
export interface ProbeOptions {
  /** The node's own name. The probe travels on the channel `tw:probe:<name>`. */
  readonly name: string;
  /**
   * Writes to Redis and publishes `token` on `tw:probe:<name>`, over a connection for commands. It
   * writes because a replica, too, lets everybody publish, to its own subscribers. Called at most once
   * a second, and not again before it has settled, so it must settle. Rejects with a
   * `RedisUnavailableError`, or with a `RedisRefusedError` that has the code of the write's own error.
   */
  heartbeat(name: string, token: string): Promise<void>;
  /**
   * A look, one a second, found the link wanting: the probe did not arrive, or a Redis that is no master
   * refused it, or Redis holds another number of subscriptions. The second in a row costs the link,
   * and `linkLost` follows at once.
   */
  probeFailed(cause: string): void;
  /**
   * Redis refuses the probe for a reason that a new link would not mend. Told once until a probe
   * arrives again. The link goes on without this proof, which is tried again every second, or every
   * 30 s where Redis forbids it (`NOPERM`, `ERR`).
   */
  probeRefused(error: RedisRefusedError): void;
}

/** What a probe tells the subscriber that it belongs to. */
export interface SubscriptionProbeEvents {
  /** The link is up but does not do its work; it has to be cut. */
  dead(cause: string): void;
  /** A probe arrived, or it has become clear that none can be sent for now. */
  settled(): void;
}

/** A probe's token: who has seen all tokens before it, in the heartbeat's key say, cannot make the next. */
const TOKEN_BYTES = 16;

/** The codes with which a Redis says that it is not, or no longer, the master. */
const NOT_THE_MASTER: readonly string[] = ['READONLY', 'MASTERDOWN', 'NOREPLICAS'];

/** The codes of what stays refused until somebody changes Redis' configuration. All others pass. */
const FORBIDDEN: readonly string[] = ['NOPERM', 'ERR'];

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
  #refusalTold = false;
  #forbidden = false;
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

  /** From here on the age is counted. */
  start(): void {
    this.#startedAt ??= performance.now();
  }

  linkUp(): void {
    this.linkDown();
    this.#probe.linkUp();
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
    this.#refusalTold = false;
    this.#forbidden = false;
    this.#events.settled();
  }

  #look(): void {
    this.#timer = setTimeout(() => this.#look(), PROBE_INTERVAL_MS);
    // An answer that does not come at all is what the link's own PINGs are for.
    if (this.#asking || !this.#link.writable) return;
    if (performance.now() < this.#noLookBefore) {
      this.#events.settled();
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
        this.#refused(new RedisRefusedError(describeError(error)));
        if (this.#forbidden) this.#noLookBefore = performance.now() + PROBE_REFUSED_RETRY_MS;
      },
    );
  }

  #answered(told: number): void {
    this.#asking = false;
    if (this.#act(this.#probe.judge(told, this.#held() + 1))) return;
    if (this.#beating) return;
    if (performance.now() < this.#noBeatBefore) {
      this.#events.settled();
      return;
    }
    this.#beating = true;
    void this.#beat(this.#probe.next(performance.now()));
  }

  async #beat(token: string): Promise<void> {
    const connection = this.#connection;
    try {
      await this.#options.heartbeat(this.#options.name, token);
      this.#probe.published(token);
    } catch (error) {
      if (connection === this.#connection) this.#notBeaten(token, error);
    } finally {
      this.#beating = false;
    }
  }

  #notBeaten(token: string, error: unknown): void {
    if (!(error instanceof RedisRefusedError)) {
      this.#probe.notPublished(token);
      this.#events.settled();
    } else if (NOT_THE_MASTER.includes(error.code)) {
      this.#act(this.#probe.refused(token, error.message));
    } else {
      this.#probe.notPublished(token);
      this.#refused(error);
      if (this.#forbidden) this.#noBeatBefore = performance.now() + PROBE_REFUSED_RETRY_MS;
    }
  }

  #refused(error: RedisRefusedError): void {
    if (!this.#refusalTold) this.#options.probeRefused(error);
    this.#refusalTold = true;
    this.#forbidden = FORBIDDEN.includes(error.code);
    this.#events.settled();
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
