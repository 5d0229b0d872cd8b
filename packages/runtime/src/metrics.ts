import {
  Counter,
  type CounterConfiguration,
  collectDefaultMetrics,
  Gauge,
  type GaugeConfiguration,
  Histogram,
  type HistogramConfiguration,
  Registry,
} from 'prom-client';

export type { Counter, Gauge, Histogram } from 'prom-client';

/** A process's metrics: one registry, which `/metrics` prints. */
export interface Metrics {
  /** A number that only grows; its name ends in `_total`. Throws when the name is taken. */
  counter<Label extends string = never>(
    configuration: Omit<CounterConfiguration<Label>, 'registers'>,
  ): Counter<Label>;
  /** A number that goes up and down; `collect` may set it just before it is printed. */
  gauge<Label extends string = never>(
    configuration: Omit<GaugeConfiguration<Label>, 'registers'>,
  ): Gauge<Label>;
  /** How a measure is distributed over buckets. */
  histogram<Label extends string = never>(
    configuration: Omit<HistogramConfiguration<Label>, 'registers'>,
  ): Histogram<Label>;
  /** The content type of {@link text}. */
  readonly contentType: string;
  /** All metrics in Prometheus' text format. */
  text(): Promise<string>;
}

/** Makes a registry that already holds Node's own metrics: CPU, memory, garbage collection, loop lag. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    counter: (configuration) => new Counter({ ...configuration, registers }),
    gauge: (configuration) => new Gauge({ ...configuration, registers }),
    histogram: (configuration) => new Histogram({ ...configuration, registers }),
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
