import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import type { HttpErrorDetails } from '@tradewind/runtime';
import { fault } from './faults.ts';
import { Fifo } from './fifo.ts';
import type { Publication } from './item.ts';
import {
  DOUBT,
  failureOf,
  type ItemFailure,
  type ItemResult,
  type Published,
  type Publisher,
  type PublishTerms,
  unavailable,
} from './publish.ts';

/**
 * Publications in flight to Redis, and their bytes together (a larger publication is sent alone). They are enough that a
 * round trip of 0.5 ms within a region does not limit the rate. They are few because after a lost link the outcome of each
 * is unknown. The bus takes 16,384 commands and 32 MiB. In a cluster they are those of one slot; the queue's limits bound all.
 */
export const WINDOW_ITEMS = 512;
export const WINDOW_BYTES = 2 * 1024 * 1024;

/**
 * The wait after a passing refusal, such as the READONLY of a failover, before the next attempt, in ms. It doubles with each
 * further refusal, up to the `waitMs` of `REDIS_STATES`.
 */
export const RETRY_PAUSE_MS = 100;

/** Why nothing is published after the end. */
export const STOPPED = 'the service was stopped';

/** What a lane goes by. */
export interface LaneSettings {
  /** The highest age of a publication when Redis executes it, in ms since it was submitted; 0: any age. */
  readonly maxAgeMs: number;
  /** How long callers' idempotency keys are remembered, in ms; 0: no keys, and no second attempts. */
  readonly idempotencyWindowMs: number;
}

/** Events of a lane. No handler may throw. */
export interface LaneEvents {
  /** A publication became too old: while it waited here, or by Redis' clock. */
  expired(where: 'queue' | 'redis'): void;
  /** A publication is sent to Redis again. */
  retried(): void;
  /** Redis refuses a publication for now; it is sent again. `cause` is Redis' reply, or that of the link. */
  delayed(cause: string): void;
}

/** Who has the lane. */
export interface LaneOwner {
  /** Whether a publication of this lane may be sent. */
  isReachable(): boolean;
  /** A publication has its result. */
  released(entry: Entry): void;
  /** Nothing waits, and nothing is in flight. The owner may end the lane by `stop`. */
  emptied(): void;
}

/** One publication of a submission, and what became of it until now. */
export interface Entry {
  readonly publication: Publication;
  readonly terms: PublishTerms;
  readonly submission: Submission;
  readonly index: number;
  /** The key is our own, so Redis can know it only from our earlier attempt. */
  readonly ownKey: boolean;
  readonly submittedAt: number;
  state: 'waiting' | 'sent' | 'accepted' | 'failed' | 'again';
  firstSentAt: number | undefined;
  /** An attempt may have been executed, or may still be executed. */
  inDoubt: boolean;
  cause: string | undefined;
}

/** Items that were submitted together. After one of them fails for a passing reason, later ones are not sent. */
export interface Submission {
  failure: ItemFailure | undefined;
  settle(index: number, result: ItemResult): void;
  reject(error: unknown): void;
}

/**
 * Sends publications to Redis in the order in which they were pushed. A publication that may have been executed is sent again
 * with the same idempotency key, so that it is published once. One that was not executed in time is never executed: Redis
 * gets the same deadline.
 *
 * After a failed attempt nothing more is sent until everything in flight is answered. Publications to repeat are then sent
 * first, one at a time until Redis accepts one. A publication is not repeated if a later one of its channel was accepted:
 * it would arrive out of order.
 */
export class PublishLane {
  readonly #publisher: Publisher;
  readonly #settings: LaneSettings;
  readonly #events: LaneEvents;
  readonly #owner: LaneOwner;
  /** Publications to repeat, in order. They precede those that wait. */
  readonly #again = new Fifo<Entry>();
  readonly #waiting = new Fifo<Entry>();
  /** Publications in flight, in order. Settled ones are removed from the front. */
  readonly #window = new Fifo<Entry>();
  #unanswered = 0;
  #windowBytes = 0;
  /** An attempt failed. Nothing is sent until nothing is in flight. */
  #halted = false;
  /** Redis has accepted no publication since the failure, so one at a time is sent. */
  #probing = false;
  /** The next wait after a passing refusal, in ms. */
  #retryPauseMs = RETRY_PAUSE_MS;
  #longestPauseMs = RETRY_PAUSE_MS;
  #stopped = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #expiryTimer: NodeJS.Timeout | undefined;

  constructor(publisher: Publisher, settings: LaneSettings, events: LaneEvents, owner: LaneOwner) {
    this.#publisher = publisher;
    this.#settings = settings;
    this.#events = events;
    this.#owner = owner;
  }

