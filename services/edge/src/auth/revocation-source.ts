import { type KeptRevocations, type Revocation, readRevocation } from '@tradewind/bus';
import { RevocationTable } from './revocation-table.ts';

/** What a {@link RevocationSource} reports. */
export interface RevocationEvents {
  /** Those that Redis keeps were read. `leftOut` of them are no revocations, or too many. */
  revocationsRead(count: number, leftOut: number): void;
  /** They could not be read, and are tried again. Sent for each failure. */
  revocationsUnreadable(cause: string): void;
  /** Redis does not let the node subscribe to their channel. */
  revocationsRefused(cause: string): void;
  /** Something else was published on their channel. */
  revocationMalformed(): void;
  /** A revocation was dropped because there are as many as a node holds. */
  revocationsFull(): void;
}

/** What it needs of Redis. */
export interface RevocationStore {
  readRevocations(): Promise<KeptRevocations>;
}

/** The first wait before a failed read is tried again, in ms; each later wait is twice as long. */
const RETRY_MIN_MS = 200;

/** The longest such wait, in ms. */
const RETRY_MAX_MS = 30_000;

/**
 * The revocations of a node, from Redis. Each comes on a channel within the moment in which it is made. Those of the time in
 * which the node was not subscribed are read from the key that keeps them: after each relink, and after the start.
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
  /** Whether a read must follow the present one, because what it brings may be older than the subscription. */
  #mustReadAgain = false;
  #waitMs = RETRY_MIN_MS;
  #retry: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** @param onRevoked gets new revocations, all of one turn together. */
  constructor(
    store: RevocationStore,
    events: RevocationEvents,
    onRevoked: (revocations: readonly Revocation[]) => void,
  ) {
    this.#store = store;
    this.#events = events;
    this.#onRevoked = onRevoked;
  }

  /** Whether the node knows every revocation that Redis keeps: false while it is cut off, and until it has read them. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /** The number of revocations that it holds. */
  get size(): number {
    return this.#table.size;
  }

  /** All revocations that are known. */
  current(): readonly Revocation[] {
    return this.#table.entries();
  }

  /** Redis has confirmed the channel: reads what is kept, because something may have been missed before. */
  confirmSubscription(): void {
    this.#isSubscribed = true;
    this.#readSoon();
  }

  /** Redis takes commands again: reads at once what could not be read. */
  retryRead(): void {
    if (!this.#isCurrent) this.#readSoon();
  }

  markCutOff(): void {
    this.#isSubscribed = false;
    this.#isCurrent = false;
  }

  /** Redis does not let the node subscribe. What is kept is read at least once. */
  readUnsubscribed(cause: string): void {
    this.#events.revocationsRefused(cause);
    this.#readSoon();
  }

  /** A message of the channel. */
  addMessage(payload: Buffer): void {
    const revocation = readRevocation(payload);
    if (revocation === undefined) this.#events.revocationMalformed();
    else this.#take([revocation]);
  }

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
