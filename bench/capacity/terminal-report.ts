import type { Criterion } from './outcome.ts';
import type { Section } from './summary.ts';

const BOLD = '\x1b[1m';
const GREEN = '\x1b[32m';
const RED = '\x1b[31m';
const PLAIN = '\x1b[0m';

/** The tables at the end of a run, as lines. */
export function terminalReport(
  sections: readonly Section[],
  criteria: readonly Criterion[],
  hasColours: boolean,
): readonly string[] {
  const paint = (colour: string, text: string): string =>
    hasColours ? `${colour}${text}${PLAIN}` : text;
  const names = sections.flatMap(({ rows }) => rows.map(([name]) => name.length));
  const width = Math.max(...names);
  const tables = sections.flatMap(({ heading, rows }) => [
    '',
    paint(BOLD, heading),
    ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
  ]);
  const verdicts = criteria.map(({ name, met, found }) => {
    const mark = met ? paint(GREEN, 'PASS') : paint(RED, 'FAIL');
    return `  ${mark}  ${name}: ${found}`;
  });
  return [...tables, '', paint(BOLD, 'Criteria'), ...verdicts, ''];
}
