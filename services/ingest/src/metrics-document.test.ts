import { createLogger } from '@tradewind/runtime';
import { expect, it } from 'vitest';
import { documentedMetrics, notedMetrics } from '../../../test/support/documents/noted-metrics.ts';
import { createEvents } from './events.ts';
import { type GaugeSources, registerGauges } from './gauges.ts';

/** The rows of the table for what the service registers, as they should stand there. */
function rowsOfRegistered(): string[] {
  const rows: string[] = [];
  const metrics = notedMetrics((type, { name, help, labelNames = [] }) => {
    const labels = labelNames.map((label) => ` \`${label}\``).join(',');
    const [meaning, nodes = 'sum'] = help.split(/ Aggregate with (\w+)\.$/);
    rows.push(`| \`${name}\` | ${type} |${labels} | ${nodes} | ${meaning} |`);
  });
  createEvents(createLogger({ name: 'ingest', level: 'silent' }), metrics, '');
  registerGauges(metrics, {} as GaugeSources);
  return rows.toSorted();
}

it('docs/metrics.md lists what ingest registers, each with its type, labels, help and how it adds up over nodes', () => {
  expect(documentedMetrics('Ingest')).toEqual(rowsOfRegistered());
});
