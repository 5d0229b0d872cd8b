import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';

const DOCUMENT = readFileSync(`${WORKSPACE_ROOT}SECURITY.md`, 'utf8');

/** The cells of the table's rows. */
const ROWS = DOCUMENT.split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.split('|').slice(1, -1))
  .filter(([who]) => who?.trim() !== 'who');

describe('SECURITY.md', () => {
  it('names for each threat what stops it, and a test that is there', () => {
    expect(ROWS.length).toBeGreaterThan(10);
    for (const row of ROWS) {
      expect(row).toHaveLength(5);
      const [, , , stops = '', shown = ''] = row;
      expect(stops.trim(), row.join('|')).not.toBe('');
      const tests = [...shown.matchAll(/`([^`]+)`/g)].map(([, path]) => path ?? '');
      expect(tests.length, row.join('|')).toBeGreaterThan(0);
      for (const path of tests) {
        expect(path).toMatch(/\.test\.ts$/);
        expect(existsSync(`${WORKSPACE_ROOT}${path}`), path).toBe(true);
      }
    }
  });

  it('says how to report a fault', () => {
    expect(DOCUMENT).toContain('## Reporting a fault');
  });
});
