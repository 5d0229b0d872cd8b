/** Whether this is `npm run test:long`. It sets the variable; `vitest.config.ts` makes the deadlines of tests longer by it. */
export const IS_LONG = process.env.TEST_LENGTH === 'long';

/** How many times as many cases a property is tried with in `npm run test:long`. */
const LONG_TIMES = 10;

/** What `npm test` does in a short form, and `npm run test:long` in full: a duration, say, or how many of something. */
export function shortOrLong<T>(short: T, long: T): T {
  return IS_LONG ? long : short;
}

/** How many cases a property is tried with: `count` in `npm test`, ten times as many in `npm run test:long`. */
export function cases(count: number): { readonly numRuns: number } {
  return { numRuns: shortOrLong(count, LONG_TIMES * count) };
}
