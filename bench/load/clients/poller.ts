/**
 * How long an event loop keeps looking for data if none arrives, in ms. A server that writes to thousands of clients in
 * turn writes to one every 10 µs.
 */
const PATIENCE_MS = 1;

/**
 * Keeps an event loop from sleeping while data arrives. The core that sends data must wake a process that sleeps: on a
 * virtual machine that costs the sender 2 to 3 µs, and whether it happens depends on the speed of the sender. Between
 * machines nobody pays that.
 */
export class Poller {
  #isLooking = false;
  #hasCome = false;
  #cameAt = 0;
  /** The thread's CPU time at the last reading, in ms. */
  #spentMs = 0;
  #idleMs = 0;

  /** Reports that data has arrived. */
  came(): void {
    this.#hasCome = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#spentMs = spentMs();
    setImmediate(this.#look);
  }

  /**
   * The CPU time spent on looking in vain since the last call, in ms. It is not elapsed time, which may have gone to
   * another process on the same core. Linux reports it in steps of some ms, which even out over seconds.
   */
  takeIdleMs(): number {
    const idleMs = this.#idleMs;
    this.#idleMs = 0;
    return idleMs;
  }

  readonly #look = (): void => {
    const now = performance.now();
    const spent = spentMs();
    if (this.#hasCome) this.#cameAt = now;
    else this.#idleMs += spent - this.#spentMs;
    this.#hasCome = false;
    this.#spentMs = spent;
    this.#isLooking = now - this.#cameAt < PATIENCE_MS;
    if (this.#isLooking) setImmediate(this.#look);
  };
}

function spentMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
