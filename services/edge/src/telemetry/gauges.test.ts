import { createLogger, createMetrics, type MetricObjects, printMetrics } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../../../test/support/suite/wait.ts';
import { createFanOutEvents } from './client-events.ts';
import { type NodeGaugeSources, registerLoopGauges, registerNodeGauges } from './gauges.ts';
import { createNodeEvents } from './node-events.ts';

const MIB = 1024 ** 2;

function metricValue(objects: MetricObjects, name: string): number | undefined {
  return objects.find((metric) => metric.name === name)?.values[0]?.value;
}

describe('registerLoopGauges', () => {
  it('tells how late timers were because of what held the loop up, once', async () => {
    const metrics = createMetrics({ withDefaults: false });
    const end = registerLoopGauges(metrics);
    const lag = async () =>
      metricValue(await metrics.objects(), 'tradewind_edge_event_loop_lag_p99_seconds') ??
      Number.NaN;
    try {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await lag();
      // The first probe after a scrape only starts the clock.
      await new Promise((resolve) => setTimeout(resolve, 50));
      const until = performance.now() + 400;
      while (performance.now() < until);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(await lag()).toBeGreaterThan(0.3);
      await new Promise((resolve) => setTimeout(resolve, 50));
      // A busy machine may hold the loop up once more, and hardly each time.
      await eventually(async () => expect(await lag()).toBeLessThan(0.3));
    } finally {
      end();
    }
  });
});

describe('registerNodeGauges', () => {
  it('tells readiness, limits and the CPU time of this thread as they are when asked', async () => {
    const metrics = createMetrics({ withDefaults: false });
    let ready = false;
    registerNodeGauges(metrics, {
      hub: {
        ...{
          channels: 0,
          watchedChannels: 0,
          degradedSince: undefined,
          shards: { all: 1, up: 1, away: [] },
        },
        deflating: {
          ...{ deflated: 3, references: 1, ms: 1_500 },
          raw: { first: 1, unshrinkable: 0, budget: 4 },
        },
      },
      pool: { connections: 0 },
      source: { probeAgeMs: 1_500 },
      identity: { jwks: undefined, revocations: undefined },
      config: { maxConnections: 7, memoryLimitBytes: 64 * MIB },
      isReady: () => ready,
    } as unknown as NodeGaugeSources);
    expect(metricValue(await metrics.objects(), 'tradewind_edge_ready')).toBe(0);
    ready = true;
    const objects = await metrics.objects();
    expect(metricValue(objects, 'tradewind_edge_ready')).toBe(1);
    expect(metricValue(objects, 'tradewind_edge_connections_limit')).toBe(7);
    expect(metricValue(objects, 'tradewind_edge_probe_age_seconds')).toBe(1.5);
    expect(metricValue(objects, 'tradewind_edge_memory_limit_bytes')).toBe(64 * MIB);
    expect(metricValue(objects, 'tradewind_edge_deflated_total')).toBe(3);
    expect(metricValue(objects, 'tradewind_edge_deflate_seconds_total')).toBe(1.5);
    expect(await metrics.text()).toContain('deflate_raw_total{reason="budget"} 4');
    expect(await metrics.text()).toMatch(/thread_cpu_seconds_total\{thread="main"\} \d/);
  });
});

describe('what alerts count', () => {
  it('begins at 0, so that Prometheus sees the first rise', async () => {
    const logger = createLogger({ name: 'edge', level: 'silent' });
    const node = createMetrics({ withDefaults: false });
    createNodeEvents(logger, node, '');
    const worker = createMetrics({ withDefaults: false });
    createFanOutEvents(logger, worker);
    const text = await printMetrics([await node.objects(), await worker.objects()]);
    expect(text).toContain('tradewind_edge_limited_total{limit="requests",enforced="true"} 0');
    expect(text).toContain('tradewind_edge_limited_total{limit="requests",enforced="false"} 0');
    expect(text).toContain('tradewind_edge_disconnects_total{reason="slow"} 0');
    expect(text).toContain('tradewind_edge_publications_dropped_total{reason="too_large"} 0');
    expect(text).toContain('tradewind_edge_workers_lost_total 0');
  });
});
