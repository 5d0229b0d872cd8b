import type { Ledger } from './ledger.ts';

export interface PublishOptions {
  /** The same again is answered as the first time, and published once. */
  readonly idempotencyKey?: string;
  /** Redis refuses it after this time of its own clock, ms since the Unix epoch. */
  readonly notAfterMs?: number;
}

/** Where a publication went. */
export interface Published {
  readonly epoch: string;
  readonly offset: number;
  /** Whether it had been published before, under its idempotency key. */
  readonly duplicate: boolean;
}

/** It was not published and never will be; any other error leaves that open. */
export class NotPublishedError extends Error {
  override readonly name = 'NotPublishedError';
}

/** A way to publish with an offset: the script, or ingest in front of it. */
export interface SequencedPublisher extends Disposable {
  /**
   * Publishes in the order of the calls. Rejects with a {@link NotPublishedError} when it was not, and with
   * any other error when nobody knows.
   */
  publish(channel: string, payload: string, options?: PublishOptions): Promise<Published>;
}

export interface PublisherOptions {
  readonly channels: readonly string[];
  readonly ledger: Ledger;
  readonly via: SequencedPublisher;
  /** Publications a second, over all channels. */
  readonly ratePerSecond: number;
  /**
   * What is done about a publication whose outcome is not known. `skip`: nothing, the next one
   * follows. `repeat`: again until it is answered, under an idempotency key; the channel waits.
   * `repeat-without-key`: the same without the key, as a control.
   */
  readonly onUnknown?: 'skip' | 'repeat' | 'repeat-without-key';
  /** Publications of one channel that may wait for an answer; more are left out. 2,000 by default. */
  readonly maxInFlight?: number;
}

/** How often publications are started, in ms. */
const TICK_MS = 10;

/** The answers of some seconds. */
const DEFAULT_MAX_IN_FLIGHT = 2_000;

/** Between two attempts at the same publication, in ms. */
const REPEAT_MS = 50;

interface ChannelState {
  readonly channel: string;
  number: number;
  inFlight: number;
  /** While set, the channel waits for this one. */
  repeating: boolean;
}

/**
 * Publishes `{"n":1,"at":…}`, `{"n":2,"at":…}`, … on each channel at a rate (`at` in ms since the Unix
 * epoch), and writes what was answered into the ledger. Owns its timer; `via` stays the caller's.
 */
export class NumberedPublisher implements AsyncDisposable {
  readonly #options: PublisherOptions;
  readonly #states: readonly ChannelState[];
  readonly #timer: NodeJS.Timeout;
  readonly #startedAt = performance.now();
  readonly #running = new Set<Promise<unknown>>();
  #stopped = false;
  #held = false;
  #due = 0;
  #next = 0;
  acknowledged = 0;
  /** Refused, not sent, or of an outcome that nobody knows. */
  failed = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#states = options.channels.map((channel) => ({
      ...{ channel, number: 0, inFlight: 0, repeating: false },
    }));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Publishes one more on a channel now. Rejects when it is not acknowledged. */
  async publishOne(channel: string): Promise<void> {
    const state = this.#states.find((each) => each.channel === channel);
    if (state === undefined) throw new Error(`no channel ${channel}`);
    if (!(await this.#publish(state))) throw new Error(`${channel}: not acknowledged`);
  }

  /**
   * Starts nothing until {@link go}; resolves when all that was started has been answered. Before Redis
   * loses data and keys with it: what it has executed and not answered would be published once more.
   */
  async hold(): Promise<void> {
    this.#held = true;
    await Promise.all(this.#running);
  }

  /** Goes on at its rate. */
  go(): void {
    this.#held = false;
  }

  /** Publishes nothing more; resolves when all that was started has been answered or given up. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await Promise.all(this.#running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #tick(): void {
    const { maxInFlight = DEFAULT_MAX_IN_FLIGHT } = this.#options;
    const elapsed = performance.now() - this.#startedAt;
    const wanted = Math.floor((elapsed * this.#options.ratePerSecond) / 1_000);
    for (; this.#due < wanted; this.#due += 1) {
      const state = this.#states[this.#next++ % this.#states.length]!;
      if (this.#held || state.repeating || state.inFlight >= maxInFlight) continue;
      const running: Promise<unknown> = this.#publish(state).finally(() =>
        this.#running.delete(running),
      );
      this.#running.add(running);
    }
  }

  /** Resolves with whether it was acknowledged; never rejects. */
  async #publish(state: ChannelState): Promise<boolean> {
    const { channel } = state;
    const { ledger, onUnknown = 'skip' } = this.#options;
    const number = ++state.number;
    const payload = `{"n":${number},"at":${Date.now()}}`;
    const key = onUnknown === 'repeat' ? { idempotencyKey: `chaos-${number}` } : {};
    state.inFlight += 1;
    // One after the other, or what follows would overtake what is repeated.
    state.repeating = onUnknown !== 'skip';
    try {
      do {
        try {
          const answer = await this.#options.via.publish(channel, payload, key);
          ledger.acknowledged(channel, answer, payload);
          this.acknowledged += 1;
          return true;
        } catch (error) {
          this.failed += 1;
          if (!(error instanceof NotPublishedError)) ledger.uncertain(channel, payload);
          if (onUnknown !== 'skip') await new Promise((resolve) => setTimeout(resolve, REPEAT_MS));
        }
      } while (onUnknown !== 'skip' && !this.#stopped);
      return false;
    } finally {
      state.inFlight -= 1;
      state.repeating = false;
    }
  }
}