  /** When the oldest publication was submitted, in ms of a monotonic clock; undefined without one. */
  get oldestAt(): number | undefined {
    return (this.#window.first ?? this.#again.first ?? this.#waiting.first)?.submittedAt;
  }

  push(entry: Entry): void {
    this.#waiting.push(entry);
  }

  /** Sends the waiting items at once, because Redis is available again. */
  resume(): void {
    this.#endPause();
    this.pump();
  }

  /** Fails everything that waits, and what is in flight as soon as the publisher rejects it. Ends every timer. */
  stop(): void {
    this.#stopped = true;
    this.#endPause();
    clearTimeout(this.#expiryTimer);
    this.#expiryTimer = undefined;
    for (const entry of [...this.#again.takeAll(), ...this.#waiting.takeAll()]) {
      this.#fail(entry, unavailable(STOPPED, entry.inDoubt));
    }
  }

  /** Sends what may be sent. Must be called after {@link push}. */
  pump(): void {
    if (this.#stopped) return;
    const now = performance.now();
    for (;;) {
      const queue = this.#again.length > 0 ? this.#again : this.#waiting;
      const entry = queue.first;
      if (entry === undefined) break;
      const failure = this.#reasonNotToSend(entry, now);
      if (failure === undefined && !this.#maySend(entry)) break;
      queue.shift();
      if (failure === undefined) this.#send(entry, now);
      else this.#fail(entry, failure);
    }
    this.#watchAge();
    this.#restIfEmpty();
  }

  #reasonNotToSend(entry: Entry, now: number): ItemFailure | undefined {
    const { submission, inDoubt, cause } = entry;
    if (submission.failure !== undefined) return failureBehind(submission.failure, inDoubt);
    if (this.#isTooOld(entry, now)) {
      this.#events.expired('queue');
      return unavailable(cause ?? 'Redis was away for too long', inDoubt);
    }
    if (inDoubt && !this.#isRepeatable(entry, now)) {
      return unavailable(cause ?? 'the link was lost', true);
    }
    return undefined;
  }

  #isTooOld({ submittedAt }: Entry, now: number): boolean {
    const { maxAgeMs } = this.#settings;
    return maxAgeMs > 0 && now - submittedAt >= maxAgeMs;
  }

  /** Whether Redis would still recognize a first attempt that it executed. */
  #isRepeatable({ firstSentAt, terms }: Entry, now: number): boolean {
    return firstSentAt === undefined || now - firstSentAt < terms.idempotencyWindowMs;
  }

  #maySend({ publication }: Entry): boolean {
    if (this.#halted || this.#retryTimer !== undefined || !this.#owner.isReachable()) return false;
    if (this.#window.length === 0) return true;
    return (
      !this.#probing &&
      this.#window.length < WINDOW_ITEMS &&
      this.#windowBytes + publication.bytes <= WINDOW_BYTES
    );
  }

  #send(entry: Entry, now: number): void {
    if (entry.firstSentAt !== undefined) this.#events.retried();
    entry.firstSentAt ??= now;
    entry.state = 'sent';
    this.#window.push(entry);
    this.#windowBytes += entry.publication.bytes;
    this.#unanswered += 1;
    this.#publisher.publish(entry.publication, entry.terms).then(
      (published) => {
        this.#accepted(entry, published);
        this.#answered(entry);
      },
      (error: unknown) => {
        this.#refused(entry, error);
        this.#answered(entry);
      },
    );
  }

  #accepted(entry: Entry, published: Published): void {
    const { channel, bytes } = entry.publication;
    const duplicate = published.duplicate && !entry.ownKey;
    this.#probing = false;
    this.#retryPauseMs = RETRY_PAUSE_MS;
    entry.state = 'accepted';
    this.#settle(entry, { ok: true, channel, bytes, ...published, duplicate });
  }

