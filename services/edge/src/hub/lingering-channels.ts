/**
 * Channels that no worker wants any more. Each is released after a while, unless a worker wants it again first: a client
 * that comes back at once finds its channel subscribed.
 */
export class LingeringChannels {
  readonly #lingerMs: number;
  readonly #release: (name: string) => void;
  /** When to release each, in ms on the monotonic clock. Oldest first. */
  readonly #until = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param lingerMs how long a channel lingers.
   * @param release must call {@link delete}.
   */
  constructor(lingerMs: number, release: (name: string) => void) {
    this.#lingerMs = lingerMs;
    this.#release = release;
  }

  get size(): number {
    return this.#until.size;
  }

  add(name: string): void {
    this.#until.set(name, performance.now() + this.#lingerMs);
    this.#timer ??= setTimeout(this.#releaseDue, this.#lingerMs);
  }

  delete(name: string): void {
    this.#until.delete(name);
  }

  /** Makes room for another channel. */
  releaseOldest(): void {
    const [oldest] = this.#until.keys();
    if (oldest !== undefined) this.#release(oldest);
  }

  /** Nothing is released any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#until.clear();
  }

  readonly #releaseDue = (): void => {
    const now = performance.now();
    this.#timer = undefined;
    for (const [name, until] of this.#until) {
      if (until > now) {
        this.#timer = setTimeout(this.#releaseDue, Math.ceil(until - now));
        return;
      }
      this.#release(name);
    }
  };
}
