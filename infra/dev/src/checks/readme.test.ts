import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';

/** Lines that somebody reads before deciding to try it. */
const MOST_LINES = 200;

/** A number as documents write it, whole: `6,130,000`, `9.29`, `40`. */
const NUMBER = /(?<![\d.,])\d+(?:[.,]\d+)*/g;

const README = read('README.md');

function read(name: string): string {
  return readFileSync(`${WORKSPACE_ROOT}${name}`, 'utf8');
}

/** The rows of the table of figures: cells without their edges. */
function figures(): string[][] {
  const [, section = ''] = README.split('\n## Figures\n');
  const [table = ''] = section.split('\n## ');
  return table
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
    .map((line) => line.split('|').slice(1, -1));
}

describe('README.md', () => {
  it('is short', () => {
    expect(README.trimEnd().split('\n').length).toBeLessThanOrEqual(MOST_LINES);
  });

  it('has no figure and no command in its table that docs/performance.md does not have', () => {
    const performance = read('docs/performance.md');
    const known = new Set(performance.match(NUMBER));
    const rows = figures();
    expect(rows.length).toBeGreaterThan(3);
    for (const cells of rows) {
      const command = /`([^`]+)`/.exec(cells.at(-1) ?? '')?.[1] ?? 'no command';
      expect(performance).toContain(command);
      const numbers = cells.slice(0, -1).join(' ').match(NUMBER) ?? [];
      expect(
        numbers.filter((number) => !known.has(number)),
        cells[0],
      ).toEqual([]);
    }
  });
});
