import type { FanOut } from '../clients/fan-out.ts';

/** The most channels that are listed by name. A node may hold tens of thousands. */
const LISTED_CHANNELS = 1_000;

/** Upper bounds of the queue depths by which connections are counted. */
const DEPTH_BOUNDS = [0, 8, 64, 256, 511, Number.POSITIVE_INFINITY];

/** What clients subscribe to on one worker, or on several together, and how far behind they are. */
export interface FanOutDescription {
  readonly connections: number;
  readonly subscriptions: number;
  /** The channels with the most subscribers, at most 1,000, and the number of subscribers of each. */
  readonly busiestChannels: Readonly<Record<string, number>>;
  /** Connections by the number of publications that wait for them. */
  readonly connectionsByQueueDepth: Readonly<Record<string, number>>;
  /**
   * Bytes of memory for the entries of queues, which only refer to the publications that wait, and for publications
   * that are kept for clients that are behind or resume.
   */
  readonly queueEntryBytes: number;
  readonly logBytes: number;
}

/** Describes one worker. */
export function describeFanOut(fanOut: FanOut): FanOutDescription {
  const busiest = [...fanOut.index.counts()].sort(([, a], [, b]) => b - a);
  return {
    connections: fanOut.connections.size,
    subscriptions: fanOut.index.subscriptions,
    busiestChannels: Object.fromEntries(busiest.slice(0, LISTED_CHANNELS)),
    connectionsByQueueDepth: countByDepth(fanOut),
    queueEntryBytes: fanOut.queueEntryBytes,
    logBytes: fanOut.logBytes,
  };
}

/** Adds up the descriptions of several workers. */
export function addDescriptions(descriptions: readonly FanOutDescription[]): FanOutDescription {
  const sum = (measure: (each: FanOutDescription) => number): number =>
    descriptions.reduce((total, each) => total + measure(each), 0);
  return {
    connections: sum((each) => each.connections),
    subscriptions: sum((each) => each.subscriptions),
    busiestChannels: addCounts(descriptions.map((each) => each.busiestChannels)),
    connectionsByQueueDepth: addCounts(descriptions.map((each) => each.connectionsByQueueDepth)),
    queueEntryBytes: sum((each) => each.queueEntryBytes),
    logBytes: sum((each) => each.logBytes),
  };
}

function addCounts(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const counts of all) {
    for (const [name, count] of Object.entries(counts))
      sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return Object.fromEntries(sums);
}

function countByDepth(fanOut: FanOut): Record<string, number> {
  const counts = DEPTH_BOUNDS.map(() => 0);
  for (const { outbox } of fanOut.connections) {
    const at = DEPTH_BOUNDS.findIndex((bound) => outbox.depth <= bound);
    counts[at] = (counts[at] as number) + 1;
  }
  const labels = DEPTH_BOUNDS.map((bound) => (Number.isFinite(bound) ? `up to ${bound}` : 'more'));
  return Object.fromEntries(counts.map((count, i) => [labels[i] as string, count]));
}
