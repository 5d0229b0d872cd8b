import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import type { Outbox } from '@tradewind/fanout';
import type { Metrics } from '@tradewind/runtime';
import type { FanOut } from './fan-out.ts';
import type { FanOutPool } from './fan-out-pool.ts';
import type { Hub } from './hub.ts';

/**
 * Registers what is read off a node's main thread when someone asks. The names that begin with
 * `ws_` are those of the predecessor, so that its dashboards go on working.
 */
export function registerNodeGauges(metrics: Metrics, hub: Hub, pool: FanOutPool): void {
  const baseline = process.memoryUsage().rss;
  readGauge(
    metrics,
    'tradewind_edge_channels',
    'Channels held in Redis, lingering ones included',
    () => hub.channels,
  );
  readGauge(
    metrics,
    'ws_subscription_index_channels',
    'Channels with a subscriber here',
    () => hub.watchedChannels,
  );
  readGauge(metrics, 'tradewind_edge_degraded', '1 while cut off from Redis', () =>
    hub.degradedSince === undefined ? 0 : 1,
  );
  readGauge(
    metrics,
    'ws_total_memory_bytes',
    'Resident memory of the process',
    () => process.memoryUsage().rss,
  );
  readGauge(
    metrics,
    'ws_memory_per_connection_bytes',
    'Resident memory above that at the start, per open connection',
    () => {
      const clients = pool.connections;
      return clients === 0 ? 0 : Math.max(0, process.memoryUsage().rss - baseline) / clients;
    },
  );
  registerLoop(metrics);
}

/** Registers what is read off one fan-out worker; each says how it adds up over workers. */
export function registerFanOutGauges(metrics: Metrics, fanOut: FanOut): void {
  const { statistics, index } = fanOut;
  readGauge(
    metrics,
    'tradewind_edge_connections',
    'Open connections, summed over workers',
    () => fanOut.connections.size,
  );
  readGauge(
    metrics,
    'ws_subscription_index_total_subscribers',
    'Subscriptions over all channels, summed over workers',
    () => index.subscriptions,
  );
  readGauge(
    metrics,
    'tradewind_edge_queue_depth_max',
    'Publications waiting in the fullest queue; the largest over workers',
    () => fullest(fanOut, (outbox) => outbox.depth),
    'max',
  );
  readGauge(
    metrics,
    'tradewind_edge_queue_bytes_max',
    'Bytes waiting in the largest queue; the largest over workers',
    () => fullest(fanOut, (outbox) => outbox.bytes),
    'max',
  );
  readCounter(
    metrics,
    'ws_broadcast_iterations_total',
    'Publications that went through a delivery loop',
    () => statistics.broadcastIterations,
  );
  readCounter(
    metrics,
    'ws_subscription_index_lookups_total',
    'Channels looked up in the subscription index',
    () => statistics.indexLookups,
  );
  readCounter(
    metrics,
    'tradewind_edge_deliveries_total',
    'Publications queued for a client',
    () => statistics.deliveries,
  );
  readCounter(
    metrics,
    'tradewind_edge_refusals_total',
    'Publications that a client’s full queue refused',
    () => statistics.refusals,
  );
  readCounter(
    metrics,
    'tradewind_edge_caught_up_total',
    'Refused publications that were queued after all, when the client’s socket had drained',
    () => statistics.caughtUp,
  );
  readCounter(
    metrics,
    'tradewind_edge_bytes_out_total',
    'Bytes written to client sockets, frame headers included',
    () => fanOut.bytesOut,
  );
  registerLoop(metrics);
}

/** The share of time for which this thread's loop was busy since it was last asked, 0 to 1. */
function registerLoop(metrics: Metrics): void {
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  readGauge(
    metrics,
    'tradewind_edge_event_loop_utilization',
    'Share of time for which the busiest thread’s loop was busy, since the last scrape; the largest over threads',
    () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    'max',
  );
}

function readGauge(
  metrics: Metrics,
  name: string,
  help: string,
  value: () => number,
  aggregator: 'sum' | 'max' = 'sum',
): void {
  metrics.gauge({
    name,
    help,
    aggregator,
    collect() {
      this.set(value());
    },
  });
}

function readCounter(metrics: Metrics, name: string, help: string, value: () => number): void {
  let told = 0;
  metrics.counter({
    name,
    help,
    collect() {
      const total = value();
      this.inc(total - told);
      told = total;
    },
  });
}

function fullest(fanOut: FanOut, measure: (outbox: Outbox) => number): number {
  let most = 0;
  for (const { outbox } of fanOut.connections) most = Math.max(most, measure(outbox));
  return most;
}
