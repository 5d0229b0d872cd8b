import type { ServiceEnvironment } from '../support/services/service.ts';
import type { TrafficAllowance } from './cost-oracle.ts';
import type { Crowd } from './crowd.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** CPU time that one input may cost the edge's thread in one turn of its loop, in ms. */
export const MOST_CPU_MS = 50;

/**
 * Memory that may be held for one client, in bytes: a full queue (`EDGE_QUEUE_BYTES`), its answers and its channels.
 */
export const HELD_BYTES_EACH = 1.5 * MIB;

/**
 * Growth of the heap of any fresh edge, in bytes: code, caches and pools, 4 MiB for the publication log
 * (`EDGE_RING_BYTES`) and as much for replays. 15 MB were seen.
 */
export const WARM_UP_BYTES = 24 * MIB;

/** Clients under the default limits: each sends its burst at once, continues for a while, and leaves. */
export const CROWD: Crowd = {
  clients: 40,
  burst: 100,
  // A little less than the limit of a client, and twice that.
  paces: [45, 45, 100],
  messagesEach: 600,
  deafEvery: 4,
  appetite: 'messages',
};

/** The same with inputs that are not messages of the protocol. */
export const ROWDY_CROWD: Crowd = { ...CROWD, appetite: 'everything' };

/** Few clients that stay, and may send more than by default, which must not increase what they are sent. */
export const FEW: Crowd = {
  clients: 4,
  burst: 50,
  paces: [5, 20, 60],
  messagesEach: Number.POSITIVE_INFINITY,
  deafEvery: 0,
  appetite: 'past',
};

/** The same for channels with odd values in Redis. */
export const FEW_ODD: Crowd = { ...FEW, appetite: 'odd' };

/** The crowds of consecutive runs, and their shares of all messages: those of few clients cost much more. */
export const RUNS = [
  { crowd: CROWD, share: 0.8 },
  { crowd: ROWDY_CROWD, share: 0.17 },
  { crowd: FEW, share: 0.02 },
  { crowd: FEW_ODD, share: 0.01 },
] as const;

/**
 * Bytes that one byte of a client may make a node read from Redis, and send to it, besides what limits allow anyway.
 */
const READ_BYTES_A_BYTE = 1_000;
const SENT_BYTES_A_BYTE = 100;

/** A replay is sent whole even if it exhausts its client's budget: at most half of `EDGE_RING_BYTES`. */
const LARGEST_REPLAY_BYTES = 2 * MIB;

/** The edge's own limits for reads and replays, in bytes (`docs/limits.md`: `history_reads`, `replay`). */
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

/** Tight enough for a few clients to reach them within seconds. */
const TIGHT: PastLimits = {
  readPerSecond: 256 * KIB,
  readBurst: 512 * KIB,
  sentPerSecond: 16 * KIB,
  sentBurst: 256 * KIB,
};

/** Settings that let {@link FEW} send that many requests, and tighten the limits of their answers. */
const FEW_MAY_ASK: ServiceEnvironment = {
  EDGE_REQUEST_RATE: '100000',
  EDGE_REQUEST_BURST: '100000',
  EDGE_SUBSCRIBE_RATE: '100000',
  EDGE_HISTORY_READ_BYTES_PER_SECOND: String(TIGHT.readPerSecond),
  EDGE_REPLAY_RATE_BYTES: String(TIGHT.sentPerSecond),
  EDGE_REPLAY_BURST_BYTES: String(TIGHT.sentBurst),
};

/** The settings of an edge for a crowd, and the allowances that follow from them. */
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
