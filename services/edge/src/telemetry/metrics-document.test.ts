import { readFileSync } from 'node:fs';
import { createLogger, createMetrics, type Metrics } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import type { FanOut } from '../clients/fan-out.ts';
import { createFanOutEvents } from './client-events.ts';
import type { NodeGaugeSources } from './gauges.ts';
import { registerFanOutGauges, registerLoopGauges, registerNodeGauges } from './gauges.ts';
import { createNodeEvents } from './node-events.ts';

const DOCUMENT = new URL('../../../../docs/metrics.md', import.meta.url);

interface Registration {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** The rows of the table for what a node registers, as they should stand there. */
function rowsOfRegistered(): string[] {
  const rows = new Map<string, string>();
  const note = (type: string, { name, help, labelNames = [] }: Registration): void => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ') || 'none';
    rows.set(name, `| \`${name}\` | ${type} | ${labels} | ${help} |`);
  };
  const metrics = (): Metrics => {
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
  };
  const logger = createLogger({ name: 'edge', level: 'silent' });
  const config = { maxConnections: 1, memoryLimitBytes: 0 };
  const node = metrics();
  createNodeEvents(logger, node, '');
  registerNodeGauges(node, { config } as NodeGaugeSources);
  registerLoopGauges(node)();
  const worker = metrics();
  createFanOutEvents(logger, worker);
  registerFanOutGauges(worker, {} as FanOut);
  return [...rows.values()].toSorted();
}

function rowsInDocument(): string[] {
  const [, body = ''] = readFileSync(DOCUMENT, 'utf8').split('\n## Edge\n');
  const [table = ''] = body.split('\n## ');
  return table.split('\n').filter((line) => line.startsWith('| `'));
}

describe('docs/metrics.md', () => {
  it('lists what an edge registers, each with its type, labels and help', () => {
    expect(rowsInDocument()).toEqual(rowsOfRegistered());
  });

  it('says of each gauge how it adds up over workers', () => {
    const gauges = rowsOfRegistered().filter((row) => row.includes('| gauge |'));
    expect(gauges.length).toBeGreaterThan(10);
    for (const row of gauges) {
      expect(row).toMatch(/; (one a node|summed over workers|the largest over threads) \|$/);
    }
  });
});
