import type { AttendedTime } from './attended-time.ts';

/** What is to be done about a peer that is due. */
export type LivenessVerdict = 'fine' | 'ping' | 'dead';

/** How long a peer may be silent, in beats; two at least. */
export interface LivenessLimits {
  /** Silence after which it has been pinged. */
  readonly pingAfterBeats: number;
  /**
   * Silence after the ping after which it is taken for dead. At least two seconds: after a stall of this process the
   * beats come first, a second of them, and only then are the answers read that came meanwhile.
   */
  readonly deadAfterBeats: number;
}

/**
 * Pings of peers that all fell silent at once are spread over this share of the time until they have to be pinged. The
 * more, the flatter; but no peer is pinged that has been silent for less than the rest of that time.
 */
const SPREAD_SHARE = 0.5;

/**
 * Whether a peer is alive. Its pings are due at beats of its own, some seconds apart: what it sends only lets it skip some
 * of them. So peers that came together or sent something together, a crowd that reconnects or a subscription that all
 * repeat, are pinged apart for as long as they stay.
 */
export class Liveness {
  readonly #limits: LivenessLimits;
  readonly #time: AttendedTime;
  #heardAt: number;
  #pingAt: number;
  /** After a ping that was not answered yet: when the peer is taken for dead; 0 without one. */
  #deadAt = 0;
  /** Whether a ping was not answered yet, though the peer may have sent something else since. */
  #isUnanswered = false;

  /** @param phase 0 ≤ phase < 1: where among its likes this peer's pings are. */
  constructor(limits: LivenessLimits, time: AttendedTime, phase: number) {
    this.#limits = limits;
    this.#time = time;
    this.#heardAt = time.beat;
    this.#pingAt = time.beat + Math.floor(phase * this.#spread);
  }

  /** The beat at which to {@link check} next, whatever the peer sends until then. */
  get dueAt(): number {
    if (this.#deadAt === 0) return this.#nextPingAt();
    // When it answers, it is to be pinged again, and not before this.
    return Math.min(this.#deadAt, this.#pingAt + this.#spread);
  }

  /** The peer gave a sign of life: it sent something, or took bytes that it had left lying. */
  recordLife(): void {
    this.#heardAt = this.#time.beat;
    this.#deadAt = 0;
  }

  /**
   * Whether a pong answers a ping that {@link check} asked for, also when the peer sent something else before it. A peer may
   * answer the latest ping only. Call {@link recordLife} then.
   */
  matchPong(): boolean {
    const wasUnanswered = this.#isUnanswered;
    this.#isUnanswered = false;
    return wasUnanswered;
  }

  /** What is due now. With `ping`, the caller has pinged it. */
  check(): LivenessVerdict {
    const { beat } = this.#time;
    if (this.#deadAt > 0) return beat >= this.#deadAt ? 'dead' : 'fine';
    if (beat < this.#nextPingAt()) return 'fine';
    const { pingAfterBeats, deadAfterBeats } = this.#limits;
    this.#deadAt = Math.max(beat, this.#heardAt + pingAfterBeats) + deadAfterBeats;
    this.#isUnanswered = true;
    return 'ping';
  }

  get #spread(): number {
    return Math.floor(this.#limits.pingAfterBeats * SPREAD_SHARE);
  }

  #nextPingAt(): number {
    const spread = this.#spread;
    // The last of the beats from which on it must be pinged is the one at which its silence has lasted long enough.
    const earliest = this.#heardAt + this.#limits.pingAfterBeats - spread + 1;
    if (this.#pingAt < earliest) {
      this.#pingAt += Math.ceil((earliest - this.#pingAt) / spread) * spread;
    }
    return this.#pingAt;
  }
}
