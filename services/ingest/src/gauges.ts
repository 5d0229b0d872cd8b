import type { Metrics } from '@tradewind/runtime';
import type { PublishQueueState } from './publishing/publish-queue.ts';

/** What the gauges read when the metrics are printed. */
export interface GaugeSources {
  requestsInFlight(): number;
  queue(): PublishQueueState;
}

/** Registers the service's gauges. */
export function registerGauges(metrics: Metrics, sources: GaugeSources): void {
  metrics.gauge({
    name: 'tradewind_ingest_requests_in_flight',
    help: 'Requests that are being read, published or answered. Aggregate with sum.',
    collect() {
      this.set(sources.requestsInFlight());
    },
  });
  metrics.gauge({
    name: 'tradewind_ingest_queue_publications',
    help: 'Publications that wait for Redis or are on their way to it. Aggregate with sum.',
    collect() {
      this.set(sources.queue().publications);
    },
  });
  metrics.gauge({
    name: 'tradewind_ingest_queue_bytes',
    help: 'Payload bytes that wait for Redis or are on their way to it. Aggregate with sum.',
    collect() {
      this.set(sources.queue().bytes);
    },
  });
  metrics.gauge({
    name: 'tradewind_ingest_queue_oldest_seconds',
    help: 'How long the oldest of these has been there. Aggregate with max.',
    collect() {
      this.set(sources.queue().oldestMs / 1_000);
    },
  });
}
