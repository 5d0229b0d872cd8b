import { readFileSync } from 'node:fs';
import { createMetrics, type Metrics } from '@tradewind/runtime';

const DOCUMENT = new URL('../../../docs/metrics.md', import.meta.url);

/** A metric as a service registers it. */
export interface Registration {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** Metrics that tell of each registration, with the metric's type, before they make it. */
export function notedMetrics(note: (type: string, registration: Registration) => void): Metrics {
  const real = createMetrics({ withDefaults: false });
  return {
    ...real,
    labelledCounter(name, help, label, values) {
      note('counter', { name, help, labelNames: [label] });
      return real.labelledCounter(name, help, label, values);
    },
    counter(configuration) {
      note('counter', configuration);
      return real.counter(configuration);
    },
    gauge(configuration) {
      note('gauge', configuration);
      return real.gauge(configuration);
    },
    histogram(configuration) {
      note('histogram', configuration);
      return real.histogram(configuration);
    },
  };
}

/** The rows of metrics under one of the headings of `docs/metrics.md`. */
export function documentedMetrics(heading: string): readonly string[] {
  const [, body = ''] = readFileSync(DOCUMENT, 'utf8').split(`\n## ${heading}\n`);
  const [table = ''] = body.split('\n## ');
  return table.split('\n').filter((line) => line.startsWith('| `'));
}
