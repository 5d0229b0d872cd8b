import type { ServiceEnvironment } from '../support/service.ts';
import type { TrafficAllowance } from './cost-oracle.ts';
import type { Crowd } from './edge-fuzz.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** CPU time of the edge's thread that whatever one input sets off may take in one turn of its loop, in ms. */
export const MOST_CPU_MS = 50;

/** What a node may read from Redis: bytes for each byte that it was sent, and the rest by its limits. */
export const READ_ALLOWANCE: TrafficAllowance = {
  bytesPerByte: 1_000,
  burstBytes: 64 * MIB,
  bytesPerSecond: 16 * MIB,
};

/** What one client may be sent: bytes for each byte that it sent, and the rest by its limits. */
export const SENT_ALLOWANCE: TrafficAllowance = {
  bytesPerByte: 100,
  burstBytes: 8 * MIB,
  bytesPerSecond: 1 * MIB,
};

/** Memory that may be held for one client: a full queue (`EDGE_QUEUE_BYTES`), its answers and its channels, in bytes. */
export const HELD_BYTES_EACH = 1.5 * MIB;

/**
 * What the heap of an edge that has just started grows by in any case, in bytes: code, caches and pools, 4 MiB
 * for the ring (`EDGE_RING_BYTES`) and as much for replays. 15 MB were seen.
 */
export const WARM_UP_BYTES = 24 * MIB;

/** Clients as they are let in by default: each sends what it may at once, goes on for a while, and leaves. */
export const CROWD: Crowd = {
  clients: 40,
  burst: 100,
  // A little less than each may send, and twice that.
  paces: [45, 45, 100],
  messagesEach: 600,
  appetite: 'messages',
};

/** The same with what is no message of the protocol, too. */
export const ROWDY_CROWD: Crowd = { ...CROWD, appetite: 'everything' };

/** Few that stay, and may send more than by default: what they are sent must not depend on that. */
export const FEW: Crowd = {
  clients: 4,
  burst: 50,
  paces: [5, 20, 60],
  messagesEach: Number.POSITIVE_INFINITY,
  appetite: 'past',
};

/** Who sends, in one run after the other, and which share of all messages: those of few cost much more. */
export const RUNS = [
  { crowd: CROWD, share: 0.8 },
  { crowd: ROWDY_CROWD, share: 0.17 },
  { crowd: FEW, share: 0.03 },
] as const;

/** What an edge has to be told to let {@link FEW} ask so often. */
const FEW_MAY_ASK: ServiceEnvironment = {
  EDGE_REQUEST_RATE: '100000',
  EDGE_REQUEST_BURST: '100000',
  EDGE_SUBSCRIBE_RATE: '100000',
};

/** The settings under which a crowd is let loose on an edge. */
export function settingsFor(crowd: Crowd): ServiceEnvironment {
  return crowd === FEW ? FEW_MAY_ASK : {};
}
