import { type RatioSummary, summarizeRatios } from './ratio.ts';

/** The measurements of the two subjects of one pair, taken one right after the other. */
export interface Pair<S, T> {
  readonly base: T;
  readonly opponent: S;
  readonly other: T;
}

/**
 * Measures in pairs of neighbours: base, first opponent, base, second opponent, …, and then all of it again. In every
 * other round the opponent of each pair comes first. A change on the machine therefore affects both sides of a ratio,
 * and no side always comes second.
 */
export async function measurePairs<S, T>(
  base: S,
  opponents: readonly S[],
  pairs: number,
  measure: (subject: S) => Promise<T>,
): Promise<Pair<S, T>[]> {
  const measured: Pair<S, T>[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    for (const opponent of opponents) {
      if (pair % 2 === 0) {
        measured.push({ base: await measure(base), opponent, other: await measure(opponent) });
      } else {
        measured.push({ other: await measure(opponent), opponent, base: await measure(base) });
      }
    }
  }
  return measured;
}

/** The base's quantity divided by the opponent's, over all pairs with this opponent. */
export function compare<S, T>(
  pairs: readonly Pair<S, T>[],
  opponent: S,
  quantity: (measured: T) => number,
): RatioSummary {
  const ratios = pairs
    .filter((pair) => pair.opponent === opponent)
    .map(({ base, other }) => quantity(base) / quantity(other));
  return summarizeRatios(ratios);
}

/** The base's quantity minus the opponent's, summarized as {@link compare} summarizes their ratio. */
export function compareDifferences<S, T>(
  pairs: readonly Pair<S, T>[],
  opponent: S,
  quantity: (measured: T) => number,
): RatioSummary {
  const differences = pairs
    .filter((pair) => pair.opponent === opponent)
    .map(({ base, other }) => quantity(base) - quantity(other));
  return summarizeRatios(differences);
}

/** All measurements of one subject, in their order. */
export function measurementsOf<S, T>(
  pairs: readonly Pair<S, T>[],
  base: S,
  subject: S,
): readonly T[] {
  return pairs.flatMap((pair) => {
    if (subject === base) return [pair.base];
    return pair.opponent === subject ? [pair.other] : [];
  });
}
