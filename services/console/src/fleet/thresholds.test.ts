import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { passed, SLOW_SHARE, THRESHOLDS } from './thresholds.ts';

const ALERTS = readFileSync(
  new URL('../../../../infra/prometheus/alerts.yml', import.meta.url),
  'utf8',
);

/** The number that the alert of a name and a severity compares with. */
function comparedWith(alert: string, severity: string): number | undefined {
  const rules = ALERTS.split('- alert: ').slice(1);
  const rule = rules.find(
    (text) => text.startsWith(`${alert}\n`) && text.includes(`severity: ${severity}`),
  );
  const [, number] = /expr: .* > ([\d.]+)\n/.exec(rule ?? '') ?? [];
  return number === undefined ? undefined : Number(number);
}

describe('the thresholds of the console', () => {
  it.each(THRESHOLDS)('$alert, $severity: the pager compares with $above too', (threshold) => {
    expect(comparedWith(threshold.alert, threshold.severity)).toBe(threshold.above);
  });

  it('take the most severe that a figure passes', () => {
    expect(passed(0.06, SLOW_SHARE)?.severity).toBe('critical');
    expect(passed(0.02, SLOW_SHARE)?.severity).toBe('warning');
    expect(passed(0.01, SLOW_SHARE)).toBeUndefined();
  });
});
