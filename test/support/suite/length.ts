/** Whether this is `npm run test:long`. It sets the variable; `vitest.config.ts` extends the deadlines of tests by it. */
export const IS_LONG = process.env.TEST_LENGTH === 'long';

/** The factor by which `npm run test:long` multiplies the cases of a property. */
const LONG_TIMES = 10;

/** Chooses the short form for `npm test` and the full one for `npm run test:long`, for example of a duration or a count. */
export function shortOrLong<T>(short: T, long: T): T {
  return IS_LONG ? long : short;
}

/** The number of cases of a property: `count` in `npm test`, ten times as many in `npm run test:long`. */
export function cases(count: number): { readonly numRuns: number } {
  return { numRuns: shortOrLong(count, LONG_TIMES * count) };
}
