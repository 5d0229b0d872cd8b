import type { ShardsState } from '@tradewind/bus';
import { counted } from './counted.ts';
import { lagQuantile, type NodeRecord } from './node-record.ts';
import {
  BUSY_SHARE,
  FULL_SHARE,
  GAPS_PER_SECOND,
  LAG_SECONDS,
  LINK_LOSSES,
  MEMORY_SHARE,
  PROBE_AGE_SECONDS,
  passed,
  type Severity,
  SLOW_SHARE,
  type Threshold,
  WORKERS_LOST,
} from './thresholds.ts';

/**
 * A node whose state has not changed for this time, in ms, is silent. It writes one a second, which may be 1.2 s late: more is not
 * within the three seconds in which a killed node must be shown. States are read every 100 ms, so the 23rd reading in vain tells,
 * which is at most 2.4 s after the node wrote last.
 */
export const SILENT_AFTER_MS = 2_250;

/** What a problem is about, in the order of trust: a loss outweighs everything. */
export const PROBLEM_KINDS = ['loss', 'silence', 'latency', 'saturation'] as const;
export type ProblemKind = (typeof PROBLEM_KINDS)[number];

/** Something that is wrong with a node now. */
export interface Problem {
  readonly node: string;
  readonly kind: ProblemKind;
  readonly severity: Severity;
  /** The alert, which is also the entry in the runbook. */
  readonly alert: string;
  /** What is seen, without the node's name. */
  readonly sentence: string;
  /** Since when it has been there, in ms of the wall clock. */
  readonly since: number;
  /** The shards of a Redis Cluster that are away, where that is the problem. */
  readonly shards?: Pick<ShardsState, 'away' | 'names'>;
}

/** A problem as it is found. */
export interface FoundProblem extends Omit<Problem, 'since'> {
  /** Since when the node says that it has been there, in ms of its clock. */
  readonly toldSince?: number;
  /** How long it has been there when it is first seen, in ms; 0 if it is not given. */
  readonly lastsMs?: number;
}

/** Whether a node has fallen silent. */
export function isSilent(record: NodeRecord, seenMs: number): boolean {
  return record.silentMs(seenMs) > SILENT_AFTER_MS;
}

/** Whether a node has fallen silent as it should: its last words were that it drains and holds no client. */
export function hasEnded(record: NodeRecord, seenMs: number): boolean {
  const { health, figures } = record.state;
  return isSilent(record, seenMs) && health === 'draining' && (figures.connections ?? 0) === 0;
}

/**
 * All that is wrong with a node, by the thresholds of the alerts.
 *
 * @param seenMs see `NodeRecord`.
 */
export function problemsOf(record: NodeRecord, seenMs: number): readonly FoundProblem[] {
  const { state } = record;
  const { node } = state;
  const lastsMs = record.silentMs(seenMs);
  if (hasEnded(record, seenMs)) return [];
  if (isSilent(record, seenMs)) {
    const seconds = Math.floor(lastsMs / 1_000);
    const clients = counted(state.figures.connections ?? 0, 'client');
    const sentence =
      state.kind === 'edge'
        ? `has been silent for ${seconds} s; it held ${clients}`
        : `has been silent for ${seconds} s`;
    return [
      { node, kind: 'silence', severity: 'critical', alert: 'TargetDown', sentence, lastsMs },
    ];
  }
  return state.kind === 'edge' ? problemsOfEdge(record) : problemsOfIngest(record);
}

