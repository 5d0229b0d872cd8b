/** A channel whose end is looked at from time to time. */
export interface Checked {
  /** When a message of it last arrived, in ms on the clock of the calls. */
  readonly lastMessageAt: number;
  /** Whether the node still holds it. */
  readonly isHeld: boolean;
}

/** The first look at a channel after its last message, in ms; each further one waits twice as long. */
const FIRST_WAIT_MS = 1_000;

/** How exactly checks are due, in ms: the time between two calls of `takeDue`. */
export const CHECK_INTERVAL_MS = 250;

interface Entry<C> {
  readonly channel: C;
  readonly waitMs: number;
  /** The channel's last message when this was planned. */
  readonly plannedAt: number;
}

/**
 * When to compare a channel's end in Redis with what arrived: about 1, 2, 4 … s after its last message,
 * so that a lost last one is found soon, and ten thousand quiet channels cost little. A message costs
 * nothing here: a check that comes too early for the channel's latest message is planned anew.
 */
export class TailChecks<C extends Checked> {
  readonly #longestWaitMs: number;
  /** A wheel: whoever is due in tick n stands at n modulo its length. */
  readonly #wheel: Entry<C>[][];
  #tick: number;

  /**
   * @param longestWaitMs the longest time between two looks at a quiet channel; 0 for no looks at all.
   * @param now ms on the clock of all calls.
   */
  constructor(longestWaitMs: number, now: number) {
    this.#longestWaitMs = longestWaitMs;
    const ticks = Math.ceil(Math.max(longestWaitMs, FIRST_WAIT_MS) / CHECK_INTERVAL_MS) + 2;
    this.#wheel = Array.from({ length: ticks }, () => []);
    this.#tick = Math.floor(now / CHECK_INTERVAL_MS);
  }

  /** Begins to look at a channel. It ends by itself when the channel is no longer held. */
  add(channel: C, now: number): void {
    if (this.#longestWaitMs > 0) this.#plan(channel, FIRST_WAIT_MS, now);
  }

  /** The channels whose end is to be looked at now. To be called every {@link CHECK_INTERVAL_MS}. */
  takeDue(now: number): C[] {
    const due: C[] = [];
    const until = Math.floor(now / CHECK_INTERVAL_MS);
    // After a stall longer than a turn of the wheel, everyone is due once.
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
