import { readFileSync } from 'node:fs';
import { createLogger, createMetrics, type Metrics } from '@tradewind/runtime';
import { expect, it } from 'vitest';
import { createEvents } from './events.ts';
import { type GaugeSources, registerGauges } from './gauges.ts';

const DOCUMENT = new URL('../../../docs/metrics.md', import.meta.url);

interface Registration {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** The rows of the table for what the service registers, as they should stand there. */
function rowsOfRegistered(): string[] {
  const rows: string[] = [];
  const note = (type: string, { name, help, labelNames = [] }: Registration): void => {
    const labels = labelNames.map((label) => ` \`${label}\``).join(',');
    const [meaning, nodes = 'sum'] = help.split(/ Aggregate with (\w+)\.$/);
    rows.push(`| \`${name}\` | ${type} |${labels} | ${nodes} | ${meaning} |`);
  };
  const real = createMetrics({ withDefaults: false });
  const metrics: Metrics = {
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
  createEvents(createLogger({ name: 'ingest', level: 'silent' }), metrics, '');
  registerGauges(metrics, {} as GaugeSources);
  return rows.toSorted();
}

it('docs/metrics.md lists what ingest registers, each with its type, labels, help and how it adds up over nodes', () => {
  const [, body = ''] = readFileSync(DOCUMENT, 'utf8').split('\n## Ingest\n');
  const [table = ''] = body.split('\n## ');
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  expect(rows).toEqual(rowsOfRegistered());
});
