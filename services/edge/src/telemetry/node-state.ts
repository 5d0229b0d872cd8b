import type { EdgeFigure, NodeState, ShardsState } from '@tradewind/bus';
import { RELEASE, type Readiness } from '@tradewind/runtime';
import type { Hub } from '../hub/hub.ts';
import { ONLY_LINK } from '../hub/redis-links.ts';
import type { ClientReading } from './client-reading.ts';
import type { NodeTally, RecentEvents } from './node-tally.ts';
import { readThreadCpu } from './thread-cpu.ts';

/** The sources of a node's state. */
export interface NodeStateSources {
  readonly node: string;
  /** `host:port` of the admin port. */
  readonly admin: string;
  readonly readiness: () => Readiness & { readonly draining: boolean };
  readonly degradedSince: () => number | undefined;
  readonly shards: () => Hub['shards'];
  readonly rawPublications: () => Hub['deflating']['raw'];
  readonly clients: () => ClientReading;
  readonly channels: () => number;
  readonly probeAgeMs: () => number | undefined;
  readonly connectionsLimit: number;
  readonly memoryLimitBytes: number;
  readonly tally: NodeTally;
  readonly recent: RecentEvents;
}

/** Reads the state of a node, which the console shows. */
export class NodeStateReader {
  readonly #sources: NodeStateSources;
  readonly #startedAt = Date.now();
  readonly #threadCpu = new Map<string, number>();
  #measuredAt = performance.now();
  #beat = 0;

  constructor(sources: NodeStateSources) {
    this.#sources = sources;
  }

  /** The present state. `busyPermille` covers the time since the last call. */
  read(): NodeState {
    const sources = this.#sources;
    const { ready, draining, reasons } = sources.readiness();
    const degradedSince = sources.degradedSince();
    const clients = sources.clients();
    const { tally } = sources;
    const raw = sources.rawPublications();
    const shards = shardsOf(sources.shards());
    const health = ready ? 'ready' : 'unready';
    this.#beat += 1;
    return {
      kind: 'edge',
      node: sources.node,
      release: RELEASE,
      beat: this.#beat,
      startedAt: this.#startedAt,
      health: draining ? 'draining' : health,
      reasons,
      ...(degradedSince === undefined ? {} : { degradedSince }),
      ...(shards === undefined ? {} : { shards }),
      admin: sources.admin,
      figures: {
        connections: clients.connections,
        connectionsLimit: sources.connectionsLimit,
        subscriptions: clients.subscriptions,
        channels: sources.channels(),
        queueMax: clients.queueMax,
        memoryBytes: process.memoryUsage.rss(),
        memoryLimitBytes: sources.memoryLimitBytes,
        busyPermille: this.#busyPermille(),
        probeAgeMs: Math.round(sources.probeAgeMs() ?? -1),
        received: tally.received,
        deliveries: clients.deliveries,
        sentBytes: clients.sentBytes,
        closedSlow: clients.tally.closedSlow,
        gaps: clients.tally.gaps,
        lost: tally.lost,
        repaired: tally.repaired,
        linkLosses: tally.linkLosses,
        workersLost: tally.workersLost,
        events: sources.recent.count,
        latest: clients.latest,
        skipped: clients.skipped,
        binaryConnections: clients.binaryConnections,
        savedBytes: clients.savedBytes,
        rawFirst: raw.first,
        rawUnshrinkable: raw.unshrinkable,
        rawBudget: raw.budget,
      } satisfies Record<EdgeFigure, number>,
      lag: clients.tally.lag,
    };
  }

  /** The share of the time since the last call for which the busiest thread ran, in thousandths. */
  #busyPermille(): number {
    const now = performance.now();
    const elapsedSeconds = (now - this.#measuredAt) / 1_000;
    this.#measuredAt = now;
    let most = 0;
    for (const { thread, seconds } of readThreadCpu()) {
      const before = this.#threadCpu.get(thread) ?? seconds;
      this.#threadCpu.set(thread, seconds);
      most = Math.max(most, (seconds - before) / elapsedSeconds);
    }
    return Math.round(most * 1_000);
  }
}

/**
 * The shards in a node's state; undefined if Redis is no cluster, whose only link has no name. The console joins edges that are cut
 * off from the same shards into one problem, so all edges must name them in one order.
 */
export function shardsOf({ all, away }: Hub['shards']): ShardsState | undefined {
  const isCluster = all > 1 || away.some((name) => name !== ONLY_LINK);
  return isCluster ? { all, away: away.length, names: away.toSorted() } : undefined;
}
