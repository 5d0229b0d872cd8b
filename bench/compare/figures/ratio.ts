/** The confidence with which an interval must hold the true median. It needs six ratios. */
export const CONFIDENCE = 0.95;

/** A summary of a series of ratios or of differences. */
export interface RatioSummary {
  readonly median: number;
  /** Two of the ratios, between which the true median lies with `confidence`. */
  readonly low: number;
  readonly high: number;
  /** Up to 1; below 0.95 if there are fewer than six ratios. */
  readonly confidence: number;
}

/** The middle value, or the mean of the middle two; NaN if there are no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return (low + high) / 2;
}

/**
 * Returns the median of pairwise ratios with the interval of its order statistics, which assumes nothing about their
 * distribution. The number of ratios below the true median is binomial with one half, so its tail gives the narrowest
 * symmetric pair of ratios that is wide enough. If one of the ratios is NaN, all results are, because NaN has no rank.
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

/** The probability that the median lies between the values at `rank` and at the same rank from the end. */
function coverage(count: number, rank: number): number {
  let ways = 1;
  let tail = 0;
  for (let below = 0; below <= rank; below += 1) {
    tail += ways;
    ways = (ways * (count - below)) / (below + 1);
  }
  return Math.max(0, 1 - (2 * tail) / 2 ** count);
}
