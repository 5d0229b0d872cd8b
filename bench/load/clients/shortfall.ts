/** The losses that the server reported to a connection. */
export interface ToldLosses {
  /** `gap` frames received. */
  readonly gaps: number;
  /** The `gap` frames without a number: the server does not know how much was lost. */
  readonly unnumberedGaps: number;
  /** The sum of the numbers in the other `gap` frames. */
  readonly lost: number;
}

/**
 * How exactly a server reported to a connection what it missed. `exact`: all of it. `under`: less, and no gap without a
 * number, so a part was lost in silence. `untold`: no gap. `loose`: a gap without a number, or more than it missed.
 */
export type Telling = 'exact' | 'loose' | 'under' | 'untold';

/** @param missed publications that were not received; at least 1. */
export function tellingOf(missed: number, { gaps, unnumberedGaps, lost }: ToldLosses): Telling {
  if (gaps === 0) return 'untold';
  if (lost === missed) return 'exact';
  return lost < missed && unnumberedGaps === 0 ? 'under' : 'loose';
}