  #refused(entry: Entry, error: unknown): void {
    const failure = failureOf(error);
    if (failure === undefined) {
      this.#release(entry);
      entry.submission.reject(error);
      return;
    }
    if (failure.outcomeUnknown) entry.inDoubt = true;
    entry.cause = failure.cause;
    const passes =
      error instanceof RedisUnavailableError ||
      (error instanceof RedisRefusedError && error.state.lasts === 'passing');
    if (passes && !this.#stopped && this.#mayRepeat(entry)) {
      this.#events.delayed(error.message);
      if (error instanceof RedisRefusedError) this.#longestPauseMs = error.state.waitMs;
      entry.state = 'again';
      this.#halted = true;
      return;
    }
    if (!passes) this.#probing = false;
    // The script checks the key before the clock, so a publication that is too late was never executed.
    if (failure.error.code === 'too_late') {
      this.#events.expired('redis');
      entry.inDoubt = false;
    }
    this.#fail(entry, { ...failure, outcomeUnknown: entry.inDoubt });
  }

  #mayRepeat(entry: Entry): boolean {
    return !entry.inDoubt || this.#settings.idempotencyWindowMs > 0;
  }

  #answered(entry: Entry): void {
    this.#unanswered -= 1;
    this.#windowBytes -= entry.publication.bytes;
    if (!this.#halted) {
      while (this.#window.first !== undefined && this.#window.first.state !== 'sent') {
        this.#window.shift();
      }
      this.pump();
    } else if (this.#unanswered === 0) this.#takeBack();
  }

  /** Puts the publications to repeat in front of those that wait. */
  #takeBack(): void {
    const overtaken = new Set<string>();
    const again: Entry[] = [];
    for (const entry of this.#window.takeAll().reverse()) {
      const { channel } = entry.publication;
      if (entry.state === 'accepted') overtaken.add(channel);
      if (entry.state !== 'again') continue;
      if (this.#stopped) this.#fail(entry, unavailable(STOPPED, entry.inDoubt));
      else if (overtaken.has(channel)) {
        this.#fail(entry, unavailable('a later one was accepted before it', entry.inDoubt));
      } else again.push(entry);
    }
    const behind = this.#again.takeAll();
    for (const entry of [...again.reverse(), ...behind]) this.#again.push(entry);
    this.#halted = false;
    this.#probing = true;
    this.#watchAge();
    this.#endPause();
    // If Redis is unavailable, `resume` is called. If it only refuses, this timer makes the next attempt.
    if (this.#stopped) return;
    this.#retryTimer = setTimeout(() => this.resume(), this.#retryPauseMs);
    this.#retryPauseMs = Math.min(
      2 * this.#retryPauseMs,
      Math.max(this.#longestPauseMs, RETRY_PAUSE_MS),
    );
  }

  #endPause(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
  }

  #watchAge(): void {
    const { maxAgeMs } = this.#settings;
    const oldest = this.#again.first ?? this.#waiting.first;
    if (maxAgeMs === 0 || this.#stopped || this.#expiryTimer !== undefined) return;
    if (oldest === undefined) return;
    const leftMs = oldest.submittedAt + maxAgeMs - performance.now();
    this.#expiryTimer = setTimeout(
      () => {
        this.#expiryTimer = undefined;
        this.#dropTooOld();
      },
      Math.max(leftMs, 1),
    );
  }

  #dropTooOld(): void {
    const now = performance.now();
    for (const queue of [this.#again, this.#waiting]) {
      while (queue.first !== undefined && this.#isTooOld(queue.first, now)) {
        const entry = queue.first;
        const failure = this.#reasonNotToSend(entry, now);
        queue.shift();
        if (failure !== undefined) this.#fail(entry, failure);
      }
    }
    this.#watchAge();
    this.#restIfEmpty();
  }

  #restIfEmpty(): void {
    const held = this.#again.length + this.#waiting.length + this.#window.length;
    if (held === 0 && this.#unanswered === 0) this.#owner.emptied();
  }

  #fail(entry: Entry, failure: ItemFailure): void {
    if (failure.error.retryable) entry.submission.failure ??= failure;
    entry.state = 'failed';
    const isTold = failure.outcomeUnknown && failure.error.code === 'unavailable';
    this.#settle(entry, isTold ? { ...failure, error: doubtAbout(entry) } : failure);
  }

  #settle(entry: Entry, result: ItemResult): void {
    this.#release(entry);
    entry.submission.settle(entry.index, result);
  }

  #release(entry: Entry): void {
    if (entry.state === 'sent') entry.state = 'failed';
    this.#owner.released(entry);
  }
}

/** Returns why a publication is not sent behind one of its request that failed. That one may be in doubt when this one is not. */
function failureBehind(first: ItemFailure, inDoubt: boolean): ItemFailure {
  const isDoubtOfFirst = first.outcomeUnknown && first.error.code === 'unavailable';
  if (isDoubtOfFirst && !inDoubt) return unavailable(first.cause ?? '', false);
  return { ...first, outcomeUnknown: inDoubt };
}

/** Returns the error that says whether the caller may safely repeat the publication. */
function doubtAbout({ ownKey, terms }: Entry): HttpErrorDetails {
  const isSafe = !ownKey && terms.idempotencyWindowMs > 0;
  const advice = ' You may send it again with the same idempotency key.';
  return fault('unavailable', isSafe ? DOUBT + advice : DOUBT);
}
