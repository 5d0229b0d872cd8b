import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Metrics } from '@tradewind/runtime';
import type { FanOut } from '../clients/fan-out.ts';
import type { EdgeConfig } from '../config/edge-config.ts';
import type { Hub } from '../hub/hub.ts';
import { memoryLimitBytes } from './memory-limit.ts';
import { readThreadCpu } from './thread-cpu.ts';

/** How the values of a gauge are combined over the threads of a node, and the words for it at the end of the gauge's help. */
const AGGREGATIONS = {
  /** Only the main thread has it. */
  node: { aggregator: 'sum', words: 'one a node' },
  sum: { aggregator: 'sum', words: 'summed over workers' },
  max: { aggregator: 'max', words: 'the largest over threads' },
} as const;

/** Time between two probes of a thread's loop for lag, in ms. A hundred wake-ups a second cost nothing. */
const LAG_RESOLUTION_MS = 10;

const NS_PER_SECOND = 1e9;

/** What the gauges of a node read. */
export interface NodeGaugeSources {
  readonly hub: Hub;
  readonly pool: { readonly connections: number };
  readonly source: { readonly probeAgeMs: number | undefined };
  readonly config: Pick<EdgeConfig, 'maxConnections' | 'memoryLimitBytes'>;
  readonly identity: {
    /** Undefined where keys come from no URL. */
    readonly jwks: { readonly ageMs: number } | undefined;
    /** Undefined where clients need no token. */
    readonly revocations: { readonly size: number; readonly isCurrent: boolean } | undefined;
  };
  /** Whether a balancer should send clients here. */
  readonly isReady: () => boolean;
}

/**
 * Registers the gauges that a scrape reads in a node's main thread. Names that begin with `ws_` are those of the predecessor, so
 * that its dashboards still work.
 */
export function registerNodeGauges(metrics: Metrics, sources: NodeGaugeSources): void {
  const { hub, pool, config, source, identity, isReady } = sources;
  const baseline = process.memoryUsage.rss();
  const memoryLimit = memoryLimitBytes(config.memoryLimitBytes);
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
    'tradewind_edge_redis_shards',
    'Masters that have slots; 1 where Redis is no cluster',
    () => hub.shards.all,
  );
  readGauge(
    metrics,
    'tradewind_edge_redis_shards_linked',
    'Those of them to which the subscription link is up and proven',
    () => hub.shards.up,
  );
  readGauge(
    metrics,
    'tradewind_edge_probe_age_seconds',
    'Age of the newest probe that came back from Redis; 0 where no probe can be sent',
    () => (source.probeAgeMs ?? 0) / 1_000,
  );
  readGauge(
    metrics,
    'tradewind_edge_jwks_age_seconds',
    'Time since the keys for tokens were fetched (EDGE_JWKS_URL); 0 where none are',
    () => (identity.jwks?.ageMs ?? 0) / 1_000,
  );
  readGauge(
    metrics,
    'tradewind_edge_revocations',
    'Revocations that it holds',
    () => identity.revocations?.size ?? 0,
  );
  readGauge(
    metrics,
    'tradewind_edge_revocations_unread',
    '1 while it may lack revocations that Redis keeps: cut off, or not allowed to read them',
    () => (identity.revocations?.isCurrent === false ? 1 : 0),
  );
  readGauge(
    metrics,
    'tradewind_edge_ready',
    '1 while a balancer should send clients here, as /readyz says',
    () => (isReady() ? 1 : 0),
  );
  readGauge(
    metrics,
    'tradewind_edge_connections_limit',
    'The most connections that it may hold: WS_MAX_CONNECTIONS, or fewer where file descriptors do not suffice',
    () => config.maxConnections,
  );
  readGauge(metrics, 'ws_total_memory_bytes', 'Resident memory of the process', () =>
    process.memoryUsage.rss(),
  );
  readGauge(
    metrics,
    'tradewind_edge_memory_limit_bytes',
    'The most memory that it should use: EDGE_MEMORY_LIMIT_BYTES, or its control group’s limit, or the machine’s memory',
    () => memoryLimit,
  );
  readGauge(
    metrics,
    'ws_memory_per_connection_bytes',
    'Resident memory above that at the start, per open connection',
    () => {
      const clients = pool.connections;
      return clients === 0 ? 0 : Math.max(0, process.memoryUsage.rss() - baseline) / clients;
    },
  );
  registerDeflating(metrics, hub);
  registerThreadCpu(metrics);
}

