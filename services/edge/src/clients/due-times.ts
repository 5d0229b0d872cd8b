import { NEVER } from './attended-time.ts';

/** What can become due. Its owner gives it {@link DueTimes} and leaves the number to that. */
export interface Dated {
  dueSlot: number;
}

const MIN_SLOTS = 64;

/**
 * When each of many is due next, in beats. The beats lie side by side: to look through those of 14,000 takes 10 µs, and
 * nothing is touched of whoever is not due.
 */
export class DueTimes<T extends Dated> {
  readonly #members: (T | undefined)[] = [];
  readonly #free: number[] = [];
  #beats = new Float64Array(MIN_SLOTS).fill(NEVER);
  /** Where the pass that is under way goes on; 0 when none is. */
  #next = 0;

  add(member: T, beat: number): void {
    const number = this.#free.pop() ?? this.#members.length;
    if (number === this.#beats.length) {
      const grown = new Float64Array(2 * number).fill(NEVER);
      grown.set(this.#beats);
      this.#beats = grown;
    }
    member.dueSlot = number;
    this.#members[number] = member;
    this.#beats[number] = beat;
  }

  /** It is not due any more. Nothing happens if it has been removed already. */
  remove(member: T): void {
    const { dueSlot: dueNumber } = member;
    if (this.#members[dueNumber] !== member) return;
    this.#members[dueNumber] = undefined;
    this.#beats[dueNumber] = NEVER;
    this.#free.push(dueNumber);
  }

  /** It is due at this beat, unless it is sooner. Nothing happens if it has been removed. */
  hasten(member: T, beat: number): void {
    const { dueSlot: dueNumber } = member;
    if (this.#members[dueNumber] !== member) return;
    if ((this.#beats[dueNumber] as number) > beat) this.#beats[dueNumber] = beat;
  }

  /**
   * Serves those that are due, each at most once a pass, one of them at least; the rest when it is called again.
   *
   * @param serve returns when the member is due next. It may add and remove members.
   * @param until ms on the monotonic clock, after which nobody else is served.
   * @returns whether the pass is to go on.
   */
  serveSome(beat: number, serve: (member: T) => number, until: number): boolean {
    while (this.#next < this.#members.length) {
      const number = this.#next;
      this.#next += 1;
      if ((this.#beats[number] as number) > beat) continue;
      const member = this.#members[number] as T;
      const dueNext = serve(member);
      if (this.#members[number] === member) this.#beats[number] = dueNext;
      if (performance.now() >= until) return true;
    }
    this.#next = 0;
    return false;
  }
}
