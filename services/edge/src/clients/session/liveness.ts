import type { AttendedTime } from '../time/attended-time.ts';

/** What the caller must do about a peer that is due. */
export type LivenessVerdict = 'fine' | 'ping' | 'dead';

/** How long a peer may be silent, in beats, each at least two. */
export interface LivenessLimits {
  /** The silence by which the peer has been pinged. */
  readonly pingAfterBeats: number;
  /**
   * The silence after the ping by which the peer counts as dead. It must be at least two seconds: after a stall of this
   * process a second of beats passes before the answers that arrived meanwhile are read.
   */
  readonly deadAfterBeats: number;
}

/**
 * Pings of peers that all fell silent at once are spread over this share of `pingAfterBeats`. A larger share spreads them more
 * evenly, but pings some peers after a shorter silence: the rest of `pingAfterBeats`.
 */
const SPREAD_SHARE = 0.5;

/**
 * Whether a peer is alive. Each peer has ping beats of its own, some seconds apart; what it sends only lets it skip some of
 * them. So peers that connected together, or sent something together, are pinged at different beats for as long as they
 * stay.
 */
export class Liveness {
  readonly #limits: LivenessLimits;
  readonly #time: AttendedTime;
  #heardAt: number;
  #pingAt: number;
  /** The beat at which the peer counts as dead; 0 unless it was pinged and has been silent since. */
  #deadAt = 0;
  /** Whether a ping is unanswered. The peer may have sent something else since. */
  #isUnanswered = false;

  /** @param phase 0 ≤ phase < 1: where in the spread of pings this peer's are. */
  constructor(limits: LivenessLimits, time: AttendedTime, phase: number) {
    this.#limits = limits;
    this.#time = time;
    this.#heardAt = time.beat;
    this.#pingAt = time.beat + Math.floor(phase * this.#spread);
  }

  /** The beat at which to {@link check} next, whatever the peer sends until then. */
  get dueAt(): number {
    if (this.#deadAt === 0) return this.#nextPingAt();
    // If it answers, its next ping is due no sooner than this.
    return Math.min(this.#deadAt, this.#pingAt + this.#spread);
  }

  /** Records a sign of life: the peer sent something, or its socket took bytes again. */
  recordLife(): void {
    this.#heardAt = this.#time.beat;
    this.#deadAt = 0;
  }

  /**
   * Whether a pong answers a ping that {@link check} asked for, even if the peer sent something else before it. One pong
   * answers all pings before it. If it is an answer, the caller must call {@link recordLife}.
   */
  matchPong(): boolean {
    const wasUnanswered = this.#isUnanswered;
    this.#isUnanswered = false;
    return wasUnanswered;
  }

  /** What is due now. After `ping` the caller must send one. */
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
    // The spread ends with the beat at which the silence has lasted for `pingAfterBeats`.
    const earliest = this.#heardAt + this.#limits.pingAfterBeats - spread + 1;
    if (this.#pingAt < earliest) {
      this.#pingAt += Math.ceil((earliest - this.#pingAt) / spread) * spread;
    }
    return this.#pingAt;
  }
}