function problemsOfEdge(record: NodeRecord): readonly FoundProblem[] {
  const { node, figures, health, reasons, degradedSince, shards } = record.state;
  const problems: FoundProblem[] = [];
  function add(kind: ProblemKind, threshold: Threshold | undefined, sentence: string): void {
    if (threshold === undefined) return;
    const { severity, alert } = threshold;
    problems.push({ node, kind, severity, alert, sentence });
  }
  if (degradedSince !== undefined) {
    problems.push({
      node,
      kind: 'silence',
      severity: 'critical',
      alert: 'EdgeDegraded',
      sentence: `is cut off from ${awayWords(shards)}: the channels there get nothing`,
      toldSince: degradedSince,
      ...(shards === undefined ? {} : { shards }),
    });
  }
  if (health === 'unready') {
    problems.push({
      node,
      kind: 'silence',
      severity: 'warning',
      alert: 'EdgeNotReady',
      sentence: `gets no clients from the balancer: ${reasons.join(', ') || 'not ready'}`,
    });
  }
  const probeAge = (figures.probeAgeMs ?? -1) / 1_000;
  add(
    'silence',
    passed(probeAge, PROBE_AGE_SECONDS),
    `last saw its own probe ${probeAge.toFixed(0)} s ago`,
  );
  const gaps = record.rate('gaps', 300);
  add(
    'loss',
    passed(gaps, GAPS_PER_SECOND),
    `tells its clients of ${gaps.toFixed(1)} losses a second`,
  );
  const lag = lagQuantile(record.lagSamples(300), 0.99) ?? 0;
  add('latency', passed(lag / 1_000, LAG_SECONDS), `reaches its sockets after ${lag} ms (p99)`);
  const connections = figures.connections ?? 0;
  const slow = record.increase('closedSlow', 300);
  const share = slow / Math.max(1, connections + slow);
  add(
    'latency',
    passed(share, SLOW_SHARE),
    `closed ${percent(share)} of its clients as slow within 5 minutes`,
  );
  const memory = (figures.memoryBytes ?? 0) / Math.max(1, figures.memoryLimitBytes ?? 1);
  add('saturation', passed(memory, MEMORY_SHARE), `uses ${percent(memory)} of its memory limit`);
  const busy = record.busyShare(120);
  add(
    'saturation',
    passed(busy, BUSY_SHARE),
    `uses ${percent(busy)} of a core in its busiest thread`,
  );
  const full = connections / Math.max(1, figures.connectionsLimit ?? 1);
  add('saturation', passed(full, FULL_SHARE), `holds ${percent(full)} of the clients that it may`);
  const links = record.increase('linkLosses', 900);
  add(
    'silence',
    passed(links, LINK_LOSSES),
    `lost its link to Redis ${counted(links, 'time')} within 15 minutes`,
  );
  const workers = record.increase('workersLost', 600);
  add(
    'silence',
    passed(workers, WORKERS_LOST),
    `lost and replaced ${counted(workers, 'fan-out worker')}`,
  );
  return problems;
}

/** What an edge is cut off from, in words. */
function awayWords(shards: ShardsState | undefined): string {
  if (shards === undefined) return 'Redis';
  const { all, away, names } = shards;
  const more = away > names.length && names.length > 0 ? [`${away - names.length} more`] : [];
  const which = names.length === 0 ? '' : ` (${[...names, ...more].join(', ')})`;
  return `${away} of ${counted(all, 'Redis shard')}${which}`;
}

function problemsOfIngest({ state }: NodeRecord): readonly FoundProblem[] {
  const { node, reasons, degradedSince, health } = state;
  if (degradedSince === undefined && health === 'ready') return [];
  const cut = degradedSince !== undefined;
  return [
    {
      node,
      kind: 'silence',
      severity: cut ? 'critical' : 'warning',
      alert: cut ? 'IngestRedisUnavailable' : 'IngestRefusing',
      sentence: cut
        ? 'cannot reach Redis and refuses every publication'
        : `takes no publications: ${reasons.join(', ') || 'not ready'}`,
      ...(cut ? { toldSince: degradedSince } : {}),
    },
  ];
}

/** The worst first: critical before warning, then by kind. */
export function worstFirst(problems: readonly Problem[]): readonly Problem[] {
  const weight = ({ severity, kind }: Problem): number =>
    (severity === 'critical' ? 0 : PROBLEM_KINDS.length) + PROBLEM_KINDS.indexOf(kind);
  return problems.toSorted((a, b) => weight(a) - weight(b) || a.node.localeCompare(b.node));
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
