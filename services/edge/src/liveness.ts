/** What is to be done about a peer after a tick. */
export type LivenessVerdict = 'fine' | 'ping' | 'dead';

/** How long a peer may be silent, in ticks of one second. */
export interface LivenessLimits {
  /** Silence after which it is pinged. */
  readonly pingAfterTicks: number;
  /**
   * Silence after the ping after which it is taken for dead. At least 2: after a stall of this
   * process the tick comes first, and only then are the answers read that came meanwhile.
   */
  readonly deadAfterTicks: number;
}

/**
 * Whether a peer is alive, told in ticks and not in clock time: a process that was itself held up
 * for five seconds ticks once afterwards, and blames nobody for what it did not read meanwhile.
 */
export class Liveness {
  readonly #limits: LivenessLimits;
  #silentTicks: number;

  /** @param phase 0 ≤ phase < 1: where in its first interval this peer starts, to spread the pings. */
  constructor(limits: LivenessLimits, phase: number) {
    this.#limits = limits;
    this.#silentTicks = Math.floor(phase * limits.pingAfterTicks);
  }

  /** The peer gave a sign of life: it sent something, or took bytes that it had left lying. */
  heard(): void {
    this.#silentTicks = 0;
  }

  tick(): LivenessVerdict {
    this.#silentTicks += 1;
    if (this.#silentTicks === this.#limits.pingAfterTicks) return 'ping';
    const deadAt = this.#limits.pingAfterTicks + this.#limits.deadAfterTicks;
    return this.#silentTicks >= deadAt ? 'dead' : 'fine';
  }
}
