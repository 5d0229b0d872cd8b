import { ReplayMemory } from '@tradewind/fanout';
import { OpenQuestions } from './open-questions.ts';
import type { LocalChannel } from './subscribed-channel.ts';

/**
 * Channels whose subscribers wait until there is room for what they are to be replayed, or until it is
 * their turn to have the hub asked for it; the first comes first.
 */
export class ReplayQueue {
  readonly memory: ReplayMemory;
  readonly #resume: () => void;
  readonly #delayed = new Set<LocalChannel>();
  readonly #questions: OpenQuestions;
  #isResuming = false;

  /**
   * @param memoryBytes what all replays may hold, until the clients have had them.
   * @param resume takes channels with {@link next}. Never called within a call of this class.
   */
  constructor(memoryBytes: number, resume: () => void) {
    this.memory = new ReplayMemory(memoryBytes, () => this.#resumeSoon());
    this.#resume = resume;
    this.#questions = new OpenQuestions(memoryBytes);
  }

  /** Whether the hub may be asked about one more channel. */
  get mayAsk(): boolean {
    return this.#questions.mayPut(this.memory.maxBytes - this.memory.bytes);
  }

  /** Whether someone waits for memory that clients keep from being free. */
  get isFull(): boolean {
    return this.#delayed.size > 0 && !this.memory.hasRoom;
  }

  /** Channels whose subscribers are kept waiting. */
  get delayed(): readonly LocalChannel[] {
    return [...this.#delayed];
  }

  delay(channel: LocalChannel): void {
    this.#delayed.add(channel);
  }

  remove(channel: LocalChannel): void {
    this.#delayed.delete(channel);
  }

  /** A question is put. */
  questionPut(): void {
    this.#questions.put();
  }

  /** @param bytes what the answer takes; undefined if there is none, or nobody wants to know any more. */
  questionEnded(bytes: number | undefined): void {
    this.#questions.ended(bytes);
    this.#resumeSoon();
  }

  /** Takes the next channel that may go on; undefined if none is there or may. */
  next(): LocalChannel | undefined {
    if (!this.mayAsk) return undefined;
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
