import type { LoadShape, Subject } from './arena.ts';
import type { ContenderName } from './contenders.ts';

/** A contender as it comes. The edge has one worker, and that in its main thread. */
export function subjectOf(contender: ContenderName): Subject {
  return { label: contender, contender, settings: {} };
}

/** An edge with this many workers: 1 is one thread for all, more are threads beside the hub's. */
export function edgeWithWorkers(workers: number): Subject {
  const label = workers === 1 ? 'one thread' : `hub + ${workers} workers`;
  return { label, contender: 'edge', settings: { EDGE_WORKERS: String(workers) } };
}

/** An edge that under load waits for so long, in ms, between two flushes. */
export function edgeWithPacing(flushMs: number): Subject {
  return {
    label: `${flushMs} ms`,
    contender: 'edge',
    settings: { EDGE_FLUSH_MS: String(flushMs) },
  };
}

/** Everybody on one channel. */
export const CROWD: LoadShape = {
  clients: 1_000,
  channels: 1,
  mode: 'all',
  channelsPerClient: 1,
  payloadBytes: 500,
  stalled: 0,
};

/** What the predecessor carried: everybody on all of five channels. */
export const PREDECESSOR: LoadShape = { ...CROWD, clients: 7_000, channels: 5 };

/** Each client on a choice of its own. */
export const WIDE: LoadShape = {
  ...CROWD,
  clients: 5_000,
  channels: 2_000,
  mode: 'random',
  channelsPerClient: 20,
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
  stalled: 0.2,
};

/** Deliveries per second that go with these. */
export const CROWD_RATE = 1_000_000;
export const PREDECESSOR_RATE = 33_000;
export const PREDECESSOR_BURST_RATE = 420_000;
export const WIDE_RATE = 1_000_000;
