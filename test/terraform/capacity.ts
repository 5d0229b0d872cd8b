/** Measured; docs/performance.md has each with its command and its machine. */
export const MEASURED = {
  /** Memory of an edge without clients, and of an idle client more, in bytes (PSS). */
  startBytes: 60_700_000,
  idleClientBytes: 6_220,
  /** The same of a client that has stopped reading while its queue is full. */
  stalledClientBytes: 63_000,
  /**
   * CPU of a delivery in µs. Alone: 40,000 clients, one publication a second each, so that each
   * delivery is a write of its own. Mixed: 7,000 clients on 5 channels, 420,000/s. Together: 1,000
   * clients on one channel, as fast as it goes.
   */
  alone: 16.5,
  mixed: 2.29,
  together: 0.164,
} as const;

/** Not measured: what the tables assume. */
export const ASSUMED = {
  /** Above this share of a worker's core an alert fires. */
  busyShare: 0.6,
  /** A trade of 150 bytes with envelope, frame, TLS record, TCP and IP headers of its own. */
  bytesPerDelivery: 300,
  /** The same as a binary frame, which has 27 % of payload and envelope (225 bytes): docs/sizing.md. */
  binaryBytesPerDelivery: 136,
  /** List prices in USD, us-central1, without discounts; look them up before relying on them. */
  egressPerGib: 0.08,
  balancerPerGib: 0.008,
  hoursPerMonth: 730,
} as const;

export interface MachineType {
  readonly name: string;
  readonly cores: number;
  readonly memoryGb: number;
  /** What its network takes at most, outgoing, in Gbit/s: of Google's documents, not measured. */
  readonly networkGbit: number;
  /** What `max_connections` is best set to. */
  readonly connections: number;
  readonly usdPerHour: number;
}

export const MACHINE_TYPES: readonly MachineType[] = [
  {
    name: 'e2-standard-2',
    cores: 2,
    memoryGb: 8,
    networkGbit: 4,
    connections: 20_000,
    usdPerHour: 0.067,
  },
  {
    name: 'e2-standard-4',
    cores: 4,
    memoryGb: 16,
    networkGbit: 8,
    connections: 40_000,
    usdPerHour: 0.134,
  },
  {
    name: 'e2-standard-8',
    cores: 8,
    memoryGb: 32,
    networkGbit: 16,
    connections: 80_000,
    usdPerHour: 0.268,
  },
];

const GIB = 1_024 ** 3;

/** What one edge holds and carries. */
export function capacityTable(): string {
  return table(
    [
      'machine',
      'workers',
      'connections',
      'memory, all idle',
      'memory, all stalled',
      'deliveries/s, each alone',
      'mixed',
      'together',
      'network allows',
    ],
    MACHINE_TYPES.map(({ name, cores, memoryGb, networkGbit, connections }) => {
      const bytes = (each: number) => MEASURED.startBytes + connections * each;
      const share = (each: number) => `${gigabytes(bytes(each))} of ${memoryGb} GB`;
      const rate = (micros: number) => rounded(((cores - 1) * ASSUMED.busyShare * 1e6) / micros);
      return [
        name,
        String(cores - 1),
        grouped(connections),
        share(MEASURED.idleClientBytes),
        share(MEASURED.stalledClientBytes),
        rate(MEASURED.alone),
        rate(MEASURED.mixed),
        rate(MEASURED.together),
        rounded((networkGbit * 1e9) / 8 / ASSUMED.bytesPerDelivery),
      ];
    }),
  );
}

/** What one edge costs a month when it is full and each client gets one delivery a second. */
export function costTable(): string {
  return table(
    [
      'machine',
      'deliveries/s',
      'out',
      'a month',
      'VM, USD',
      'balancer, USD',
      'egress, USD',
      'share of egress',
      'balancer and egress with v2, USD',
    ],
    MACHINE_TYPES.map(({ name, connections, usdPerHour }) => {
      const bytesPerSecond = connections * ASSUMED.bytesPerDelivery;
      const bytesPerMonth = bytesPerSecond * ASSUMED.hoursPerMonth * 3_600;
      const vm = usdPerHour * ASSUMED.hoursPerMonth;
      const balancer = (bytesPerMonth / GIB) * ASSUMED.balancerPerGib;
      const egress = (bytesPerMonth / GIB) * ASSUMED.egressPerGib;
      return [
        name,
        grouped(connections),
        `${rounded(bytesPerSecond / 1e6)} MB/s`,
        `${rounded(bytesPerMonth / 1e12)} TB`,
        rounded(vm),
        rounded(balancer),
        rounded(egress),
        `${Math.round((100 * egress) / (vm + balancer + egress))} %`,
        rounded((balancer + egress) * (ASSUMED.binaryBytesPerDelivery / ASSUMED.bytesPerDelivery)),
      ];
    }),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}

/** Two significant digits: the inputs are not worth more. */
function rounded(value: number): string {
  return grouped(Number(value.toPrecision(2)));
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
