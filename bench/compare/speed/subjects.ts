import { INSPECTABLE } from '../../../test/support/services/inspector.ts';
import type { SequencedTerms } from '../../load/publishing/publisher-plan.ts';
import type { LoadShape, Subject } from '../arena/arena.ts';
import { type Contender, isCheckout } from '../arena/contenders.ts';
import type { StormPlan } from './storm.ts';

/** A contender with its defaults. The edge has one worker, in its main thread. */
export function subjectOf(contender: Contender['name']): Subject {
  return { label: contender, contender, settings: {} };
}

/** Whether a subject is the edge of another checkout. Ours must not be slower or larger than it. */
export function isOtherEdge({ contender }: Subject): boolean {
  return isCheckout(contender);
}

/** An edge with this many workers: with 1, one thread does everything; with more, they are threads beside the hub's. */
export function edgeWithWorkers(workers: number, contender: Contender['name'] = 'edge'): Subject {
  const threads = workers === 1 ? 'one thread' : `hub + ${workers} workers`;
  const label = contender === 'edge' ? threads : `${threads}, ${contender}`;
  return { label, contender, settings: { EDGE_WORKERS: String(workers) } };
}

/** An edge that writes only through the streams of its sockets. */
export const EDGE_THROUGH_STREAMS: Subject = {
  label: 'through streams',
  contender: 'edge',
  settings: { EDGE_WRITES: 'stream' },
};

/** All clients on one channel: millions of deliveries a second. Tens of thousands of their latencies suffice. */
export const CROWD: LoadShape = {
  clients: 1_000,
  channels: 1,
  mode: 'all',
  channelsPerClient: 1,
  payloadBytes: 500,
  sampleEvery: 100,
  stalled: 0,
};

/** The load that the predecessor carried: all clients on all of five channels. */
export const PREDECESSOR: LoadShape = {
  ...CROWD,
  clients: 7_000,
  channels: 5,
  sampleEvery: 20,
};

/** Each client on its own choice of channels. */
export const WIDE: LoadShape = {
  ...CROWD,
  clients: 5_000,
  channels: 2_000,
  mode: 'random',
  channelsPerClient: 20,
  sampleEvery: 20,
};

/** A crowd that connects within 5 s, to channels with few publications. */
export const GATHERED: LoadShape = {
  ...CROWD,
  clients: 14_000,
  channels: 5,
  sampleEvery: 5,
  rampPerSecond: 2_800,
};

/**
 * An edge that reports how long its turns are, and one that does so and never pings its clients during the measurement.
 */
export const EDGE_WITH_PINGS: Subject = {
  label: 'with pings',
  contender: 'edge',
  settings: INSPECTABLE,
};
export const EDGE_WITHOUT_PINGS: Subject = {
  label: 'without',
  contender: 'edge',
  settings: { ...INSPECTABLE, EDGE_PING_SECONDS: '3600' },
};

/** Clients that connect at once, beside others that must notice as little as possible. */
export const STORM: Omit<StormPlan, 'seconds'> = {
  clients: 10_000,
  present: { ...CROWD, clients: 500, sampleEvery: 1, rampPerSecond: 500 },
  publicationsPerSecond: 20,
};

/** As many clients want the latest of the crowd's channel as there are in the crowd. */
export const LATEST = {
  subject: subjectOf('edge'),
  everyMs: 250,
  publicationsPerSecond: 500,
} as const;

/**
 * Many channels with few clients each: a hub encodes for them as often as for a crowd. Few clients with many channels each, because
 * writing to more clients would take the hub's core.
 */
export const MANY_CHANNELS: LoadShape = {
  ...CROWD,
  clients: 16,
  channels: 2_000,
  mode: 'random',
  channelsPerClient: 500,
  sampleEvery: 20,
};

/** Publications per second of that load. */
export const ENCODED_PUBLICATIONS = 20_000;

/** Connected and subscribed, without publications. */
export const IDLE: LoadShape = { ...CROWD, clients: 15_000 };

/**
 * A fifth of the clients stall. A write costs the same for every size, so large payloads send a stalled client its
 * bytes while the server is not busy. A frame of this size fits into the smallest write of an edge, which is 16 KiB.
 */
export const PARTLY_STALLED: LoadShape = {
  ...CROWD,
  clients: 5_000,
  payloadBytes: 15_000,
  sampleEvery: 20,
  stalled: 0.2,
};

/** Each client on one of several channels, so that a publication and its cost reach few clients. */
export const SPREAD: LoadShape = {
  ...CROWD,
  channels: 20,
  mode: 'random',
  channelsPerClient: 1,
  sampleEvery: 20,
};

/** Publications per second of the spread load. */
export const SPREAD_PUBLICATIONS = 1_000;

/** Ingest's defaults. */
export const USUAL_HISTORY: SequencedTerms = { historySize: 1_000, historyTtlMs: 600_000 };

/** Publications per second on all channels of the gathered crowd together. */
export const GATHERED_PUBLICATIONS = 5;

/** Deliveries per second of the other loads. */
export const CROWD_RATE = 1_000_000;
export const PREDECESSOR_RATE = 33_000;
export const PREDECESSOR_BURST_RATE = 420_000;
export const WIDE_RATE = 1_000_000;

/**
 * A rate that leaves the server's core half idle, in deliveries per second. A full core gathers more into each write instead of
 * taking more CPU, which hides what a write costs.
 */
export const CALM_RATE = 50_000;
