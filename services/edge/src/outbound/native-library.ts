import { createRequire } from 'node:module';

/** Loads a package. */
export type Require = (name: string) => unknown;

/** As much of koffi as is used. */
interface ForeignFunctions {
  load(library: string | null): { func(prototype: string): unknown };
}

/** For `dlsym`: the program itself and all that it has loaded, so its C library, whichever that is. */
const THIS_PROGRAM = null;

/**
 * A function of the C library, through koffi, whose notes say how to call it. The caller says what type that has.
 *
 * @param prototype as in C, with koffi's names of types.
 * @throws Error where koffi does not load, or where the C library has no such function.
 */
export function loadFromCLibrary(
  prototype: string,
  require: Require = createRequire(import.meta.url),
): unknown {
  const { load } = require('koffi') as ForeignFunctions;
  return load(THIS_PROGRAM).func(prototype);
}
