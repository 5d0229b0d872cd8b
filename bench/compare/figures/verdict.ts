import { CONFIDENCE, type RatioSummary } from './ratio.ts';

/** The most that our edge may cost compared with another checkout's. */
export interface Bar {
  /** The highest value at which the interval of the measurement may begin. */
  readonly most: number;
  readonly text: string;
}

/** For ratios above 1 if ours is slower. Issue 15 set it, and the next bar too. */
export const AT_MOST_SLOWER: Bar = { most: 1.02, text: 'at most 2 % slower' };

/** For differences in the bytes of a connection. */
export const AT_MOST_LARGER: Bar = { most: 300, text: 'at most 300 bytes more' };

/** Whether a bar was met: the line that says so, and whether it failed. */
export interface Verdict {
  readonly line: string;
  readonly failed: boolean;
}

/**
 * Judges a measurement. The bar is met unless all of the interval lies above it. Too few measurements give no verdict,
 * because an interval of few pairs begins at the luckiest of them.
 *
 * @param what the name of the measured quantity in the table.
 */
export function judge(what: string, measured: RatioSummary, bar: Bar): Verdict {
  const { low, confidence } = measured;
  const asked = `verdict  ${what}, ${bar.text}`;
  if (Number.isNaN(low)) {
    return { line: `${asked}: NOT TOLD, a run has no value`, failed: false };
  }
  if (confidence < CONFIDENCE) {
    return { line: `${asked}: NOT TOLD, fewer than six pairs have no interval`, failed: false };
  }
  const failed = low > bar.most;
  const begins = `the interval begins at ${Number(low.toPrecision(4))}`;
  return {
    line: failed
      ? `${asked}: FAILED, ${begins}, above ${bar.most}`
      : `${asked}: passed, ${begins}, not above ${bar.most}`,
    failed,
  };
}

/** Our edge must deliver at least as many whole runs as the other one. */
export function judgeWhole(ours: number, theirs: number, runs: number): Verdict {
  const line = `verdict  runs that are whole, no fewer: ${ours} and ${theirs} of ${runs}`;
  return ours < theirs
    ? { line: `${line}, FAILED`, failed: true }
    : { line: `${line}, passed`, failed: false };
}

/** The lines of the verdicts that failed. Any of them sets the exit code to 1. */
export function failuresOf(verdicts: readonly Verdict[]): readonly string[] {
  return verdicts.filter(({ failed }) => failed).map(({ line }) => line);
}
