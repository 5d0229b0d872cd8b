import { INSPECTABLE } from '../../test/support/inspector.ts';
import type { SequencedTerms } from '../load/publisher-plan.ts';
import type { LoadShape, Subject } from './arena.ts';
import { type Contender, isCheckout } from './contenders.ts';

/** A contender as it comes. The edge has one worker, and that in its main thread. */
export function subjectOf(contender: Contender['name']): Subject {
  return { label: contender, contender, settings: {} };
}

/** Whether a subject is the edge of another checkout, which ours must not be slower or larger than. */
export function isOtherEdge({ contender }: Subject): boolean {
  return isCheckout(contender);
}

/** An edge with this many workers: 1 is one thread for all, more are threads beside the hub's. */
export function edgeWithWorkers(workers: number, contender: Contender['name'] = 'edge'): Subject {
  const threads = workers === 1 ? 'one thread' : `hub + ${workers} workers`;
  const label = contender === 'edge' ? threads : `${threads}, ${contender}`;
  return { label, contender, settings: { EDGE_WORKERS: String(workers) } };
}

/** Everybody on one channel. That makes millions of deliveries a second, and tens of thousands of latencies suffice. */
export const CROWD: LoadShape = {
  clients: 1_000,
  channels: 1,
  mode: 'all',
  channelsPerClient: 1,
  payloadBytes: 500,
  sampleEvery: 100,
  stalled: 0,
};

/** What the predecessor carried: everybody on all of five channels. */
export const PREDECESSOR: LoadShape = {
  ...CROWD,
  clients: 7_000,
  channels: 5,
  sampleEvery: 20,
};

/** Each client on a choice of its own. */
export const WIDE: LoadShape = {
  ...CROWD,
  clients: 5_000,
  channels: 2_000,
  mode: 'random',
  channelsPerClient: 20,
  sampleEvery: 20,
};

/** A crowd that comes within 5 s, to channels on which little happens. */
export const GATHERED: LoadShape = {
  ...CROWD,
  clients: 14_000,
  channels: 5,
  sampleEvery: 5,
  rampPerSecond: 2_800,
};

/** An edge that says how long its turns are, and one whose clients are never pinged while that is measured. */
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

/** Connected and subscribed, and nothing comes. */
export const IDLE: LoadShape = { ...CROWD, clients: 15_000 };

/**
 * A fifth of the clients stall. A write costs the same whatever its size, so large payloads bring
 * the bytes that a stalled client has to be sent in a time in which the server is not busy; a frame
 * of this size fits into the smallest write that an edge cuts what waits into, of 16 KiB.
 */
export const PARTLY_STALLED: LoadShape = {
  ...CROWD,
  clients: 5_000,
  payloadBytes: 15_000,
  sampleEvery: 20,
  stalled: 0.2,
};

/** Each client on one of some channels, so that a publication, with what it costs, reaches few. */
export const SPREAD: LoadShape = {
  ...CROWD,
  channels: 20,
  mode: 'random',
  channelsPerClient: 1,
  sampleEvery: 20,
};

/** Publications per second that go with the spread. */
export const SPREAD_PUBLICATIONS = 1_000;

/** What ingest gives each publication by default. */
export const USUAL_HISTORY: SequencedTerms = { historySize: 1_000, historyTtlMs: 600_000 };

/** Publications per second on all channels of the gathered crowd together. */
export const GATHERED_PUBLICATIONS = 5;

/** Deliveries per second that go with the others. */
export const CROWD_RATE = 1_000_000;
export const PREDECESSOR_RATE = 33_000;
export const PREDECESSOR_BURST_RATE = 420_000;
export const WIDE_RATE = 1_000_000;
