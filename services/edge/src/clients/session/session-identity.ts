import type { Identity } from '../../auth/token-verifier.ts';
import { type AttendedTime, BEAT_MS, BEATS_PER_SECOND, NEVER } from '../time/attended-time.ts';

/** The time in which a new client must send a token that is accepted, in seconds. */
export const IDENTIFY_SECONDS = 5;

/**
 * How long before the end of its token a client is told at the latest, in ms; at the earliest it is twice that. Clients whose
 * tokens end together are told at different times, so that they do not all ask for new tokens at once.
 */
const NOTICE_MS = 30_000;

/** The longest time from the end of a token to the close, in ms. Clients whose tokens end together are closed at different times. */
const GRACE_MS = 30_000;

/** The least share of {@link GRACE_MS} that a client gets. */
const LEAST_GRACE_SHARE = 1 / 6;

/** Notice and grace are no longer than this share of the time that the token has left when it is accepted. */
const MOST_SHARE_OF_LIFE = 0.5;

/** What is due for a session's identity: the client must be told `expiring`; `unidentified` and `expired` end the connection. */
export type IdentityVerdict = 'fine' | 'unidentified' | 'expiring' | 'expired';

/** Who a session's client is and until when, on a node that asks for tokens. */
export class SessionIdentity {
  readonly #time: AttendedTime;
  readonly #phase: number;
  #current: Identity | undefined;
  #closeAt: number;
  #noticeAt = NEVER;
  #graceMs = 0;
  #identifiedAt = 0;
  /** Whether a token of the client is being verified: one at a time. */
  isVerifying = false;

  /** @param phase 0 ≤ phase < 1: where the client is among those whose tokens end together. */
  constructor(time: AttendedTime, phase: number) {
    this.#time = time;
    this.#phase = phase;
    this.#closeAt = time.beat + IDENTIFY_SECONDS * BEATS_PER_SECOND;
  }

  /** The identity of the latest token that was accepted; undefined before the first. */
  get current(): Identity | undefined {
    return this.#current;
  }

  /** When the first token was accepted, in ms since the Unix epoch; 0 before. */
  get identifiedAt(): number {
    return this.#identifiedAt;
  }

  /** The beat at which the connection ends unless a token is accepted before. */
  get closeAt(): number {
    return this.#closeAt;
  }

  /** The beat at which to {@link judge} next. */
  get dueAt(): number {
    return Math.min(this.#noticeAt, this.#closeAt);
  }

  /**
   * Takes over the identity of a token that was accepted.
   *
   * @param now ms since the Unix epoch.
   */
  accept(identity: Identity, now: number): void {
    const leftMs = Math.max(0, identity.expiresAt - now);
    const mostMs = leftMs * MOST_SHARE_OF_LIFE;
    const noticeMs = Math.min(2 * NOTICE_MS, mostMs) * (0.5 + 0.5 * this.#phase);
    const graceShare = LEAST_GRACE_SHARE + (1 - LEAST_GRACE_SHARE) * this.#phase;
    this.#graceMs = Math.round(Math.min(GRACE_MS, mostMs) * graceShare);
    if (this.#current === undefined) this.#identifiedAt = now;
    this.#current = identity;
    this.#noticeAt = this.#time.beat + Math.floor((leftMs - noticeMs) / BEAT_MS);
    this.#closeAt = this.#time.beat + Math.ceil((leftMs + this.#graceMs) / BEAT_MS);
  }

  /** Returns what is due at this beat. `expiring` is due once for each token. */
  judge(beat: number): IdentityVerdict {
    if (beat >= this.#closeAt) return this.#current === undefined ? 'unidentified' : 'expired';
    if (beat < this.#noticeAt) return 'fine';
    this.#noticeAt = NEVER;
    return 'expiring';
  }

  /**
   * The times that `expiring` tells.
   *
   * @param now ms since the Unix epoch.
   */
  notice(now: number): { readonly expiresInMs: number; readonly graceMs: number } {
    return { expiresInMs: this.leftMs(now), graceMs: this.#graceMs };
  }

  /** Time until the token expires, in ms; 0 once it has. `now` is in ms since the Unix epoch. */
  leftMs(now: number): number {
    return Math.max(0, Math.round((this.#current?.expiresAt ?? now) - now));
  }
}
