import { createLogger } from '@tradewind/runtime';
import { expect, it } from 'vitest';
import { documentedMetrics, notedMetrics } from '../../../test/support/documents/noted-metrics.ts';
import { createEvents, type GaugeSources, registerGauges } from './events.ts';

/** The rows of the table for what the console registers, as they should stand there. */
function rowsOfRegistered(): string[] {
  const rows: string[] = [];
  const metrics = notedMetrics((type, { name, help, labelNames = [] }) => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ') || 'none';
    rows.push(`| \`${name}\` | ${type} | ${labels} | ${help} |`);
  });
  createEvents(createLogger({ name: 'console', level: 'silent' }), metrics, '');
  registerGauges(metrics, {} as GaugeSources);
  return rows.toSorted();
}

it('docs/metrics.md lists what the console registers, each with its type, labels and help', () => {
  expect(documentedMetrics('Console')).toEqual(rowsOfRegistered());
});
