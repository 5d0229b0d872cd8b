import type { IngestFigure, NodeState } from '@tradewind/bus';
import { RELEASE, type Readiness } from '@tradewind/runtime';

/** What the state of the service is made of. */
export interface NodeStateSources {
  readonly node: string;
  readonly startedAt: number;
  /** `host:port` of the admin port. */
  readonly admin: string;
  readonly readiness: () => Readiness;
  readonly isLeaving: () => boolean;
  /** Since when Redis is unavailable, in ms of the wall clock. */
  readonly degradedSince: () => number | undefined;
  readonly counts: { readonly accepted: number; readonly refused: number };
  readonly queued: () => number;
}

/** Returns a function that reads the state of the service, which the console shows. */
export function createStateReader(sources: NodeStateSources): () => NodeState {
  let beat = 0;
  return () => {
    const { ready, reasons } = sources.readiness();
    const degradedSince = sources.degradedSince();
    const health = ready ? 'ready' : 'unready';
    beat += 1;
    return {
      kind: 'ingest',
      node: sources.node,
      release: RELEASE,
      beat,
      startedAt: sources.startedAt,
      health: sources.isLeaving() ? 'draining' : health,
      reasons,
      ...(degradedSince === undefined ? {} : { degradedSince }),
      admin: sources.admin,
      figures: {
        accepted: sources.counts.accepted,
        refused: sources.counts.refused,
        queued: sources.queued(),
        memoryBytes: process.memoryUsage.rss(),
      } satisfies Record<IngestFigure, number>,
      lag: [],
    };
  };
}
