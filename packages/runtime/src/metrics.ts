import {
  AggregatorRegistry,
  Counter,
  type CounterConfiguration,
  collectDefaultMetrics,
  Gauge,
  type GaugeConfiguration,
  Histogram,
  type HistogramConfiguration,
  Registry,
} from 'prom-client';
import { RELEASE } from './settings/release.ts';

export type { Counter, Gauge, Histogram } from 'prom-client';

/**
 * Gauges of prom-client whose names end like those of counters, which `promtool check metrics` refuses. The gauges
 * without `_total` say the same by type.
 */
const MISNAMED_GAUGES = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** The metrics of one registry as plain objects, which may cross to another thread. */
export type MetricObjects = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What `/metrics` prints. */
export interface MetricsText {
  readonly contentType: string;
  /** Metrics in Prometheus' text format. */
  text(): Promise<string>;
}

/** The metrics of a process, or of one of its threads: one registry. */
export interface Metrics extends MetricsText {
  /** A number that only grows; its name ends in `_total`. Throws when the name is taken. */
  counter<Label extends string = never>(
    configuration: Omit<CounterConfiguration<Label>, 'registers'>,
  ): Counter<Label>;
  /**
   * A counter with one label. It begins at 0 for each value, because Prometheus cannot see a rise from nothing.
   *
   * @param values all values of the label. Where the label is open: those that an alert may use.
   */
  labelledCounter<Label extends string>(
    name: string,
    help: string,
    label: Label,
    values: readonly string[],
  ): Counter<Label>;
  /** A number that goes up and down; `collect` may set it just before it is printed. */
  gauge<Label extends string = never>(
    configuration: Omit<GaugeConfiguration<Label>, 'registers'>,
  ): Gauge<Label>;
  /** How a measure is distributed over buckets. */
  histogram<Label extends string = never>(
    configuration: Omit<HistogramConfiguration<Label>, 'registers'>,
  ): Histogram<Label>;
  /** All metrics as objects, for {@link sumMetrics}. */
  objects(): Promise<MetricObjects>;
}

/**
 * Makes a registry.
 *
 * @param options.withDefaults whether it holds the metrics of Node: CPU, memory, garbage collection, loop lag. They
 *   belong to the process, so one registry of a process should have them.
 */
export function createMetrics({ withDefaults } = { withDefaults: true }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (withDefaults) {
    collectDefaultMetrics({ register: registry });
    for (const name of MISNAMED_GAUGES) registry.removeSingleMetric(name);
    new Gauge({
      name: 'tradewind_build_info',
      help: 'Always 1; the label is the version of Tradewind that runs. Aggregate with sum.',
      labelNames: ['version'],
      aggregator: 'first',
      registers,
    }).set({ version: RELEASE }, 1);
  }
  return {
    labelledCounter(name, help, label, values) {
      const counter = new Counter({ name, help, labelNames: [label], registers });
      for (const value of values) counter.labels(value).inc(0);
      return counter;
    },
    counter: (configuration) => new Counter({ ...configuration, registers }),
    gauge: (configuration) => new Gauge({ ...configuration, registers }),
    histogram: (configuration) => new Histogram({ ...configuration, registers }),
    contentType: registry.contentType,
    text: () => registry.metrics(),
    objects: () => registry.getMetricsAsJSON(),
  };
}

/** Adds up the metrics of several threads: counters and histograms as sums, and a gauge as its `aggregator` says. */
export function sumMetrics(all: readonly MetricObjects[]): Promise<MetricObjects> {
  return AggregatorRegistry.aggregate([...all]).getMetricsAsJSON();
}

/** {@link sumMetrics} as the text of one page. */
export function printMetrics(all: readonly MetricObjects[]): Promise<string> {
  return AggregatorRegistry.aggregate([...all]).metrics();
}
