import { runHotPath } from './hot-path.ts';
import { type IndexCost, measureIndexCost, type Reach } from './index-cost.ts';
import { formatNumber, formatTable } from './table.ts';

const INDEX_SIZES = [1_000, 100_000, 1_000_000];
const INDEX_ROUNDS = 15;
const QUICK_INDEX_ROUNDS = 3;
const REACHES: readonly Reach[] = ['near', 'far'];

/** Publications that one write carries: one at low rates, dozens under load. */
const BATCHES = [1, 4, 16, 64];
const HOT_PATH_CLIENTS = 1_000;
const HOT_PATH_DELIVERIES = 2_000_000;

/** Smaller by so much when it is only to be shown that it works. */
const QUICK_DIVISOR = 10;

/** Measures the subscription index at several sizes. Prints nothing. */
export async function benchmarkIndex(quick: boolean): Promise<readonly IndexCost[]> {
  const rounds = quick ? QUICK_INDEX_ROUNDS : INDEX_ROUNDS;
  // Not counted: or the first row would show how long it takes until all of it is compiled.
  await measureIndexCost(INDEX_SIZES[0]!, 'far', INDEX_ROUNDS);
  const costs: IndexCost[] = [];
  for (const reach of REACHES) {
    for (const size of quick ? INDEX_SIZES.slice(0, 2) : INDEX_SIZES) {
      costs.push(await measureIndexCost(size, reach, rounds));
    }
  }
  return costs;
}

/** The lines that a person reads. */
export function describeIndexCosts(costs: readonly IndexCost[]): string {
  const rows = costs.map((cost) => [
    `${cost.reach}, ${cost.subscriptions.toLocaleString('en-US')}`,
    formatNumber(cost.addNs),
    formatNumber(cost.removeNs),
    formatNumber(cost.removeClientPerChannelNs),
    formatNumber(cost.deliverNs),
  ]);
  const header = ['subscriptions', 'add', 'remove', 'removeClient/channel', 'deliver/subscriber'];
  return [
    'Subscription index: ns per operation, medians',
    'near: on the same 100 clients at every size; far: all over the index, with its cache misses',
    '',
    formatTable(header, rows),
  ].join('\n');
}

/** One row of the hot path's table. */
export type HotPathRow = Awaited<ReturnType<typeof runHotPath>> & { readonly batch: number };

/** Measures the hot path with batches of several sizes. Prints nothing. */
export async function benchmarkHotPath(
  payloadBytes: number,
  quick: boolean,
): Promise<readonly HotPathRow[]> {
  const deliveries = HOT_PATH_DELIVERIES / (quick ? QUICK_DIVISOR : 1);
  const rows: HotPathRow[] = [];
  for (const batch of BATCHES) {
    const load = { clients: HOT_PATH_CLIENTS, payloadBytes, batch, deliveries };
    rows.push({ batch, ...(await runHotPath(load)) });
  }
  return rows;
}

/** The lines that a person reads. */
export function describeHotPath(rows: readonly HotPathRow[], payloadBytes: number): string {
  const cells = rows.map((row) => [
    String(row.batch),
    formatNumber(row.deliverNs),
    formatNumber(row.writeNs),
    formatNumber(row.heapBytes),
    formatNumber(row.bufferBytes),
  ]);
  const header = ['publications per write', 'deliver ns', 'write ns', 'heap bytes', 'buffer bytes'];
  return [
    `Hot path: index to socket without the socket, per delivery, ${payloadBytes} bytes`,
    '',
    formatTable(header, cells),
  ].join('\n');
}
