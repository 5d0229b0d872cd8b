import type { Cancel, Surroundings } from '../surroundings.ts';

/** How often it is looked whether time passes as it should, ms: a wake-up is noticed within it. */
const TICK_MS = 1_000;

/** A timer that is this late, or clocks that differ by this much, mean that the machine or the page slept. */
const ASLEEP_MS = 2_000;

export interface HeartbeatSettings {
  /** A `ping` is sent after this time without a frame, ms. */
  readonly pingMs: number;
  /** The connection is dead if no frame follows within this time, ms. */
  readonly timeoutMs: number;
  /** The same after a hint that it might be dead, ms. */
  readonly probeMs: number;
}

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
  readonly #settings: HeartbeatSettings;
  readonly #owner: HeartbeatOwner;
  #heardAt: number;
  #deadline: number | undefined;
  #wall = 0;
  #monotonic = 0;
  #cancel: Cancel | undefined;

  constructor(surroundings: Surroundings, settings: HeartbeatSettings, owner: HeartbeatOwner) {
    this.#surroundings = surroundings;
    this.#settings = settings;
    this.#owner = owner;
    this.#heardAt = surroundings.monotonic();
    this.#arm();
  }

  /** A frame has arrived. */
  heard(): void {
    this.#heardAt = this.#surroundings.monotonic();
    this.#deadline = undefined;
  }

  /** Something hints that the connection might be dead. */
  probe(): void {
    this.#ask(this.#settings.probeMs);
    this.#arm();
  }

  stop(): void {
    this.#cancel?.();
  }

  #ask(withinMs: number): void {
    const deadline = this.#surroundings.monotonic() + withinMs;
    if (this.#deadline !== undefined && this.#deadline <= deadline) return;
    this.#deadline = deadline;
    this.#owner.ping();
  }

  #arm(): void {
    const { pingMs, timeoutMs } = this.#settings;
    this.#cancel?.();
    this.#wall = this.#surroundings.now();
    this.#monotonic = this.#surroundings.monotonic();
    const left = (this.#deadline ?? Number.POSITIVE_INFINITY) - this.#monotonic;
    const ms = Math.max(0, Math.min(TICK_MS, pingMs, timeoutMs, left));
    this.#cancel = this.#surroundings.after(ms, () => this.#tick(ms));
  }

  #tick(expectedMs: number): void {
    const monotonic = this.#surroundings.monotonic();
    const passed = monotonic - this.#monotonic;
    const wallPassed = this.#surroundings.now() - this.#wall;
    if (passed - expectedMs > ASLEEP_MS || Math.abs(wallPassed - passed) > ASLEEP_MS) {
      this.#deadline = undefined;
      this.#owner.woke();
      this.#ask(this.#settings.probeMs);
    } else if (this.#deadline !== undefined && monotonic >= this.#deadline) {
      this.stop();
      this.#owner.dead();
      return;
    } else if (monotonic - this.#heardAt >= this.#settings.pingMs) {
      this.#ask(this.#settings.timeoutMs);
    }
    this.#arm();
  }
}
