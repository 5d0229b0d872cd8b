import { ReplayMemory } from '@tradewind/fanout';
import type { SubscribedChannel } from './subscribed-channel.ts';

/** The hub reads the history of no more channels at once. */
const MAX_READS = 16;

/** Until an answer has come, this share of what is free counts as large as one may be. */
const FIRST_GUESS_SHARE = 0.25;

/**
 * Questions about channels' pasts whose answers are still to come. An answer takes memory, and how much
 * shows only when it is there; until then each counts as large as the latest ones were. So small ones are
 * awaited many at a time, and large ones hardly together.
 */
export class PendingReads {
  #count = 0;
  #expectedBytes: number;

  /** @param bytes what all answers together may take. */
  constructor(bytes: number) {
    this.#expectedBytes = bytes * FIRST_GUESS_SHARE;
  }

  /** Whether one more may be put while so many bytes are free. */
  mayBegin(freeBytes: number): boolean {
    if (this.#count === 0) return freeBytes > 0;
    return this.#count < MAX_READS && (this.#count + 1) * this.#expectedBytes <= freeBytes;
  }

  begin(): void {
    this.#count += 1;
  }

  /** @param bytes what the answer takes; undefined if none comes. */
  end(bytes: number | undefined): void {
    this.#count -= 1;
    if (bytes !== undefined) this.#expectedBytes = Math.max(bytes, this.#expectedBytes / 2);
  }
}

/**
 * Channels whose subscribers wait until there is room for what they are to be replayed, or until it is
 * their turn to have the hub asked for it; the first comes first.
 */
export class ReplayAdmission {
  readonly memory: ReplayMemory;
  readonly #resume: () => void;
  readonly #delayed = new Set<SubscribedChannel>();
  readonly #reads: PendingReads;
  #isResuming = false;

  /**
   * @param memoryBytes what all replays may hold, until the clients have had them.
   * @param resume takes channels with {@link takeNext}. Never called within a call of this class.
   */
  constructor(memoryBytes: number, resume: () => void) {
    this.memory = new ReplayMemory(memoryBytes, () => this.#resumeSoon());
    this.#resume = resume;
    this.#reads = new PendingReads(memoryBytes);
  }

  /** Whether the hub may be asked about one more channel. */
  get mayRead(): boolean {
    return this.#reads.mayBegin(this.memory.maxBytes - this.memory.bytes);
  }

  /** Whether someone waits for memory that clients keep from being free. */
  get waitsForMemory(): boolean {
    return this.#delayed.size > 0 && !this.memory.hasRoom;
  }

  /** Channels whose subscribers are kept waiting. */
  get delayed(): readonly SubscribedChannel[] {
    return [...this.#delayed];
  }

  delay(channel: SubscribedChannel): void {
    this.#delayed.add(channel);
  }

  remove(channel: SubscribedChannel): void {
    this.#delayed.delete(channel);
  }

  /** A question is put. */
  beginRead(): void {
    this.#reads.begin();
  }

  /** @param bytes what the answer takes; undefined if there is none, or nobody wants to know any more. */
  endRead(bytes: number | undefined): void {
    this.#reads.end(bytes);
    this.#resumeSoon();
  }

  /** Takes the next channel that may go on; undefined if none is there or may. */
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
