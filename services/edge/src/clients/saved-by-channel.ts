/** Counting stops this many seconds after the last call of {@link SavedByChannel.take}: pages of a console ask every second. */
const UNASKED_SECONDS = 5;

/**
 * The bytes a second that binary frames save the clients of a worker, by channel. It counts only while a page of a console asks,
 * so its size is bounded by the channels that have publications meanwhile.
 */
export class SavedByChannel {
  #bytes: Map<string, number> | undefined;
  #askedAt = 0;
  #unasked = 0;

  /** Counts what one publication saved all of its clients. */
  count(channel: string, bytes: number): void {
    this.#bytes?.set(channel, (this.#bytes.get(channel) ?? 0) + bytes);
  }

  /**
   * Returns what was saved on each channel since the last call, in bytes a second, and counts anew. The first call returns 0
   * for every channel and begins to count.
   *
   * @param now ms on the monotonic clock.
   */
  take(now: number): (channel: string) => number {
    const bytes = this.#bytes;
    const seconds = (now - this.#askedAt) / 1_000;
    this.#bytes = new Map();
    this.#askedAt = now;
    this.#unasked = 0;
    return (channel) => Math.round((bytes?.get(channel) ?? 0) / Math.max(seconds, 1e-3));
  }

  /** Stops counting if nobody has asked for long. Call it once a second. */
  tick(): void {
    this.#unasked += 1;
    if (this.#unasked > UNASKED_SECONDS) this.#bytes = undefined;
  }
}
