import type { Environment } from './environment.ts';

/** A variable that looks like a setting and is none. */
export interface UnknownVariable {
  readonly name: string;
  /** The setting whose name is most like it; undefined if none is. */
  readonly nearest: string | undefined;
}

/** A name with so many wrong letters may be another one misspelt: a word's ending, or two letters that were swapped. */
const MOST_WRONG_LETTERS = 3;

/**
 * What others set with such names: Kubernetes and Docker for a service that is called `redis`, `edge` or `ingest`, and the
 * library `ws` for itself.
 */
const OF_OTHERS = /_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)|_ENV_|^WS_NO_/;
const ADDRESS_OF_OTHERS = /^(tcp|udp):/;

/**
 * The variables that begin with one of `prefixes` and are not among the known ones, each with the known one that is
 * most like it. Their values are not told: they may be secrets.
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

/** How many letters must be added, taken away or replaced to make one text the other (Levenshtein's distance). */
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
