/** What a connection was told of what it lost. */
export interface ToldLosses {
  /** `gap` frames that came. */
  readonly gaps: number;
  /** Those of them without a number: the server does not know how much was lost. */
  readonly unnumberedGaps: number;
  /** Publications that the others told to be lost, added up. */
  readonly lost: number;
}

/**
 * How a connection that misses something was told of it. `exact`: of all of it. `under`: of less, and
 * no gap said that the number is not known, so some of it was lost in silence. `untold`: not at all.
 * `loose`: by a gap without a number, or of more than it misses.
 */
export type Telling = 'exact' | 'loose' | 'under' | 'untold';

/** @param missed publications that did not come; at least 1. */
export function tellingOf(missed: number, { gaps, unnumberedGaps, lost }: ToldLosses): Telling {
  if (gaps === 0) return 'untold';
  if (lost === missed) return 'exact';
  return lost < missed && unnumberedGaps === 0 ? 'under' : 'loose';
}
