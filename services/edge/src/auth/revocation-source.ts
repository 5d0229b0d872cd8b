import { type KeptRevocations, type Revocation, readRevocation } from '@tradewind/bus';
import { RevocationTable } from './revocation-table.ts';

/** What a {@link RevocationSource} reports. */
export interface RevocationEvents {
  /** The revocations that Redis keeps were read. `leftOut` further entries were malformed, or beyond the limit. */
  revocationsRead(count: number, leftOut: number): void;
  /** They could not be read; the read is tried again. Called for each failure. */
  revocationsUnreadable(cause: string): void;
  /** Redis does not let the node subscribe to their channel. */
  revocationsRefused(cause: string): void;
  /** Something else was published on their channel. */
  revocationMalformed(): void;
  /** A revocation was dropped, because the node holds the most that it may. */
  revocationsFull(): void;
}

/** What a {@link RevocationSource} needs of Redis. */
export interface RevocationStore {
  readRevocations(): Promise<KeptRevocations>;
}

/** The first wait before a failed read is tried again, in ms; each later wait is twice as long. */
const RETRY_MIN_MS = 200;

/** The longest such wait, in ms. */
const RETRY_MAX_MS = 30_000;

/**
 * The revocations of a node, from Redis. Each one arrives on a channel as soon as it is made. Those that were made while the node
 * was not subscribed are read from the key that keeps them: after the start, and after each relink.
 */
export class RevocationSource {
  readonly #store: RevocationStore;
  readonly #events: RevocationEvents;
  readonly #onRevoked: (revocations: readonly Revocation[]) => void;
  readonly #table = new RevocationTable();
  #unreported: Revocation[] = [];
  #scheduled: NodeJS.Immediate | undefined;
  #isSubscribed = false;
  #isCurrent = false;
  #isReading = false;
  /** Whether another read must follow the present one, whose answer may be older than the subscription. */
  #mustReadAgain = false;
  #waitMs = RETRY_MIN_MS;
  #retry: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** @param onRevoked gets new revocations, all those of one turn of the event loop together. */
  constructor(
    store: RevocationStore,
    events: RevocationEvents,
    onRevoked: (revocations: readonly Revocation[]) => void,
  ) {
    this.#store = store;
    this.#events = events;
    this.#onRevoked = onRevoked;
  }

  /** Whether the node knows every revocation that Redis keeps. False while it is cut off, and until it has read them. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /** The number of revocations that it holds. */
  get size(): number {
    return this.#table.size;
  }

  /** All revocations that it holds. The caller owns the array. */
  current(): readonly Revocation[] {
    return this.#table.entries();
  }

  /** Reads what Redis keeps, because the channel was confirmed only now and the node may have missed something before. */
  confirmSubscription(): void {
    this.#isSubscribed = true;
    this.#readSoon();
  }

  /** Reads at once what could not be read before, because Redis accepts commands again. */
  retryRead(): void {
    if (!this.#isCurrent) this.#readSoon();
  }

  /** Records that the link is lost. What is known stays in force, and is current again after the next read. */
  markCutOff(): void {
    this.#isSubscribed = false;
    this.#isCurrent = false;
  }

  /** Reads what Redis keeps at least once, because it does not let the node subscribe to the channel. */
  readUnsubscribed(cause: string): void {
    this.#events.revocationsRefused(cause);
    this.#readSoon();
  }

  /** Adds the revocation that a message of the channel holds. */
  addMessage(payload: Buffer): void {
    const revocation = readRevocation(payload);
    if (revocation === undefined) this.#events.revocationMalformed();
    else this.#take([revocation]);
  }

  /** Ends its timers. Nothing is reported any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    clearImmediate(this.#scheduled);
  }

  #readSoon(): void {
    this.#waitMs = RETRY_MIN_MS;
    clearTimeout(this.#retry);
    if (this.#isReading) this.#mustReadAgain = true;
    else void this.#read();
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    this.#mustReadAgain = false;
    const kept = await this.#store.readRevocations().catch((error: Error) => error);
    this.#isReading = false;
    if (this.#isStopped) return;
    if (kept instanceof Error) {
      this.#events.revocationsUnreadable(kept.message);
    } else {
      this.#take(kept.revocations);
      this.#isCurrent = this.#isSubscribed && !this.#mustReadAgain;
      this.#events.revocationsRead(kept.revocations.length, kept.leftOut);
    }
    if (this.#mustReadAgain) void this.#read();
    else if (kept instanceof Error) this.#readLater();
  }

  #readLater(): void {
    this.#retry = setTimeout(() => void this.#read(), this.#waitMs);
    this.#waitMs = Math.min(2 * this.#waitMs, RETRY_MAX_MS);
  }

  #take(revocations: readonly Revocation[]): void {
    const now = Date.now();
    const taken = revocations.filter((each) => this.#table.add(each, now));
    if (taken.length < revocations.length) this.#events.revocationsFull();
    if (taken.length === 0) return;
    this.#unreported.push(...taken);
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      const news = this.#unreported;
      this.#unreported = [];
      this.#onRevoked(news);
    });
  }
}