/** Registers the counters of deflating for binary frames, which only the main thread does. */
function registerDeflating(metrics: Metrics, hub: Hub): void {
  readCounter(
    metrics,
    'tradewind_edge_deflated_total',
    'Publications that were deflated for clients with binary frames, once for all of them',
    () => hub.deflating.deflated,
  );
  readCounter(
    metrics,
    'tradewind_edge_deflate_references_total',
    'Publications that became the reference against which others of their channel are deflated',
    () => hub.deflating.references,
  );
  readCounter(
    metrics,
    'tradewind_edge_deflate_seconds_total',
    'Time that the main thread spent on deflating',
    () => hub.deflating.ms / 1_000,
  );
  metrics.counter({
    name: 'tradewind_edge_deflate_raw_total',
    help: 'Publications that went raw to clients with binary frames, by reason: the first of a channel, it does not shrink, or the time for deflating was used up (budget)',
    labelNames: ['reason'],
    collect() {
      this.reset();
      for (const [reason, count] of Object.entries(hub.deflating.raw)) this.inc({ reason }, count);
    },
  });
}

/**
 * Registers the gauges and counters that a scrape reads in one fan-out worker. The help of each gauge says how it is combined over
 * workers.
 */
export function registerFanOutGauges(metrics: Metrics, fanOut: FanOut): void {
  const { statistics, index } = fanOut;
  readGauge(
    metrics,
    'tradewind_edge_connections',
    'Open connections',
    () => fanOut.connections.size,
    'sum',
  );
  readGauge(
    metrics,
    'ws_subscription_index_total_subscribers',
    'Subscriptions over all channels',
    () => index.subscriptions,
    'sum',
  );
  readGauge(
    metrics,
    'tradewind_edge_latest_subscriptions',
    'Subscriptions to the latest of a channel in each interval',
    () => fanOut.latestSubscriptions,
    'sum',
  );
  readGauge(
    metrics,
    'tradewind_edge_queue_depth_max',
    'Publications waiting in the fullest queue',
    () => fanOut.fullestQueue.publications,
    'max',
  );
  readGauge(
    metrics,
    'tradewind_edge_queue_bytes_max',
    'Bytes waiting in the largest queue',
    () => fanOut.fullestQueue.bytes,
    'max',
  );
  readCounter(
    metrics,
    'ws_broadcast_iterations_total',
    'Subscribers that delivery loops visited',
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
    'tradewind_edge_binary_bytes_saved_total',
    'Bytes by which publications in binary frames were shorter than in text frames, over all clients whose queues took them; references are not subtracted',
    () => statistics.savedBytes,
  );
  readCounter(
    metrics,
    'tradewind_edge_skipped_total',
    'Publications that were not sent to a subscription to the latest, because a newer one came within its interval',
    () => statistics.skipped,
  );
  readCounter(
    metrics,
    'tradewind_edge_bytes_out_total',
    'Bytes written to client sockets, frame headers included',
    () => fanOut.bytesOut,
  );
}

/**
 * Registers how busy and how late the event loop of the calling thread is. Each thread must call it once. Both gauges cover the
 * time since the last scrape, so they are right for a single scraper only.
 *
 * @returns a function that ends the measurement.
 */
export function registerLoopGauges(metrics: Metrics): () => void {
  let last = performance.eventLoopUtilization();
  readGauge(
    metrics,
    'tradewind_edge_event_loop_utilization',
    'Share of time for which the busiest thread’s loop was busy, since the last scrape',
    () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    'max',
  );
  const delay = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  delay.enable();
  readGauge(
    metrics,
    'tradewind_edge_event_loop_lag_p99_seconds',
    'How late timers fire, 99th percentile since the last scrape',
    () => {
      // The monitor measures the time from one probe to the next, which is never less than the resolution.
      const lateNs = delay.count === 0 ? 0 : delay.percentile(99) - LAG_RESOLUTION_MS * 1e6;
      delay.reset();
      return Math.max(0, lateNs) / NS_PER_SECOND;
    },
    'max',
  );
  return () => {
    delay.disable();
  };
}

/** One thread reads the time of all threads, so that a worker that is too busy to answer is included. */
function registerThreadCpu(metrics: Metrics): void {
  metrics.counter({
    name: 'tradewind_edge_thread_cpu_seconds_total',
    help: 'CPU time of the threads that run JavaScript: main, and fan-out 0 and so on with EDGE_WORKERS above 1',
    labelNames: ['thread'],
    collect() {
      this.reset();
      for (const { thread, seconds } of readThreadCpu()) this.inc({ thread }, seconds);
    },
  });
}

/**
 * A counter that a scrape reads, for events so frequent that a call of the metrics library for each would cost too
 * much.
 *
 * @param value returns a number that only grows.
 */
export function readCounter(
  metrics: Metrics,
  name: string,
  help: string,
  value: () => number,
): void {
  let reported = 0;
  metrics.counter({
    name,
    help,
    collect() {
      const total = value();
      this.inc(total - reported);
      reported = total;
    },
  });
}

function readGauge(
  metrics: Metrics,
  name: string,
  help: string,
  value: () => number,
  aggregation: keyof typeof AGGREGATIONS = 'node',
): void {
  const { aggregator, words } = AGGREGATIONS[aggregation];
  metrics.gauge({
    name,
    help: `${help}; ${words}`,
    aggregator,
    collect() {
      this.set(value());
    },
  });
}
