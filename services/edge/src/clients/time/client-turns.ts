import { AttendedTime, BEAT_MS, BEATS_PER_SECOND } from './attended-time.ts';
import { DueTimes, type HasDueSlot } from './due-times.ts';
import { endOfBudget } from './turn-budget.ts';

/** What a worker does by the clock. */
export interface TimedWork<T> {
  /** Once in each beat that the worker attends to. `isNewSecond` is true in one beat a second. */
  onBeat(isNewSecond: boolean): void;
  /**
   * Does what comes before clients that are due.
   *
   * @param until ms on the monotonic clock, after which it should do no more.
   * @returns whether some of it is left.
   */
  serveFirst(until: number): boolean;
  /** Serves one client. Returns the beat at which it is due next. */
  serve(client: T): number;
}

/**
 * Serves the clients of a worker when they are due. A turn of the event loop does as much as its budget allows; the next one
 * continues. The owner must end it by {@link stop}.
 */
export class ClientTurns<T extends HasDueSlot> {
  readonly time = new AttendedTime(performance.now());
  readonly #work: TimedWork<T>;
  readonly #due = new DueTimes<T>();
  readonly #ticker: NodeJS.Timeout;
  #nextServe: NodeJS.Immediate | undefined;
  #isStopped = false;

  constructor(work: TimedWork<T>) {
    this.#work = work;
    this.#ticker = setInterval(() => this.#tick(), BEAT_MS);
  }

  /** @param beat at which the client is due first. */
  add(client: T, beat: number): void {
    this.#due.add(client, beat);
  }

  /** Makes a client due at this beat, unless it is due sooner. Does nothing if it was removed. */
  hasten(client: T, beat: number): void {
    this.#due.hasten(client, beat);
  }

  /** Does nothing if the client was removed already. */
  remove(client: T): void {
    this.#due.remove(client);
  }

  /** Does what is due now, or continues with it. */
  serveDue(): void {
    if (this.#nextServe !== undefined || this.#isStopped) return;
    const until = endOfBudget();
    const isUnfinished =
      this.#work.serveFirst(until) || this.#due.serveSome(this.time.beat, this.#serve, until);
    if (!isUnfinished) return;
    this.#nextServe = setImmediate(() => {
      this.#nextServe = undefined;
      this.serveDue();
    });
  }

  /** Nobody is served any more. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#ticker);
    clearImmediate(this.#nextServe);
  }

  #tick(): void {
    const before = this.time.beat;
    if (!this.time.advance(performance.now())) return;
    this.#work.onBeat(secondOf(before) < secondOf(this.time.beat));
    this.serveDue();
  }

  readonly #serve = (client: T): number => this.#work.serve(client);
}

function secondOf(beat: number): number {
  return Math.floor(beat / BEATS_PER_SECOND);
}
