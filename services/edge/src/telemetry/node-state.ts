import type { EdgeFigure, NodeState } from '@tradewind/bus';
import { RELEASE, type Readiness } from '@tradewind/runtime';
import type { ClientReading } from './client-reading.ts';
import type { NodeTally, RecentEvents } from './node-tally.ts';
import { readThreadCpu } from './thread-cpu.ts';

/** What the state of a node is made of. */
export interface NodeStateSources {
  readonly node: string;
  /** `host:port` of the admin port. */
  readonly admin: string;
  readonly readiness: () => Readiness & { readonly draining: boolean };
  readonly degradedSince: () => number | undefined;
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

  /** The state of this moment. Busy is the share since the last call. */
  read(): NodeState {
    const sources = this.#sources;
    const { ready, draining, reasons } = sources.readiness();
    const degradedSince = sources.degradedSince();
    const clients = sources.clients();
    const { tally } = sources;
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
        receivedBytes: tally.receivedBytes,
        deliveries: clients.deliveries,
        sentBytes: clients.sentBytes,
        refusals: clients.refusals,
        caughtUp: clients.caughtUp,
        opened: clients.tally.opened,
        closed: clients.tally.closed,
        closedSlow: clients.tally.closedSlow,
        gaps: clients.tally.gaps,
        lost: tally.lost,
        repaired: tally.repaired,
        linkLosses: tally.linkLosses,
        workersLost: tally.workersLost,
        events: sources.recent.count,
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
