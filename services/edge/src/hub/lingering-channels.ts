/**
 * Channels that no worker wants any more. Each is released after a while, unless a worker wants it again first. So a client
 * that comes back at once finds its channel subscribed.
 */
export class LingeringChannels {
  readonly #lingerMs: number;
  readonly #release: (name: string) => void;
  /** When to release each, in ms on the monotonic clock. Oldest first. */
  readonly #until = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param lingerMs how long a channel lingers, in ms.
   * @param release must call {@link delete}.
   */
  constructor(lingerMs: number, release: (name: string) => void) {
    this.#lingerMs = lingerMs;
    this.#release = release;
  }

  /** The number of channels that linger. */
  get size(): number {
    return this.#until.size;
  }

  /** Lets a channel linger from now on. */
  add(name: string): void {
    this.#until.set(name, performance.now() + this.#lingerMs);
    this.#timer ??= setTimeout(this.#releaseDue, this.#lingerMs);
  }

  /** Removes a channel that is wanted again, or was released. */
  delete(name: string): void {
    this.#until.delete(name);
  }

  /** Releases the channel that has lingered longest, to make room for another one. */
  releaseOldest(): void {
    const [oldest] = this.#until.keys();
    if (oldest !== undefined) this.#release(oldest);
  }

  /** Ends its timer. No channel is released any more. */
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
