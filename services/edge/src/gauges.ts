import type { Outbox } from '@tradewind/fanout';
import type { Metrics } from '@tradewind/runtime';
import type { FanOut } from './fan-out.ts';
import type { Hub } from './hub.ts';

/**
 * Registers the metrics that are read off the node when someone asks. The names that begin with
 * `ws_` are those of the predecessor, so that its dashboards go on working.
 */
export function registerGauges(metrics: Metrics, hub: Hub, fanOut: FanOut): void {
  const baseline = process.memoryUsage().rss;
  const read = (name: string, help: string, value: () => number): void => {
    metrics.gauge({
      name,
      help,
      collect() {
        this.set(value());
      },
    });
  };
  const count = (name: string, help: string, value: () => number): void => {
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
  };
  const { statistics, index } = fanOut;

  read('tradewind_edge_connections', 'Open connections', () => fanOut.connections.size);
  read(
    'tradewind_edge_channels',
    'Channels held in Redis, lingering ones included',
    () => hub.channels,
  );
  read('tradewind_edge_degraded', '1 while cut off from Redis', () =>
    hub.degradedSince === undefined ? 0 : 1,
  );
  read('tradewind_edge_queue_depth_max', 'Publications waiting in the fullest queue', () =>
    fullest(fanOut, (outbox) => outbox.depth),
  );
  read('tradewind_edge_queue_bytes_max', 'Bytes waiting in the largest queue', () =>
    fullest(fanOut, (outbox) => outbox.bytes),
  );
  read('ws_total_memory_bytes', 'Resident memory of the process', () => process.memoryUsage().rss);
  read(
    'ws_memory_per_connection_bytes',
    'Resident memory above that at the start, per open connection',
    () => {
      const clients = fanOut.connections.size;
      return clients === 0 ? 0 : Math.max(0, process.memoryUsage().rss - baseline) / clients;
    },
  );
  read('ws_subscription_index_channels', 'Channels with a subscriber here', () => index.channels);
  read(
    'ws_subscription_index_total_subscribers',
    'Subscriptions over all channels',
    () => index.subscriptions,
  );
  count(
    'ws_broadcast_iterations_total',
    'Publications that went through the delivery loop',
    () => statistics.broadcastIterations,
  );
  count(
    'ws_subscription_index_lookups_total',
    'Channels looked up in the subscription index',
    () => statistics.indexLookups,
  );
  count(
    'tradewind_edge_deliveries_total',
    'Publications queued for a client',
    () => statistics.deliveries,
  );
  count(
    'tradewind_edge_refusals_total',
    'Publications that a client’s full queue refused',
    () => statistics.refusals,
  );
  count(
    'tradewind_edge_bytes_out_total',
    'Bytes written to client sockets, frame headers included',
    () => fanOut.bytesOut,
  );
}

function fullest(fanOut: FanOut, measure: (outbox: Outbox) => number): number {
  let most = 0;
  for (const { outbox } of fanOut.connections) most = Math.max(most, measure(outbox));
  return most;
}
