import type { Surroundings } from '../surroundings.ts';
import { Timers } from '../timers.ts';

/** How often it is looked whether time passes as it should, ms: a wake-up is noticed within it. */
const TICK_MS = 1_000;

/** A timer that is this late, or clocks that differ by this much, mean that the machine or the page slept. */
const ASLEEP_MS = 2_000;

export interface HeartbeatOwner {
  ping(): void;
  /** Time jumped: the machine or the page slept. */
  woke(): void;
  dead(): void;
}

/**
 * Judges whether a connection lives. JavaScript sees no pings of a WebSocket, so it sends its own. A deadline is judged by
 * a timer that was punctual only: after a sleep the connection gets another chance to answer.
 */
export class Heartbeat {
  readonly #surroundings: Surroundings;
  readonly #pingMs: number;
  readonly #timeoutMs: number;
  readonly #probeMs: number;
  readonly #owner: HeartbeatOwner;
  readonly #timers: Timers<'tick'>;
  #heardAt = 0;
  #deadline = Number.POSITIVE_INFINITY;

  /**
   * @param pingMs a `ping` is sent after this time without a frame.
   * @param timeoutMs the connection is dead if no frame follows within this time.
   * @param probeMs the same after a hint that it might be dead.
   */
  constructor(
    surroundings: Surroundings,
    pingMs: number,
    timeoutMs: number,
    probeMs: number,
    owner: HeartbeatOwner,
  ) {
    this.#surroundings = surroundings;
    this.#pingMs = pingMs;
    this.#timeoutMs = timeoutMs;
    this.#probeMs = probeMs;
    this.#owner = owner;
    this.#timers = new Timers(surroundings);
    this.heard();
    this.#arm();
  }

  /** A frame has arrived. */
  heard(): void {
    this.#heardAt = this.#surroundings.monotonic();
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  /** Something hints that the connection might be dead. */
  probe(): void {
    this.#ask(this.#probeMs);
    this.#arm();
  }

  stop(): void {
    this.#timers.clearAll();
  }

  #ask(withinMs: number): void {
    const deadline = this.#surroundings.monotonic() + withinMs;
    if (this.#deadline <= deadline) return;
    this.#deadline = deadline;
    this.#owner.ping();
  }

  #arm(): void {
    const wall = this.#surroundings.now();
    const monotonic = this.#surroundings.monotonic();
    const left = this.#deadline - monotonic;
    const ms = Math.max(0, Math.min(TICK_MS, this.#pingMs, this.#timeoutMs, left));
    this.#timers.set('tick', ms, () => {
      const now = this.#surroundings.monotonic();
      const passed = now - monotonic;
      const difference = Math.abs(this.#surroundings.now() - wall - passed);
      if (passed - ms > ASLEEP_MS || difference > ASLEEP_MS) {
        this.#deadline = Number.POSITIVE_INFINITY;
        this.#owner.woke();
        this.#ask(this.#probeMs);
      } else if (now >= this.#deadline) {
        this.#owner.dead();
        return;
      } else if (now - this.#heardAt >= this.#pingMs) this.#ask(this.#timeoutMs);
      this.#arm();
    });
  }
}
