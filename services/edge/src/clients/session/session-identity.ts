import type { Identity } from '../../auth/token-verifier.ts';
import { type AttendedTime, BEAT_MS, BEATS_PER_SECOND, NEVER } from '../time/attended-time.ts';

/** Time for a new client to send a token that is accepted, in seconds. */
export const IDENTIFY_SECONDS = 5;

/**
 * How long before the end of its token a client is told at the latest, in ms; the earliest is twice that. Clients whose
 * tokens end together are told apart, so that they do not all ask for a new one at once.
 */
const NOTICE_MS = 30_000;

/** The longest time from the end of a token to the close, in ms. Clients whose tokens end together are closed apart. */
const GRACE_MS = 30_000;

/** The least share of that which every client gets. */
const LEAST_GRACE_SHARE = 1 / 6;

/** A token that comes with less time left makes notice and grace shorter: neither is longer than this share of it. */
const MOST_SHARE_OF_LIFE = 0.5;

/** What is due for a session's identity: `expiring` must be told, the others end the connection. */
export type IdentityVerdict = 'fine' | 'unidentified' | 'expiring' | 'expired';

/** Who a session's client is, on a node that asks, and until when. */
export class SessionIdentity {
  readonly #time: AttendedTime;
  readonly #phase: number;
  #current: Identity | undefined;
  #closeAt: number;
  #noticeAt = NEVER;
  #graceMs = 0;
  #identifiedAt = 0;
  /** Whether a token of the client is being verified. It may have one at a time. */
  isVerifying = false;

  /** @param phase 0 ≤ phase < 1: where the client is among those whose tokens end together. */
  constructor(time: AttendedTime, phase: number) {
    this.#time = time;
    this.#phase = phase;
    this.#closeAt = time.beat + IDENTIFY_SECONDS * BEATS_PER_SECOND;
  }

  /** Undefined until a token was accepted. */
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

  /** @param now ms since the Unix epoch. */
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

  /** What is due at this beat. `expiring` comes once for each token. */
  judge(beat: number): IdentityVerdict {
    if (beat >= this.#closeAt) return this.#current === undefined ? 'unidentified' : 'expired';
    if (beat < this.#noticeAt) return 'fine';
    this.#noticeAt = NEVER;
    return 'expiring';
  }

  /**
   * What `expiring` tells.
   *
   * @param now ms since the Unix epoch.
   */
  notice(now: number): { readonly expiresInMs: number; readonly graceMs: number } {
    return { expiresInMs: this.leftMs(now), graceMs: this.#graceMs };
  }

  /** Time until the token expires, in ms; 0 once it has. */
  leftMs(now: number): number {
    return Math.max(0, Math.round((this.#current?.expiresAt ?? now) - now));
  }
}
