import { describe, expect, it } from 'vitest';
import { metricNamesIn, selectedLabelsIn, withoutThreshold } from './promql.ts';

describe('metricNamesIn', () => {
  it.each([
    ['rate(a_total[1m])', ['a_total']],
    ['a / on (instance) group_left (node) b', ['a', 'b']],
    ['sum by (job, instance) (rate(a_total{reason="slow", x=~"b|c"}[5m])) > 0.01', ['a_total']],
    ['histogram_quantile(0.99, rate(a_bucket[$__rate_interval]))', ['a_bucket']],
    ['(a or 0 * b) / clamp_min(a, 1e3)', ['a', 'b']],
    ['instance:a:ratio5m < 1', ['instance:a:ratio5m']],
  ])('%s', (expression, names) => {
    expect(metricNamesIn(expression)).toEqual(names);
  });
});

describe('selectedLabelsIn', () => {
  it('finds every label of every selector once', () => {
    expect(selectedLabelsIn('a{reason!="x{y=1}", b=~"."} / c{reason="z"}')).toEqual([
      'reason',
      'b',
    ]);
  });
});

describe('withoutThreshold', () => {
  it('leaves what is compared', () => {
    expect(withoutThreshold('rate(a[5m]) > 0.05\n')).toBe('rate(a[5m])');
    expect(withoutThreshold('a{b="c > 1"} < 1')).toBe('a{b="c > 1"}');
  });

  it('refuses an expression without one', () => {
    expect(() => withoutThreshold('a > b')).toThrow('no threshold');
  });
});
