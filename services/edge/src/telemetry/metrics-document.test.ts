import { createLogger, type Metrics } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import {
  documentedMetrics,
  notedMetrics,
  type Registration,
} from '../../../../test/support/documents/noted-metrics.ts';
import type { FanOut } from '../clients/fan-out.ts';
import { createFanOutEvents } from './client-events.ts';
import type { NodeGaugeSources } from './gauges.ts';
import { registerFanOutGauges, registerLoopGauges, registerNodeGauges } from './gauges.ts';
import { createNodeEvents } from './node-events.ts';

/** What a row says of one metric. The column `nodes` is not in the code. */
interface Row {
  readonly name: string;
  readonly type: string;
  readonly labels: string;
  /** How a node makes one number of its threads. Empty: only the main thread has it. */
  readonly workers: string;
  readonly meaning: string;
}

/** The words at the end of a gauge's help, and what stands for them in the column `workers`. */
const WORKERS: Readonly<Record<string, string>> = {
  'one a node': '',
  'summed over workers': 'sum',
  'the largest over threads': 'max',
};

/** The rows of the table for what a node registers, as they should stand there. */
function rowsOfRegistered(): Row[] {
  const rows = new Map<string, Row>();
  const note = (type: string, { name, help, labelNames = [] }: Registration): void => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ');
    const [meaning, words] = type === 'gauge' ? splitAtLast(help, '; ') : [help, undefined];
    const workers = words === undefined ? 'sum' : WORKERS[words];
    rows.set(name, { name, type, labels, workers: workers ?? `unknown: ${words}`, meaning });
  };
  const metrics = (): Metrics => notedMetrics(note);
  const logger = createLogger({ name: 'edge', level: 'silent' });
  const config = { maxConnections: 1, memoryLimitBytes: 0 };
  const node = metrics();
  createNodeEvents(logger, node, '');
  registerNodeGauges(node, { config } as NodeGaugeSources);
  registerLoopGauges(node)();
  const worker = metrics();
  createFanOutEvents(logger, worker);
  registerFanOutGauges(worker, {} as FanOut);
  return [...rows.values()].toSorted(byName);
}

/** What stands before and behind the last `separator`. */
function splitAtLast(text: string, separator: string): [string, string] {
  const at = text.lastIndexOf(separator);
  return [text.slice(0, at), text.slice(at + separator.length)];
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

function rowsInDocument(): (Row & { readonly nodes: string })[] {
  return documentedMetrics('Edge')
    .map((line) => line.slice(1, -1).split('|'))
    .map(([name, type, labels, workers, nodes, ...meaning]) => ({
      name: name!.trim().slice(1, -1),
      type: type!.trim(),
      labels: labels!.trim(),
      workers: workers!.trim(),
      nodes: nodes!.trim(),
      meaning: meaning.join('|').trim(),
    }))
    .toSorted(byName);
}

describe('docs/metrics.md', () => {
  it('lists what an edge registers, each with its type, labels, workers and help', () => {
    const rows = rowsInDocument().map(({ nodes, ...row }) => row);
    expect(rows).toEqual(rowsOfRegistered());
  });

  it('says of each metric how it adds up over nodes', () => {
    const rows = rowsInDocument();
    expect(rows.filter(({ type }) => type === 'gauge').length).toBeGreaterThan(10);
    for (const { name, type, nodes } of rows) {
      const allowed = type === 'gauge' ? ['sum', 'max', 'min', 'avg'] : ['sum'];
      expect(allowed, name).toContain(nodes);
    }
  });
});
