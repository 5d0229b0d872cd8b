/** A number that the model uses, and where it comes from. */
export interface Measured {
  readonly value: number;
  readonly unit: string;
  readonly source: string;
  readonly command: string;
  /** Text of the source that has it. A test looks for it. */
  readonly quote: string;
}

/** What was measured; `docs/performance.md` has each with its machine and its commit. */
export const MEASURED = {
  /** One write to a client that gets 1 a second, beside 13,000 others of its process: everything is cold. */
  coldWriteMicros: {
    ...{ value: 16.5, unit: 'µs of a worker', source: 'docs/performance.md' },
    ...{ command: 'npm run capacity -- ultimate', quote: '| 16.5 µs |' },
  },
  /** One write to a client that gets 4.7 a second, of 7,000 on five channels. */
  warmWriteMicros: {
    ...{ value: 9.29, unit: 'µs of a worker', source: 'docs/performance.md' },
    ...{ command: 'npm run bench -- predecessor', quote: '| edge | 30 of 30 | 9.29 |' },
  },
  /** CPU of a delivery, 1,000 clients on one channel at 1,000,000/s, with rounds of at least 20 and 50 ms: by both, what a write costs and what a publication in it costs. */
  pacedMicros: {
    ...{ value: 0.828, unit: 'µs of a worker', source: 'docs/performance.md' },
    ...{ command: 'npm run bench -- pacing (up to 7e4a299)', quote: '| 20 ms (default) | 0.828,' },
  },
  slowlyPacedMicros: {
    ...{ value: 0.605, unit: 'µs of a worker', source: 'docs/performance.md' },
    ...{ command: 'npm run bench -- pacing (up to 7e4a299)', quote: '| 50 ms | 0.605,' },
  },
  /** What a node spends to take in one publication, before it sends it to any client. */
  intakeMicros: {
    ...{ value: 11, unit: 'µs of the hub', source: 'docs/performance.md' },
    command: 'npm run bench -- wide',
    quote: 'fewer steps to take a publication in (11 µs)',
  },
  idleClientBytes: {
    ...{ value: 6_220, unit: 'bytes', source: 'docs/performance.md' },
    ...{ command: 'npm run bench -- memory', quote: '| 6.22 KB |' },
  },
  stalledClientBytes: {
    ...{ value: 63_000, unit: 'bytes', source: 'docs/performance.md' },
    ...{ command: 'npm run bench -- memory', quote: '| PSS, KB | 63 |' },
  },
  /** What a publication costs Redis that comes alone: by the script, with a history of 1,000, an idempotency key and 150 bytes. */
  publishMicros: {
    ...{ value: 39.6, unit: 'µs of Redis', source: 'docs/performance.md' },
    ...{ command: 'npm run sizing -- redis', quote: '| 1 | 39.6 | 4.59 |' },
  },
  /** What each subscribed edge costs Redis for it: a write of its own. */
  redisDeliveryMicros: {
    ...{ value: 4.59, unit: 'µs of Redis', source: 'docs/performance.md' },
    ...{ command: 'npm run sizing -- redis', quote: '| 1 | 39.6 | 4.59 |' },
  },
} as const satisfies Readonly<Record<string, Measured>>;

/** Not measured: what the tables assume. */
export const ASSUMED = {
  /** Above this share of a core an alert fires, for workers, hubs and Redis alike. */
  busyShare: 0.6,
  /** `EDGE_FLUSH_MS`: a client gets at most one write in this time, in s. */
  flushSeconds: 0.02,
  /** A payload, in bytes: a trade. */
  payloadBytes: 150,
  /** What v1 puts around a payload: `seq`, `channel`, `offset`, `ts`. */
  envelopeBytes: 75,
  /** What a write costs beside its frames: WebSocket header, TLS record, TCP and IP headers. */
  writeBytes: 85,
  /** What v2 sends of v1's payload and envelope. */
  v2Share: 0.27,
  /** `latest: {everyMs}`: a client gets at most one of a channel in this time, in s. */
  conflationSeconds: 0.25,
  hoursPerMonth: 730,
  /** List prices in USD of us-central1, without discounts, as gcp documents of 2025 and 2026 had them. Look them up. */
  egressPerGib: 0.08,
  balancerPerGib: 0.008,
} as const;

/** The edge of the tables. */
export const EDGE_MACHINE = {
  name: 'e2-standard-4',
  workers: 3,
  connections: 40_000,
  networkBytesPerSecond: 1e9,
  usdPerHour: 0.134,
} as const;

/** A shard of the tables: a master and a replica, two VMs. */
export const SHARD_MACHINE = {
  name: 'e2-standard-2',
  nodes: 2,
  usdPerHour: 0.067,
} as const;
