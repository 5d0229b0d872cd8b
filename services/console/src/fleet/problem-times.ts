import type { FoundProblem, Problem } from './problems.ts';

/**
 * Since when each problem has been there: by the node, where it says so, and otherwise by what the console saw. A problem that
 * is gone and comes back begins anew. It holds one number for each problem that is there.
 */
export class ProblemTimes {
  #since = new Map<string, number>();

  /**
   * Takes all problems in that are there now, and forgets the others.
   *
   * @param at ms of the wall clock.
   */
  date(found: readonly FoundProblem[], at: number): readonly Problem[] {
    const before = this.#since;
    this.#since = new Map();
    return found.map(({ toldSince, lastsMs = 0, ...problem }) => {
      const key = `${problem.node} ${problem.alert}`;
      const seen = before.get(key) ?? Math.round(at - lastsMs);
      // The clock of a node may be ahead.
      const since = toldSince === undefined || toldSince > at ? seen : toldSince;
      this.#since.set(key, since);
      return { ...problem, since };
    });
  }
}
