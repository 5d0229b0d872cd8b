import { describe, expect, it } from 'vitest';
import { createMetrics } from './metrics.ts';
import { RELEASE } from './settings/release.ts';

describe('createMetrics', () => {
  it('prints what is counted, and what a gauge collects, beside the process metrics', async () => {
    const metrics = createMetrics();
    const counter = metrics.counter({ name: 'trades_total', help: 'x', labelNames: ['side'] });
    counter.inc({ side: 'buy' }, 3);
    metrics.gauge({
      name: 'in_flight',
      help: 'x',
      collect() {
        this.set(5);
      },
    });
    metrics.histogram({ name: 'lag_seconds', help: 'x', buckets: [1] }).observe(0.5);
    const text = await metrics.text();
    expect(text).toContain('trades_total{side="buy"} 3');
    expect(text).toContain('in_flight 5');
    expect(text).toContain('lag_seconds_bucket{le="1"} 1');
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
    expect(text).toContain(`tradewind_build_info{version="${RELEASE}"} 1`);
    expect(metrics.contentType).toContain('text/plain');
  });

  it('begins at 0 for each value of a label that is known', async () => {
    const metrics = createMetrics({ withDefaults: false });
    const counter = metrics.labelledCounter('lost_total', 'x', 'reason', ['slow', 'link']);
    counter.inc({ reason: 'link' }, 2);
    const text = await metrics.text();
    expect(text).toContain('lost_total{reason="slow"} 0');
    expect(text).toContain('lost_total{reason="link"} 2');
  });

  it('keeps registries apart', async () => {
    createMetrics().counter({ name: 'only_here_total', help: 'x' }).inc();
    expect(await createMetrics().text()).not.toContain('only_here_total');
  });
});
