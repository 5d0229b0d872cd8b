import { describe, expect, it } from 'vitest';
import { parseMetrics } from './metrics-text.ts';

const PAGE = `# HELP ws_closes_total Connections closed.
# TYPE ws_closes_total counter
ws_closes_total{reason="slow",node="a\\"b"} 3
ws_closes_total{reason="normal",node="c\\\\d"} 4 1795416898073
process_resident_memory_bytes 1.5e+07
lag_bucket{le="+Inf"} +Inf
`;

describe('parseMetrics', () => {
  const metrics = parseMetrics(PAGE);

  it('adds up the samples of a name', () => {
    expect(metrics.sum('ws_closes_total')).toBe(7);
    expect(metrics.sum('process_resident_memory_bytes')).toBe(15_000_000);
  });

  it('selects by labels, with their escapes undone', () => {
    expect(metrics.sum('ws_closes_total', { reason: 'slow' })).toBe(3);
    expect(metrics.sum('ws_closes_total', { node: 'a"b' })).toBe(3);
    expect(metrics.sum('ws_closes_total', { node: 'c\\d' })).toBe(4);
  });

  it('reads infinity', () => {
    expect(metrics.sum('lag_bucket')).toBe(Number.POSITIVE_INFINITY);
  });

  it('tells absence from zero', () => {
    expect(metrics.sum('ws_closes')).toBeUndefined();
    expect(metrics.sum('ws_closes_total', { reason: 'draining' })).toBeUndefined();
  });
});
