import { formatNumber, formatTable } from '../figures/table.ts';
import { runHotPath } from './hot-path.ts';
import type { HotPathWire } from './hot-path-measurement.ts';
import { type IndexCost, measureIndexCost, type Reach } from './index-cost.ts';

/**
 * Sizes of the indexes. `far` begins with 1,000, where nothing is further away than in `near`, to show exactly that.
 */
const INDEX_SIZES: Readonly<Record<Reach, readonly number[]>> = {
  near: [10, 1_000, 100_000, 1_000_000],
  far: [1_000, 100_000, 1_000_000],
};
const LARGEST_QUICK_INDEX = 100_000;
const INDEX_ROUNDS = 15;
const QUICK_INDEX_ROUNDS = 3;
const REACHES: readonly Reach[] = ['near', 'far'];

/** Publications in one write: one at low rates, dozens under load. */
const BATCHES = [1, 4, 16, 64];
const HOT_PATH_CLIENTS = 1_000;
const HOT_PATH_DELIVERIES = 2_000_000;

/** What deflating leaves of a payload, about: `bench -- wire-size` has the figures. */
const DEFLATED_SHARE = 0.22;

/** Divides the sizes of a run that only shows that the benchmark works. */
const QUICK_DIVISOR = 10;

/** Measures the subscription index at several sizes. Prints nothing. */
export async function benchmarkIndex(quick: boolean): Promise<readonly IndexCost[]> {
  const rounds = quick ? QUICK_INDEX_ROUNDS : INDEX_ROUNDS;
  // A warm-up that is not counted; otherwise the first row would include compilation.
  for (const size of INDEX_SIZES.near.slice(0, 2)) {
    await measureIndexCost(size, 'near', INDEX_ROUNDS);
  }
  const costs: IndexCost[] = [];
  for (const reach of REACHES) {
    for (const size of INDEX_SIZES[reach]) {
      if (quick && size > LARGEST_QUICK_INDEX) continue;
      costs.push(await measureIndexCost(size, reach, rounds));
    }
  }
  return costs;
}

function count(whole: number): string {
  return whole.toLocaleString('en-US');
}

/** The result as lines for people. */
export function describeIndexCosts(costs: readonly IndexCost[]): string {
  const rows = costs.map((cost) => [
    `${cost.reach}, ${count(cost.subscriptions)}`,
    count(cost.clients),
    formatNumber(cost.addNs),
    formatNumber(cost.removeNs),
    formatNumber(cost.removeClientPerChannelNs),
    `${count(cost.delivered.channels)} x ${count(cost.delivered.subscribersPerChannel)}`,
    count(cost.delivered.clients),
    formatNumber(cost.deliverNs),
  ]);
  const header = [
    'subscriptions',
    'clients',
    'add',
    'remove',
    'removeClient/channel',
    'channels x subscribers',
    'to clients',
    'deliver/subscriber',
  ];
  return [
    'Subscription index: ns per operation, medians',
    'near: 100 clients come and go and 20 channels are published to, at every size; far: up to 10,000',
    'of both all over the index, with its cache misses. "clients" are those that come and go; each',
    'publication goes to all subscribers of its channel, "to clients" in all: deliver is not on the',
    'same clients at every size. Clients hold 10 channels. With 10 subscriptions they hold 2, which',
    'share what removing a client costs, a channel has 2 subscribers, who share what a publication',
    'costs, and 100 such indexes take turns (for deliver 20).',
    '',
    formatTable(header, rows),
  ].join('\n');
}

/** One row of the hot path's table. */
export type HotPathRow = Awaited<ReturnType<typeof runHotPath>> & {
  readonly wire: HotPathWire;
  /** Of the payload as it leaves. */
  readonly bytes: number;
  readonly batch: number;
};

/** Measures the hot path with batches of several sizes, in both formats. Prints nothing. */
export async function benchmarkHotPath(
  payloadBytes: number,
  quick: boolean,
): Promise<readonly HotPathRow[]> {
  const deliveries = HOT_PATH_DELIVERIES / (quick ? QUICK_DIVISOR : 1);
  const sent = [
    { wire: 'v1', bytes: payloadBytes },
    { wire: 'v2', bytes: payloadBytes },
    { wire: 'v2', bytes: Math.round(payloadBytes * DEFLATED_SHARE) },
  ] as const;
  const rows: HotPathRow[] = [];
  for (const batch of BATCHES) {
    for (const { wire, bytes } of sent) {
      const load = { clients: HOT_PATH_CLIENTS, wire, payloadBytes: bytes, batch, deliveries };
      rows.push({ wire, bytes, batch, ...(await runHotPath(load)) });
    }
  }
  return rows;
}

/** The lines that a person reads. */
export function describeHotPath(rows: readonly HotPathRow[], payloadBytes: number): string {
  const cells = rows.map((row) => [
    String(row.batch),
    `${row.wire}, ${row.bytes} bytes`,
    formatNumber(row.deliverNs),
    formatNumber(row.writeNs),
    formatNumber(row.heapBytes),
    formatNumber(row.bufferBytes),
  ]);
  const header = [
    'publications per write',
    'frames',
    'deliver ns',
    'write ns',
    'heap bytes',
    'buffer bytes',
  ];
  return [
    `Hot path: index to socket without the socket, per delivery, of ${payloadBytes} bytes in text frames, and in binary ones raw and deflated`,
    '',
    formatTable(header, cells),
  ].join('\n');
}
