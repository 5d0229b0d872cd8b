/** The least confidence with which an interval is to hold the true median. Six ratios are enough for it. */
export const CONFIDENCE = 0.95;

/** What a series of ratios says, or one of differences. */
export interface RatioSummary {
  readonly median: number;
  /** Two of the ratios, between which the true median lies with `confidence`. */
  readonly low: number;
  readonly high: number;
  /** Up to 1; below 0.95 where there are fewer than six ratios. */
  readonly confidence: number;
}

/** The middle value, or the mean of the middle two; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return (low + high) / 2;
}

/**
 * The median of pairwise ratios with the interval of its order statistics, which assumes nothing
 * about how they are distributed: the number of ratios below the true median is binomial with one
 * half, so the narrowest symmetric pair of ratios that is wide enough can be read from its tail. All is NaN
 * when one of the ratios is: it has no place among the others.
 */
export function summarizeRatios(ratios: readonly number[]): RatioSummary {
  const isWhole = !ratios.some(Number.isNaN);
  const sorted = isWhole ? [...ratios].sort((a, b) => a - b) : ratios.map(() => Number.NaN);
  let rank = 0;
  let confidence = coverage(sorted.length, rank);
  while (rank + 1 < sorted.length / 2 && coverage(sorted.length, rank + 1) >= CONFIDENCE) {
    rank += 1;
    confidence = coverage(sorted.length, rank);
  }
  return {
    median: median(sorted),
    low: sorted[rank] ?? Number.NaN,
    high: sorted[sorted.length - 1 - rank] ?? Number.NaN,
    confidence,
  };
}

/** How likely the median lies between the values at `rank` and at the same rank from the end. */
function coverage(count: number, rank: number): number {
  let ways = 1;
  let tail = 0;
  for (let below = 0; below <= rank; below += 1) {
    tail += ways;
    ways = (ways * (count - below)) / (below + 1);
  }
  return Math.max(0, 1 - (2 * tail) / 2 ** count);
}
