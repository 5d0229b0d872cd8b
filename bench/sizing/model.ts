import { ASSUMED, EDGE_MACHINE, MEASURED, SHARD_MACHINE } from './measured.ts';

/** What clients want, and what is published. */
export interface Load {
  readonly clients: number;
  /** Of each client, of all channels at random. */
  readonly channelsPerClient: number;
  readonly channels: number;
  /** Publications per second on each channel. */
  readonly ratePerChannel: number;
  /** Default: {@link ASSUMED.payloadBytes}. */
  readonly payloadBytes?: number;
}

/** How it is sent. */
export interface Sending {
  readonly wire: 'v1' | 'v2';
  /** Only the latest of each channel, at most every 250 ms. */
  readonly isConflated: boolean;
}

/** What a load needs, with nothing to spare. */
export interface Size {
  readonly edges: number;
  /** What the number of edges comes from. */
  readonly edgesBy: 'connections' | 'workers' | 'hub' | 'network';
  readonly shards: number;
  /** Publications per second that each hub takes in. */
  readonly hubRate: number;
  readonly deliveriesPerSecond: number;
  readonly egressBytesPerSecond: number;
  readonly usdPerMonth: { readonly egress: number; readonly machines: number };
}

const GIB = 1_024 ** 3;

/** What a write and a publication in it cost a worker, in µs, of clients that get 48 writes a second: of the two paced runs. */
const HOT = solvePaced();

/**
 * CPU of a worker for one client, as a share of its core.
 *
 * @param rate deliveries to the client per second.
 * @param flushSeconds the shortest time between two writes to it. A worker that is full stretches it.
 */
export function cpuOfClient(rate: number, flushSeconds: number = ASSUMED.flushSeconds): number {
  const writes = writesPerSecond(rate, flushSeconds);
  return (writes * writeMicros(writes) + rate * HOT.publicationMicros) / 1e6;
}

/** Writes per second to a client: what comes while the round before is still on leaves in one. */
export function writesPerSecond(rate: number, flushSeconds: number = ASSUMED.flushSeconds): number {
  return rate / (1 + rate * flushSeconds);
}

/** What one write costs, in µs: less for clients that get many, whose sockets are still in the caches. */
export function writeMicros(writes: number): number {
  const known = [
    [1, MEASURED.coldWriteMicros.value],
    [4.3, MEASURED.warmWriteMicros.value],
    [48, HOT.writeMicros],
  ] as const;
  const [first, , last] = known;
  if (writes <= first[0]) return first[1];
  if (writes >= last[0]) return last[1];
  const next = known.findIndex(([at]) => at >= writes);
  const [[from, less], [to, more]] = [known[next - 1]!, known[next]!];
  const share = Math.log(writes / from) / Math.log(to / from);
  return less + share * (more - less);
}

/** Deliveries per second to a client. */
export function rateOfClient(load: Load, { isConflated }: Sending): number {
  const most = isConflated ? 1 / ASSUMED.conflationSeconds : Number.POSITIVE_INFINITY;
  return load.channelsPerClient * Math.min(load.ratePerChannel, most);
}

/** Share of the channels that at least one of a node's clients has. */
export function coverage({ channels, channelsPerClient }: Load, clients: number): number {
  return 1 - (1 - Math.min(1, channelsPerClient / channels)) ** clients;
}

/** Bytes per second towards one client, headers included. */
export function bytesOfClient(load: Load, sending: Sending): number {
  const rate = rateOfClient(load, sending);
  const v1 = (load.payloadBytes ?? ASSUMED.payloadBytes) + ASSUMED.envelopeBytes;
  const frame = sending.wire === 'v2' ? v1 * ASSUMED.v2Share : v1;
  return rate * frame + writesPerSecond(rate) * ASSUMED.writeBytes;
}

/** What a load needs. */
export function sizeOf(load: Load, sending: Sending): Size {
  const { busyShare } = ASSUMED;
  const rate = rateOfClient(load, sending);
  const published = load.channels * load.ratePerChannel;
  const bytes = load.clients * bytesOfClient(load, sending);
  const needs = {
    connections: load.clients / EDGE_MACHINE.connections,
    workers: (load.clients * cpuOfClient(rate)) / (EDGE_MACHINE.workers * busyShare),
    network: bytes / (EDGE_MACHINE.networkBytesPerSecond * busyShare),
  };
  const [edgesBy, least] = Object.entries(needs).reduce((a, b) => (b[1] > a[1] ? b : a));
  const edges = Math.max(1, Math.ceil(least));
  const hubRate = published * coverage(load, load.clients / edges);
  const isHubFull = (hubRate * MEASURED.intakeMicros.value) / 1e6 > busyShare;
  const redisMicros =
    published * MEASURED.publishMicros.value + hubRate * edges * MEASURED.redisDeliveryMicros.value;
  const shards = Math.max(1, Math.ceil(redisMicros / 1e6 / busyShare));
  const gibPerMonth = (bytes * ASSUMED.hoursPerMonth * 3_600) / GIB;
  return {
    edges,
    edgesBy: isHubFull ? 'hub' : (edgesBy as Size['edgesBy']),
    shards,
    hubRate,
    deliveriesPerSecond: load.clients * rate,
    egressBytesPerSecond: bytes,
    usdPerMonth: {
      egress: gibPerMonth * (ASSUMED.egressPerGib + ASSUMED.balancerPerGib),
      machines:
        ASSUMED.hoursPerMonth *
        (edges * EDGE_MACHINE.usdPerHour + shards * SHARD_MACHINE.nodes * SHARD_MACHINE.usdPerHour),
    },
  };
}

/** 1,000 deliveries a second to each of 1,000 clients, in rounds of 20 and of 50 ms: two equations of two unknowns. */
function solvePaced(): { readonly writeMicros: number; readonly publicationMicros: number } {
  const [clients, rate] = [1_000, 1_000];
  const writes = [0.02, 0.05].map((seconds) => clients * writesPerSecond(rate, seconds));
  const totals = [MEASURED.pacedMicros, MEASURED.slowlyPacedMicros].map(
    ({ value }) => value * clients * rate,
  );
  const writeMicros = (totals[0]! - totals[1]!) / (writes[0]! - writes[1]!);
  const publicationMicros = (totals[0]! - writes[0]! * writeMicros) / (clients * rate);
  return { writeMicros, publicationMicros };
}
