import type { ServiceEnvironment } from '../support/service.ts';
import type { TrafficAllowance } from './cost-oracle.ts';
import type { Crowd } from './edge-fuzz.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** CPU time of the edge's thread that whatever one input sets off may take in one turn of its loop, in ms. */
export const MOST_CPU_MS = 50;

/** Memory that may be held for one client: a full queue (`EDGE_QUEUE_BYTES`), its answers and its channels, in bytes. */
export const HELD_BYTES_EACH = 1.5 * MIB;

/**
 * What the heap of an edge that has just started grows by in any case, in bytes: code, caches and pools, 4 MiB
 * for the publication log (`EDGE_RING_BYTES`) and as much for replays. 15 MB were seen.
 */
export const WARM_UP_BYTES = 24 * MIB;

/** Clients as they are let in by default: each sends what it may at once, goes on for a while, and leaves. */
export const CROWD: Crowd = {
  clients: 40,
  burst: 100,
  // A little less than each may send, and twice that.
  paces: [45, 45, 100],
  messagesEach: 600,
  deafEvery: 4,
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
  deafEvery: 0,
  appetite: 'past',
};

/** The same for what is odd in Redis. */
export const FEW_ODD: Crowd = { ...FEW, appetite: 'odd' };

/** Who sends, in one run after the other, and which share of all messages: those of few cost much more. */
export const RUNS = [
  { crowd: CROWD, share: 0.8 },
  { crowd: ROWDY_CROWD, share: 0.17 },
  { crowd: FEW, share: 0.02 },
  { crowd: FEW_ODD, share: 0.01 },
] as const;

/** What one byte of a client may make a node read from Redis, and send to it, beyond what limits allow anyway. */
const READ_BYTES_A_BYTE = 1_000;
const SENT_BYTES_A_BYTE = 100;

/** A replay is sent whole even if that uses its client's budget up: half of `EDGE_RING_BYTES` at most. */
const LARGEST_REPLAY_BYTES = 2 * MIB;

/** The edge's own limits of what is read and sent, in bytes (`docs/limits.md`: `history_reads`, `replay`). */
interface PastLimits {
  readonly readPerSecond: number;
  readonly readBurst: number;
  readonly sentPerSecond: number;
  readonly sentBurst: number;
}

const DEFAULTS: PastLimits = {
  readPerSecond: 32 * MIB,
  readBurst: 64 * MIB,
  sentPerSecond: 64 * KIB,
  sentBurst: 32 * MIB,
};

/** So tight that a few clients come up against it within seconds. */
const TIGHT: PastLimits = {
  readPerSecond: 256 * KIB,
  readBurst: 512 * KIB,
  sentPerSecond: 16 * KIB,
  sentBurst: 256 * KIB,
};

/** What an edge has to be told to let {@link FEW} ask so often, and to tighten what they are answered. */
const FEW_MAY_ASK: ServiceEnvironment = {
  EDGE_REQUEST_RATE: '100000',
  EDGE_REQUEST_BURST: '100000',
  EDGE_SUBSCRIBE_RATE: '100000',
  EDGE_HISTORY_READ_BYTES_PER_SECOND: String(TIGHT.readPerSecond),
  EDGE_REPLAY_RATE_BYTES: String(TIGHT.sentPerSecond),
  EDGE_REPLAY_BURST_BYTES: String(TIGHT.sentBurst),
};

/** The settings under which a crowd is let loose on an edge, and what follows from them. */
export function conditionsFor(crowd: Crowd): {
  readonly env: ServiceEnvironment;
  readonly redis: TrafficAllowance;
  readonly sent: TrafficAllowance;
} {
  const isFew = crowd === FEW || crowd === FEW_ODD;
  const limits = isFew ? TIGHT : DEFAULTS;
  return {
    env: isFew ? FEW_MAY_ASK : {},
    redis: {
      burstBytes: limits.readBurst + LARGEST_REPLAY_BYTES,
      bytesPerSecond: limits.readPerSecond,
      bytesPerByte: READ_BYTES_A_BYTE,
    },
    sent: {
      burstBytes: limits.sentBurst + LARGEST_REPLAY_BYTES,
      bytesPerSecond: limits.sentPerSecond,
      bytesPerByte: SENT_BYTES_A_BYTE,
    },
  };
}
