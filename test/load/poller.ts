import { performance } from 'node:perf_hooks';

/**
 * How long an event loop that looks for data goes on when none comes, in ms. A server that writes to thousands of
 * clients in turn writes to one every 10 µs.
 */
const PATIENCE_MS = 1;

/**
 * Keeps an event loop from sleeping while data comes. A process that sleeps has to be woken for what comes next, by
 * the core that sends it: on a virtual machine that costs the sender 2 to 3 µs, and whether it
 * happens depends on how fast the sender is. Between machines nobody pays that.
 */
export class Poller {
  #isLooking = false;
  #hasCome = false;
  #lookedAt = 0;
  #cameAt = 0;
  #idleMs = 0;

  /** Data came. */
  came(): void {
    this.#hasCome = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#lookedAt = performance.now();
    setImmediate(this.#look);
  }

  /** For how long it has looked in vain since the last call, in ms. */
  takeIdleMs(): number {
    const idleMs = this.#idleMs;
    this.#idleMs = 0;
    return idleMs;
  }

  readonly #look = (): void => {
    const now = performance.now();
    if (this.#hasCome) this.#cameAt = now;
    else this.#idleMs += now - this.#lookedAt;
    this.#hasCome = false;
    this.#lookedAt = now;
    this.#isLooking = now - this.#cameAt < PATIENCE_MS;
    if (this.#isLooking) setImmediate(this.#look);
  };
}
