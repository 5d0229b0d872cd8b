import { narrowedRate, type Rate, TokenBucket } from '@tradewind/runtime';
import type { Rights } from '../../auth/rights.ts';
import type { Owner } from '../../owners/owner.ts';
import { type AttendedTime, BEATS_PER_SECOND, NEVER } from '../time/attended-time.ts';
import { Liveness, type LivenessLimits } from './liveness.ts';
import { type IdentityVerdict, SessionIdentity } from './session-identity.ts';

/** The limits of every session of a worker. */
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
  /** The name of the session in `welcome` and in logs. */
  readonly id: string;
  /** The client's IP address in its canonical text; empty if the node does not know it. */
  readonly address?: string;
  /** The origin of the web page that the client runs in, as its browser says. Undefined outside of browsers. */
  readonly origin?: string | undefined;
  /** The address as an owner of limits; undefined if nothing is limited by address. */
  readonly addressOwner?: Owner | undefined;
  /** What it may read from the start on. */
  readonly rights: Rights;
  /** Whether the client must say who it is before it may ask for anything. */
  readonly mustIdentify?: boolean;
  readonly limits: SessionLimits;
  /** The worker's. */
  readonly time: AttendedTime;
  /** 0 ≤ phase < 1: see {@link Liveness}. */
  readonly phase: number;
  /** The time at which its budgets are full, in ms on the monotonic clock. */
  readonly now: number;
}

/** What the session's connection must do: see {@link Session.judge}. */
export type SessionVerdict = 'ping' | 'dead' | 'silent' | IdentityVerdict;

/** Who a client is and what it may do, apart from the transport. */
export class Session {
  readonly id: string;
  /** See {@link SessionParts}. */
  readonly address: string;
  /** See {@link SessionParts}. */
  readonly origin: string | undefined;
  /** What the client shares with all other clients of its address; see {@link SessionParts}. */
  readonly addressOwner: Owner | undefined;
  /** What the client shares with all other clients of its subject. Undefined until it has said who it is. */
  subjectOwner: Owner | undefined;
  /** 0 ≤ phase < 1, spread evenly over the clients: what must not happen to all at once happens to each at its phase. */
  readonly phase: number;
  /** What the client may read. It changes with each token that is accepted. */
  rights: Rights;
  /** Who the client is; undefined if the node does not ask for tokens. */
  readonly identity: SessionIdentity | undefined;
  /** When it was opened, in s since the Unix epoch: a small integer, which V8 keeps in the object itself. */
  readonly openedSeconds = Math.floor(Date.now() / 1_000);
  readonly liveness: Liveness;
  readonly requestBudget: TokenBucket;
  readonly subscribeBudget: TokenBucket;
  /** Bytes of replays. Undefined until the client asks for the first one; the budget is full until then. */
  replayBudget: TokenBucket | undefined;
  /** Requests that were ignored because the budget was used up. */
  ignoredRequests = 0;
  /** When its latest requests were answered with an error, in ms on the monotonic clock; undefined before the first. */
  errorTimes: number[] | undefined;
  /** Whether the client ever asked for a channel that it may have, now or later. */
  hasAsked = false;
  readonly #requestRate: Rate;
  /** The beat by which the client must have asked for a channel. */
  readonly #silentAt: number;

  constructor(parts: SessionParts) {
    const {
      id,
      address = '',
      origin,
      addressOwner,
      rights,
      mustIdentify,
      limits,
      time,
      phase,
      now,
    } = parts;
    this.id = id;
    this.address = address;
    this.origin = origin;
    this.addressOwner = addressOwner;
    this.#requestRate = limits.requestRate;
    this.phase = phase;
    this.rights = rights;
    this.identity = mustIdentify === true ? new SessionIdentity(time, phase) : undefined;
    this.liveness = new Liveness(limits.liveness, time, phase);
    this.requestBudget = new TokenBucket(limits.requestRate, now);
    this.subscribeBudget = new TokenBucket(limits.subscribeRate, now);
    this.#silentAt = time.beat + limits.silentSeconds * BEATS_PER_SECOND;
  }

  /** The owner that reads of the past are charged to: the subject, or the address if the node does not ask for tokens. */
  get replayOwner(): Owner | undefined {
    return this.subjectOwner ?? this.addressOwner;
  }

  /** The owner that new channels are charged to: the address, or the subject if addresses are not known. */
  get channelOwner(): Owner | undefined {
    return this.addressOwner ?? this.subjectOwner;
  }

  /** Gives the client the rights of a token that was accepted, and their rate of requests. `now` is in ms on the monotonic clock. */
  applyRights(rights: Rights, now: number): void {
    this.rights = rights;
    this.requestBudget.changeRate(now, narrowedRate(this.#requestRate, rights.requestsPerSecond));
  }

  /** The beat at which to {@link judge} next. It changes with each call, and once the client has asked for a channel. */
  get dueAt(): number {
    const dueAt = Math.min(this.liveness.dueAt, this.hasAsked ? NEVER : this.#silentAt);
    return this.identity === undefined ? dueAt : Math.min(dueAt, this.identity.dueAt);
  }

  /**
   * What is due at this beat. After `ping` the caller must send one, and after `expiring` a notice. `dead`, `silent`,
   * `unidentified` and `expired` end the connection: the client answered no ping, has asked for no channel in time, has
   * sent no token that was accepted, or no new one.
   */
  judge(beat: number): SessionVerdict {
    const verdict = this.liveness.check();
    if (verdict === 'dead') return verdict;
    if (this.identity !== undefined) {
      // A notice that is due together with a ping comes at the next beat.
      if (verdict === 'ping' && beat < this.identity.closeAt) return verdict;
      const identityVerdict = this.identity.judge(beat);
      if (identityVerdict !== 'fine') return identityVerdict;
    }
    return !this.hasAsked && beat >= this.#silentAt ? 'silent' : verdict;
  }
}
