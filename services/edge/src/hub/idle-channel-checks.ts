/** A channel whose end is checked from time to time. */
export interface CheckedChannel {
  /** When a message of it last arrived, in ms on the clock of the calls. */
  readonly lastMessageAt: number;
  /** Whether the node still holds it. */
  readonly isHeld: boolean;
}

/** How long after a channel's last message it is checked first, in ms. Each further check waits twice as long. */
const FIRST_WAIT_MS = 1_000;

/** The time between two calls of {@link IdleChannelChecks.takeDue}, in ms: checks are due as exactly as this. */
export const CHECK_INTERVAL_MS = 250;

interface Entry<C> {
  readonly channel: C;
  readonly waitMs: number;
  /** The channel's last message when this was planned. */
  readonly plannedAt: number;
}

/**
 * Decides when to compare a channel's end in Redis with what arrived: about 1, 2, 4 … s after its last message. So a lost last
 * message is found soon, and 10,000 quiet channels cost little. A message causes no work here: a check that is due too early
 * after the channel's latest message is planned anew.
 */
export class IdleChannelChecks<C extends CheckedChannel> {
  readonly #longestWaitMs: number;
  /** A wheel: an entry that is due in tick n is in slot n modulo its length. */
  readonly #wheel: Entry<C>[][];
  #tick: number;

  /**
   * @param longestWaitMs the longest time between two checks of a quiet channel, in ms; 0 for no checks.
   * @param now ms on the clock of all calls.
   */
  constructor(longestWaitMs: number, now: number) {
    this.#longestWaitMs = longestWaitMs;
    const ticks = Math.ceil(Math.max(longestWaitMs, FIRST_WAIT_MS) / CHECK_INTERVAL_MS) + 2;
    this.#wheel = Array.from({ length: ticks }, () => []);
    this.#tick = Math.floor(now / CHECK_INTERVAL_MS);
  }

  /** Checks a channel from now on, until it is no longer held. */
  add(channel: C, now: number): void {
    if (this.#longestWaitMs > 0) this.#plan(channel, FIRST_WAIT_MS, now);
  }

  /** The channels whose end must be checked now. Must be called every {@link CHECK_INTERVAL_MS}. */
  takeDue(now: number): C[] {
    const due: C[] = [];
    const until = Math.floor(now / CHECK_INTERVAL_MS);
    // After a stall that was longer than a turn of the wheel, every channel is due once.
    const from = Math.max(this.#tick + 1, until - this.#wheel.length + 1);
    this.#tick = Math.max(this.#tick, until);
    for (let tick = from; tick <= until; tick += 1) {
      const slot = tick % this.#wheel.length;
      const entries = this.#wheel[slot] ?? [];
      this.#wheel[slot] = [];
      for (const entry of entries) this.#turn(entry, now, due);
    }
    return due;
  }

  #turn({ channel, waitMs, plannedAt }: Entry<C>, now: number, due: C[]): void {
    if (!channel.isHeld) return;
    if (channel.lastMessageAt > plannedAt) {
      const dueInMs = channel.lastMessageAt + FIRST_WAIT_MS - now;
      if (dueInMs > 0) {
        this.#plan(channel, FIRST_WAIT_MS, now, dueInMs);
        return;
      }
      due.push(channel);
      this.#plan(channel, Math.min(2 * FIRST_WAIT_MS, this.#longestWaitMs), now);
      return;
    }
    due.push(channel);
    this.#plan(channel, Math.min(2 * waitMs, this.#longestWaitMs), now);
  }

  #plan(channel: C, waitMs: number, now: number, inMs = waitMs): void {
    const tick = Math.max(this.#tick + 1, Math.ceil((now + inMs) / CHECK_INTERVAL_MS));
    const last = this.#tick + this.#wheel.length - 1;
    const slot = Math.min(tick, last) % this.#wheel.length;
    this.#wheel[slot]?.push({ channel, waitMs, plannedAt: now });
  }
}
