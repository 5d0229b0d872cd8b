import { ASSUMED, EDGE_MACHINE, MEASURED } from './measured.ts';
import { cpuOfClient, type Load, type Sending, sizeOf, writesPerSecond } from './model.ts';

/** What clients of a table want. */
export const WORKLOADS = {
  'one channel each': { channelsPerClient: 1, channels: 1_000, ratePerChannel: 1 },
  'ten channels each': { channelsPerClient: 10, channels: 1_000, ratePerChannel: 5 },
  'twenty busy channels each': { channelsPerClient: 20, channels: 2_000, ratePerChannel: 10 },
} as const satisfies Readonly<Record<string, Omit<Load, 'clients'>>>;

export type Workload = keyof typeof WORKLOADS;

const CLIENTS = [10_000, 100_000, 1_000_000, 10_000_000] as const;

const SENDINGS: readonly (Sending & { readonly name: string })[] = [
  { name: 'v1', wire: 'v1', isConflated: false },
  { name: 'v2', wire: 'v2', isConflated: false },
  { name: 'v2, latest every 250 ms', wire: 'v2', isConflated: true },
];

/** What a workload needs, from 10,000 to 10,000,000 clients. */
export function sizeTable(workload: Workload): string {
  const loads = CLIENTS.map((clients) => ({ ...WORKLOADS[workload], clients }));
  return table(SIZE_HEAD, loads.flatMap(sizeRows));
}

/** What one load needs, in each way of sending it. */
export function loadTable(load: Load): string {
  return table(SIZE_HEAD, sizeRows(load));
}

const SIZE_HEAD = [
  ...['clients', 'sent as', 'deliveries/s', 'edges (by)', 'publications/s of a hub', 'shards'],
  ...['out', 'machines, USD a month', 'egress, USD a month'],
];

function sizeRows(load: Load): readonly (readonly string[])[] {
  return SENDINGS.map((sending) => {
    const { edges, edgesBy, shards, hubRate, deliveriesPerSecond, ...size } = sizeOf(load, sending);
    return [
      ...[grouped(load.clients), sending.name, rounded(deliveriesPerSecond)],
      ...[`${grouped(edges)} (${edgesBy})`, rounded(hubRate), grouped(shards)],
      `${bytesPerSecond(size.egressBytesPerSecond)}`,
      ...[rounded(size.usdPerMonth.machines), rounded(size.usdPerMonth.egress)],
    ];
  });
}

/** What clients that get as much as those of the system before this one cost, 4.7 publications of 500 bytes a second. */
const PREDECESSOR = {
  ...{ channelsPerClient: 5, channels: 5, ratePerChannel: 0.94, payloadBytes: 500 },
} as const;
const PREDECESSOR_CLIENTS = 40_000;

/** What binary frames save 40,000 such clients, in bytes and in money. */
export function savingTable(): string {
  const load = { ...PREDECESSOR, clients: PREDECESSOR_CLIENTS };
  const rows = SENDINGS.filter(({ isConflated }) => !isConflated).map(({ name, ...sending }) => {
    const { egressBytesPerSecond, usdPerMonth } = sizeOf(load, sending);
    return [name, bytesPerSecond(egressBytesPerSecond), rounded(usdPerMonth.egress)];
  });
  return table(['sent as', 'out', 'egress, USD a month'], rows);
}

/** A load that was measured, and what the model makes of it. */
interface Check {
  readonly load: string;
  readonly clients: number;
  readonly deliveriesPerSecond: number;
  /** CPU of a delivery in µs. */
  readonly measured: number;
  /** Text of `docs/performance.md` that has it. A test looks for it. */
  readonly quote: string;
}

/** Loads that one worker's core carried without being full: a full one makes its rounds longer, which the model does not. */
export const CHECKS: readonly Check[] = [
  {
    ...{
      load: '40,000 clients, one of 10 channels each (`capacity -- ultimate`)',
      clients: 40_000,
    },
    ...{ deliveriesPerSecond: 40_000, measured: 16.5, quote: '| 16.5 µs |' },
  },
  {
    ...{ load: 'the same by PUBLISH, without `HISTORY_SIZE`', clients: 40_000 },
    ...{ deliveriesPerSecond: 40_000, measured: 18.8, quote: '18.8 µs' },
  },
  {
    ...{ load: '7,000 clients on 5 channels (`bench -- predecessor`)', clients: 7_000 },
    ...{ deliveriesPerSecond: 33_000, measured: 9.29, quote: '| edge | 30 of 30 | 9.29 |' },
  },
  {
    ...{ load: 'the same (`bench -- writes`)', clients: 7_000 },
    ...{ deliveriesPerSecond: 33_000, measured: 8.42, quote: '| 8.42 | 9.75 |' },
  },
  {
    ...{ load: 'the same (`bench -- identity`)', clients: 7_000 },
    ...{ deliveriesPerSecond: 33_000, measured: 9, quote: '| CPU µs per delivery | 8.86 | 9.0 |' },
  },
  {
    ...{ load: '5,000 clients, 20 of 2,000 channels each (`bench -- writes`)', clients: 5_000 },
    ...{ deliveriesPerSecond: 50_000, measured: 3.63, quote: '| 3.63 | 3.83 |' },
  },
  {
    ...{ load: '1,000 clients on 1 channel (`bench -- writes`)', clients: 1_000 },
    ...{ deliveriesPerSecond: 50_000, measured: 4.53, quote: '| 4.53 | 4.93 |' },
  },
  {
    ...{
      load: '1,000 clients on 1 channel, 20 publications/s (TLS section, plain)',
      clients: 1_000,
    },
    ...{ deliveriesPerSecond: 20_000, measured: 8.5, quote: '| plain, `send` | 8.4 and 8.5 µs |' },
  },
  {
    ...{ load: '1,000 clients on 1 channel, rounds of 20 ms (`bench -- pacing`)', clients: 1_000 },
    ...{ deliveriesPerSecond: 1_000_000, measured: 0.828, quote: '| 20 ms (default) | 0.828,' },
  },
];

