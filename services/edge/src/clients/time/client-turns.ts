import { AttendedTime, BEAT_MS, BEATS_PER_SECOND } from './attended-time.ts';
import { DueTimes, type HasDueSlot } from './due-times.ts';
import { endOfBudget } from './turn-budget.ts';

/** What a worker must do at times. */
export interface TimedWork<T> {
  /** Called once in each beat that the worker attends to. `isNewSecond` is true in one beat a second. */
  onBeat(isNewSecond: boolean): void;
  /**
   * Does the work that comes before clients that are due.
   *
   * @param until ms on the monotonic clock, after which it must do no more.
   * @returns whether work is left.
   */
  serveFirst(until: number): boolean;
  /** Serves one client. Returns the beat at which it is due next. */
  serve(client: T): number;
}

/**
 * Serves the clients of a worker when they are due. A turn of the event loop does as much as its budget allows, and the next
 * turn continues. The owner must call {@link stop}.
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

  /** Removes a client. Does nothing if it was removed already. */
  remove(client: T): void {
    this.#due.remove(client);
  }

  /** Does what is due now. A pass that is under way continues by itself. */
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

  /** Ends its timers. No client is served any more. */
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
