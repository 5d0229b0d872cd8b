import { CONFIDENCE, type RatioSummary } from './ratio.ts';

/** What our edge may cost more than another checkout's. */
export interface Bar {
  /** What the interval of the measurement may begin at, at most. */
  readonly most: number;
  readonly text: string;
}

/** For ratios of which more than 1 means that ours is the slower one. Issue 15 set it, and the next bar too. */
export const AT_MOST_SLOWER: Bar = { most: 1.02, text: 'at most 2 % slower' };

/** For differences in the bytes of a connection. */
export const AT_MOST_LARGER: Bar = { most: 300, text: 'at most 300 bytes more' };

/** Whether a bar was held: the line that says so, and whether that is a failure. */
export interface Verdict {
  readonly line: string;
  readonly failed: boolean;
}

/**
 * A bar is held while the interval does not lie above it as a whole. Neither held nor broken is one of which too
 * little was measured: an interval of few pairs begins at the luckiest of them.
 *
 * @param what the quantity that was measured, as the table calls it.
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

/** What our edge delivers whole, the other one's load is to be no easier than. */
export function judgeWhole(ours: number, theirs: number, runs: number): Verdict {
  const line = `verdict  runs that are whole, no fewer: ${ours} and ${theirs} of ${runs}`;
  return ours < theirs
    ? { line: `${line}, FAILED`, failed: true }
    : { line: `${line}, passed`, failed: false };
}

/** The lines of those that failed, which end a run with an exit code of 1. */
export function failuresOf(verdicts: readonly Verdict[]): readonly string[] {
  return verdicts.filter(({ failed }) => failed).map(({ line }) => line);
}
