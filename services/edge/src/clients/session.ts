import { type Rate, TokenBucket } from '@tradewind/runtime';
import type { Rights } from '../auth/rights.ts';
import { type AttendedTime, BEATS_PER_SECOND, NEVER } from './attended-time.ts';
import { Liveness, type LivenessLimits } from './liveness.ts';

/** What every session of a worker may do. */
export interface SessionLimits {
  /** Requests per client. */
  readonly requestRate: Rate;
  /** Channels subscribed to per client. */
  readonly subscribeRate: Rate;
  /** A client that has asked for no channel by this age is closed, in seconds. */
  readonly silentSeconds: number;
  readonly liveness: LivenessLimits;
}

/** What a new session is made of. */
export interface SessionParts {
  /** Names the session in `welcome` and in logs. */
  readonly id: string;
  readonly rights: Rights;
  readonly limits: SessionLimits;
  /** The worker's. */
  readonly time: AttendedTime;
  /** 0 ≤ phase < 1: see {@link Liveness}. */
  readonly phase: number;
  /** The moment at which its budgets are full, in ms on the monotonic clock. */
  readonly now: number;
}

/** What the session's connection must do: see {@link Session.judge}. */
export type SessionVerdict = 'fine' | 'ping' | 'dead' | 'silent';

/** Who a client is and what it may do, whatever carries its bytes. */
export class Session {
  readonly id: string;
  readonly rights: Rights;
  readonly liveness: Liveness;
  readonly requestBudget: TokenBucket;
  readonly subscribeBudget: TokenBucket;
  /** Bytes of replays. Undefined until the client asks for the first one; the budget is full until then. */
  replayBudget: TokenBucket | undefined;
  /** Requests that were ignored because the budget was used up. */
  ignoredRequests = 0;
  /** When its latest requests were answered with an error, in ms on the monotonic clock; undefined before the first. */
  errorTimes: number[] | undefined;
  /** Whether the client ever asked for a channel that it can have, now or later. */
  hasAsked = false;
  /** The beat by which the client must have asked for a channel. */
  readonly #silentAt: number;

  constructor({ id, rights, limits, time, phase, now }: SessionParts) {
    this.id = id;
    this.rights = rights;
    this.liveness = new Liveness(limits.liveness, time, phase);
    this.requestBudget = new TokenBucket(limits.requestRate, now);
    this.subscribeBudget = new TokenBucket(limits.subscribeRate, now);
    this.#silentAt = time.beat + limits.silentSeconds * BEATS_PER_SECOND;
  }

  /** The beat at which to {@link judge} next. It changes with each call, and once the client has asked for a channel. */
  get dueAt(): number {
    return Math.min(this.liveness.dueAt, this.hasAsked ? NEVER : this.#silentAt);
  }

  /**
   * What is due at this beat. After `ping` the caller must send one. `dead` and `silent` end the connection: the client
   * answered no ping, or has asked for no channel in time.
   */
  judge(beat: number): SessionVerdict {
    const verdict = this.liveness.check();
    return verdict !== 'dead' && !this.hasAsked && beat >= this.#silentAt ? 'silent' : verdict;
  }
}
