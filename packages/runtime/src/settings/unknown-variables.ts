import type { Environment } from './environment.ts';

/** A variable that looks like a setting and is none. */
export interface UnknownVariable {
  readonly name: string;
  /** The setting with the most similar name. Undefined if none is similar. */
  readonly nearest: string | undefined;
}

/** The most wrong letters of a misspelt name: the ending of a word, or two swapped letters. */
const MOST_WRONG_LETTERS = 3;

/**
 * Variables with such names that others set: Kubernetes and Docker for a service that is called `redis`, `edge` or
 * `ingest`, and the library `ws` for itself.
 */
const OF_OTHERS = /_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)|_ENV_|^WS_NO_/;
const ADDRESS_OF_OTHERS = /^(tcp|udp):/;

/**
 * The variables that begin with one of `prefixes` and are not known, each with the known one whose name is most
 * similar. Their values are left out, because they may be secrets.
 */
export function unknownVariables(
  environment: Environment,
  prefixes: readonly string[],
  known: readonly string[],
): readonly UnknownVariable[] {
  return Object.entries(environment)
    .filter(([name]) => prefixes.some((prefix) => name.startsWith(prefix)) && !known.includes(name))
    .filter(([name, value = '']) => value !== '' && !isOfOthers(name, value))
    .map(([name]) => ({ name, nearest: nearestOf(name, known) }));
}

function isOfOthers(name: string, value: string): boolean {
  return OF_OTHERS.test(name) || (name.endsWith('_PORT') && ADDRESS_OF_OTHERS.test(value));
}

function nearestOf(name: string, known: readonly string[]): string | undefined {
  const distances = known.map((other) => ({ other, wrong: wrongLetters(name, other) }));
  const [nearest] = distances.toSorted((a, b) => a.wrong - b.wrong);
  return nearest !== undefined && nearest.wrong <= MOST_WRONG_LETTERS ? nearest.other : undefined;
}

/** The number of letters to add, remove or replace so that two texts become equal (Levenshtein distance). */
function wrongLetters(text: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...text].entries()) {
    const next = [i + 1];
    for (const [j, otherLetter] of [...other].entries()) {
      const replaced = (row[j] as number) + (letter === otherLetter ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] as number) + 1, (next[j] as number) + 1));
    }
    row = next;
  }
  return row.at(-1) as number;
}
