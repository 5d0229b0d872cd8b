import type { Ledger } from '../oracle/ledger.ts';

export interface PublishOptions {
  /** A repetition gets the first answer and is not published again. */
  readonly idempotencyKey?: string;
  /** Redis refuses it after this time of its own clock, in ms since the Unix epoch. */
  readonly notAfterMs?: number;
}

/** The position of a publication. */
export interface Published {
  readonly epoch: string;
  readonly offset: number;
  /** Whether it had been published earlier, under its idempotency key. */
  readonly duplicate: boolean;
}

/** It was not published and never will be; after any other error that is unknown. */
export class NotPublishedError extends Error {
  override readonly name = 'NotPublishedError';
}

/** A way to publish with an offset: the script, or ingest in front of it. */
export interface SequencedPublisher extends Disposable {
  /**
   * Publishes in the order of the calls. Rejects with a {@link NotPublishedError} if it was not published, and with any
   * other error if the outcome is unknown.
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
   * What happens after an unknown outcome. `skip`: nothing, the next publication follows. `repeat`: the same again
   * until it is answered, under an idempotency key; the channel waits. `repeat-without-key`: the same without the key,
   * as a control.
   */
  readonly onUnknown?: 'skip' | 'repeat' | 'repeat-without-key';
  /** Publications of one channel that may wait for an answer; further ones are left out. Default: 2,000. */
  readonly maxInFlight?: number;
}

/** The interval at which publications are started, in ms. */
const TICK_MS = 10;

/** Enough for the answers of some seconds. */
const DEFAULT_MAX_IN_FLIGHT = 2_000;

/** The pause between two attempts at the same publication, in ms. */
const REPEAT_MS = 50;

interface ChannelState {
  readonly channel: string;
  number: number;
  inFlight: number;
  /** Whether the channel waits for a publication that is repeated. */
  repeating: boolean;
}

/**
 * Publishes `{"n":1,"at":…}`, `{"n":2,"at":…}`, … on each channel at a rate (`at` in ms since the Unix epoch), and
 * writes the answers into the ledger. Owns its timer; the caller owns `via`.
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
  /** Publications that were refused, not sent, or have an unknown outcome. */
  failed = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#states = options.channels.map((channel) => ({
      ...{ channel, number: 0, inFlight: 0, repeating: false },
    }));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Publishes one more on a channel now. Rejects if it is not acknowledged. */
  async publishOne(channel: string): Promise<void> {
    const state = this.#states.find((each) => each.channel === channel);
    if (state === undefined) throw new Error(`no channel ${channel}`);
    if (!(await this.#publish(state))) throw new Error(`${channel}: not acknowledged`);
  }

  /**
   * Starts nothing until {@link go}; resolves after everything that was started has been answered. Call it before Redis
   * loses data and keys: publications that were executed and not answered would be published again.
   */
  async hold(): Promise<void> {
    this.#held = true;
    await Promise.all(this.#running);
  }

  /** Continues at its rate. */
  go(): void {
    this.#held = false;
  }

  /** Stops publishing; resolves after everything that was started has been answered or given up. */
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
    // One after the other; otherwise the next ones would overtake the one that is repeated.
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