/** Loads that filled a core. */
export const FULL: readonly (Check & { readonly roundMs: number })[] = [
  {
    ...{ load: '7,000 clients on 5 channels (`bench -- predecessor`)', clients: 7_000 },
    ...{ deliveriesPerSecond: 420_000, measured: 2.29, quote: '| edge | 15 of 15 | 2.29 |' },
    roundMs: 98.8,
  },
  {
    ...{ load: '5,000 clients, 20 of 2,000 channels each (`bench -- wide`)', clients: 5_000 },
    ...{ deliveriesPerSecond: 1_000_000, measured: 0.994, quote: '| edge | 6 of 6 | 0.994 |' },
    roundMs: 108,
  },
];

/** The model's CPU of a delivery beside the measured one. */
export function checkTable(): string {
  return table(
    ['load', 'deliveries/s', 'measured, µs a delivery', 'model', 'model / measured'],
    CHECKS.map(({ load, clients, deliveriesPerSecond, measured }) => {
      const model = modelMicros(clients, deliveriesPerSecond);
      return [
        ...[load, grouped(deliveriesPerSecond), String(measured), model.toPrecision(3)],
        (model / measured).toFixed(2),
      ];
    }),
  );
}

/** What rounds the model needs to fit such a load into the core that it took, beside the p99 that was measured. */
export function fullTable(): string {
  return table(
    ['load', 'deliveries/s', 'of the core', 'rounds of the model', 'p99 measured'],
    FULL.map(({ load, clients, deliveriesPerSecond, measured, roundMs }) => [
      ...[load, grouped(deliveriesPerSecond)],
      `${Math.round((measured * deliveriesPerSecond) / 1e4)} %`,
      `${Math.round(1_000 * roundsFor(clients, deliveriesPerSecond, measured))} ms`,
      `${roundMs} ms`,
    ]),
  );
}

/** CPU of a delivery in µs, by the model. */
export function modelMicros(clients: number, deliveriesPerSecond: number): number {
  const rate = deliveriesPerSecond / clients;
  return (cpuOfClient(rate) / rate) * 1e6;
}

/** The time between two writes to a client, in s, at which the model takes as much of the core as was measured. */
export function roundsFor(clients: number, deliveriesPerSecond: number, micros: number): number {
  const rate = deliveriesPerSecond / clients;
  let [low, high] = [0, 10];
  while (high - low > 1e-4) {
    const middle = (low + high) / 2;
    if ((cpuOfClient(rate, middle) / rate) * 1e6 > micros) low = middle;
    else high = middle;
  }
  return high;
}

/** What one of each carries. */
export function unitTable(): string {
  const { busyShare } = ASSUMED;
  const worker = (rate: number): string => {
    const clients = busyShare / cpuOfClient(rate);
    return `${rounded(clients)} clients (${rounded(clients * rate)} deliveries/s)`;
  };
  const perShard = (edges: number): string => {
    const { publishMicros, redisDeliveryMicros } = MEASURED;
    const micros = publishMicros.value + edges * redisDeliveryMicros.value;
    return `${rounded((busyShare * 1e6) / micros)} publications/s`;
  };
  return table(
    ['one', 'carries, busy for 60 %'],
    [
      ['worker, clients that get 1 a second', worker(1)],
      ['worker, clients that get 10 a second', worker(10)],
      ['worker, clients that get 50 a second', worker(50)],
      ['worker, clients that get 200 a second', worker(200)],
      ['hub', `${rounded((busyShare * 1e6) / MEASURED.intakeMicros.value)} publications/s`],
      ['shard, 2 edges subscribed', perShard(2)],
      ['shard, 20 edges subscribed', perShard(20)],
      ['shard, 200 edges subscribed', perShard(200)],
      [
        `edge (${EDGE_MACHINE.name}), memory of ${grouped(EDGE_MACHINE.connections)} clients`,
        `${gigabytes(EDGE_MACHINE.connections * MEASURED.idleClientBytes.value)} idle, ` +
          `${gigabytes(EDGE_MACHINE.connections * MEASURED.stalledClientBytes.value)} all stalled`,
      ],
      ['client that gets 50 a second', `${rounded(writesPerSecond(50))} writes a second`],
    ],
  );
}

/** The numbers that the model begins with. */
export function sourceTable(): string {
  return table(
    ['what', 'value', 'command'],
    Object.entries(MEASURED).map(([name, { value, unit, command }]) => [
      ...[`\`${name}\``, `${grouped(value)} ${unit}`, `\`${command}\``],
    ]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

function bytesPerSecond(bytes: number): string {
  return bytes >= 1e9 ? `${rounded(bytes / 1e9)} GB/s` : `${rounded(bytes / 1e6)} MB/s`;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Two significant digits: the inputs are not worth more. */
function rounded(value: number): string {
  return grouped(Number(value.toPrecision(2)));
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
