import { readFileSync } from 'node:fs';
import { createLogger, createMetrics, type Metrics } from '@tradewind/runtime';
import { expect, it } from 'vitest';
import { createEvents, type GaugeSources, registerGauges } from './events.ts';

const DOCUMENT = new URL('../../../docs/metrics.md', import.meta.url);

interface Registration {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** The rows of the table for what the console registers, as they should stand there. */
function rowsOfRegistered(): string[] {
  const rows: string[] = [];
  const note = (type: string, { name, help, labelNames = [] }: Registration): void => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ') || 'none';
    rows.push(`| \`${name}\` | ${type} | ${labels} | ${help} |`);
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
  };
  createEvents(createLogger({ name: 'console', level: 'silent' }), metrics, '');
  registerGauges(metrics, {} as GaugeSources);
  return rows.toSorted();
}

it('docs/metrics.md lists what the console registers, each with its type, labels and help', () => {
  const [, body = ''] = readFileSync(DOCUMENT, 'utf8').split('\n## Console\n');
  const [table = ''] = body.split('\n## ');
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  expect(rows).toEqual(rowsOfRegistered());
});
