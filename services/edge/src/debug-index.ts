import type { FanOut } from './fan-out.ts';
import type { Hub } from './hub.ts';

/** Channels listed one by one; a node may hold tens of thousands. */
const LISTED_CHANNELS = 1_000;

/** Bounds of the queue depths that connections are counted by. */
const DEPTH_BOUNDS = [0, 8, 64, 256, 511, Number.POSITIVE_INFINITY];

/** What `/debug/index` shows: who listens to what, and how far behind clients are. */
export function describeIndex(hub: Hub, fanOut: FanOut): unknown {
  const busiest = [...fanOut.index.counts()].sort(([, a], [, b]) => b - a);
  return {
    connections: fanOut.connections.size,
    channels: fanOut.index.channels,
    subscriptions: fanOut.index.subscriptions,
    interest: fanOut.interest,
    redisChannels: hub.channels,
    degradedSince: hub.degradedSince ?? null,
    busiestChannels: Object.fromEntries(busiest.slice(0, LISTED_CHANNELS)),
    connectionsByQueueDepth: countByDepth(fanOut),
  };
}

function countByDepth(fanOut: FanOut): Record<string, number> {
  const counts = DEPTH_BOUNDS.map(() => 0);
  for (const { outbox } of fanOut.connections) {
    const at = DEPTH_BOUNDS.findIndex((bound) => outbox.depth <= bound);
    counts[at] = (counts[at] as number) + 1;
  }
  return Object.fromEntries(counts.map((count, i) => [`up to ${DEPTH_BOUNDS[i]}`, count]));
}
