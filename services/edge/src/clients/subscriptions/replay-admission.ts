import { ReplayMemory } from '@tradewind/fanout';
import type { SubscribedChannel } from './subscribed-channel.ts';

/** The most histories that the hub reads at once for one worker. */
const MAX_READS = 16;

/** The share of the memory that the first answer is expected to take. */
const FIRST_GUESS_SHARE = 0.25;

/**
 * Decides how many histories are read at once. An answer takes memory, and its size is not known before it comes. Until
 * then each read counts as much as the latest answers took, so many small histories are read at once, and few large ones.
 */
export class PendingReads {
  #count = 0;
  #expectedBytes: number;

  /** @param bytes that all answers together may take. */
  constructor(bytes: number) {
    this.#expectedBytes = bytes * FIRST_GUESS_SHARE;
  }

  /** Whether one more read may begin while this many bytes are free. */
  mayBegin(freeBytes: number): boolean {
    if (this.#count === 0) return freeBytes > 0;
    return this.#count < MAX_READS && (this.#count + 1) * this.#expectedBytes <= freeBytes;
  }

  /** Counts a read that begins. */
  begin(): void {
    this.#count += 1;
  }

  /**
   * Counts a read that has ended.
   *
   * @param bytes that the answer takes; undefined if none comes.
   */
  end(bytes: number | undefined): void {
    this.#count -= 1;
    if (bytes !== undefined) this.#expectedBytes = Math.max(bytes, this.#expectedBytes / 2);
  }
}

/**
 * Channels whose clients wait for replay memory, or for their turn to read. They are served in the order in which they
 * began to wait.
 */
export class ReplayAdmission {
  readonly memory: ReplayMemory;
  readonly #resume: () => void;
  readonly #delayed = new Set<SubscribedChannel>();
  readonly #reads: PendingReads;
  #isResuming = false;

  /**
   * @param memoryBytes that all replays may hold until the clients have had them.
   * @param resume called when {@link takeNext} may return a channel again, never within a call of this class.
   */
  constructor(memoryBytes: number, resume: () => void) {
    this.memory = new ReplayMemory(memoryBytes, () => this.#resumeSoon());
    this.#resume = resume;
    this.#reads = new PendingReads(memoryBytes);
  }

  /** Whether one more history may be read. */
  get mayRead(): boolean {
    return this.#reads.mayBegin(this.memory.maxBytes - this.memory.bytes);
  }

  /** Whether a channel waits for memory that other clients' replays occupy. */
  get waitsForMemory(): boolean {
    return this.#delayed.size > 0 && !this.memory.hasRoom;
  }

  /** The channels that wait. The caller owns the array. */
  get delayed(): readonly SubscribedChannel[] {
    return [...this.#delayed];
  }

  /** Makes a channel wait, if it does not wait already. */
  delay(channel: SubscribedChannel): void {
    this.#delayed.add(channel);
  }

  /** Removes a channel that need not wait any longer. */
  remove(channel: SubscribedChannel): void {
    this.#delayed.delete(channel);
  }

  /** Counts a read that begins. Check {@link mayRead} first. */
  beginRead(): void {
    this.#reads.begin();
  }

  /**
   * Counts a read that has ended.
   *
   * @param bytes that the answer takes; undefined if none comes, or if nobody waits for it any more.
   */
  endRead(bytes: number | undefined): void {
    this.#reads.end(bytes);
    this.#resumeSoon();
  }

  /** Removes the next channel and returns it; undefined if none waits, or there is no memory for it. */
  takeNext(): SubscribedChannel | undefined {
    if (!this.mayRead) return undefined;
    const [next] = this.#delayed;
    if (next !== undefined) this.#delayed.delete(next);
    return next;
  }

  #resumeSoon(): void {
    if (this.#isResuming || this.#delayed.size === 0) return;
    this.#isResuming = true;
    queueMicrotask(() => {
      this.#isResuming = false;
      this.#resume();
    });
  }
}
