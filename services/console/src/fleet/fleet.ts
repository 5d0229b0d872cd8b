import { MAX_NODES, type NodeEvent, type NodeState } from '@tradewind/bus';
import { FleetHistory, type FleetPoint, type HistoryMinute } from './fleet-history.ts';
import { lagQuantile, NodeRecord } from './node-record.ts';
import { hasEnded, type Problem, problemsOf, SILENT_AFTER_MS, worstFirst } from './problems.ts';
import { type FleetEvent, Silences } from './silences.ts';
import { judge, type Verdict } from './verdict.ts';

/** How long a silent node stays with its last figures, in ms. */
export const KEEP_SILENT_MS = 600_000;

/** The most events that are shown of all nodes together. */
const MAX_EVENTS = 60;

/** The most events that one node may add to them, which bounds what a node with a storm costs the others. */
const MAX_EVENTS_A_NODE = 20;

/** The most problems that a snapshot lists; it has the number of all. */
const MAX_PROBLEMS = 50;

/** Time over which a rate of the node table is taken, in s. */
const RATE_SECONDS = 5;

/** One row of the node table. */
export interface NodeRow {
  readonly node: string;
  readonly kind: NodeState['kind'];
  /** `silent` if its state has not changed for two seconds of the console's clock. */
  readonly health: NodeState['health'] | 'degraded' | 'silent';
  readonly silentMs: number;
  readonly release: string;
  readonly startedAt: number;
  readonly admin: string;
  readonly connections: number;
  readonly connectionsLimit: number;
  readonly subscriptions: number;
  readonly channels: number;
  /** A second. */
  readonly received: number;
  readonly deliveries: number;
  readonly sentBytes: number;
  readonly p99Ms: number | undefined;
  readonly queueMax: number;
  /** Closed as slow, and told of losses, within five minutes. */
  readonly slow: number;
  readonly gaps: number;
  /** Shares. */
  readonly busy: number;
  /** Undefined where the node tells no limit. */
  readonly memory: number | undefined;
  readonly bytesPerConnection: number;
  readonly probeAgeMs: number;
  /** Of an ingest: publications that it accepted and refused, a second, and that wait. */
  readonly accepted: number;
  readonly refused: number;
  readonly queued: number;
}

/** What the page shows at one moment. */
export interface Snapshot {
  /** ms of the console's wall clock. */
  readonly at: number;
  readonly verdict: Verdict;
  readonly point: FleetPoint;
  /** The newest minute that is over. */
  readonly minute: HistoryMinute;
  /** Losses told, and publications repaired from history, within an hour or since the console started. */
  readonly lostLastHour: number;
  readonly repairedLastHour: number;
  /** The sum of what all edges may hold that say they are ready; one that is cut off from Redis may still say so. */
  readonly connectionsLimit: number;
  readonly problems: readonly Problem[];
  readonly problemsInAll: number;
  readonly nodes: readonly NodeRow[];
  readonly events: readonly FleetEvent[];
}

/** All nodes as the console knows them. It has no I/O and no clock of its own. */
export class Fleet {
  readonly history = new FleetHistory();
  readonly #records = new Map<string, NodeRecord>();
  readonly #events = new Map<string, readonly NodeEvent[]>();
  readonly #eventCounts = new Map<string, number>();
  readonly #silences = new Silences();

  /** The nodes whose last events must be read again. */
  nodesWithNews(states: readonly NodeState[]): readonly string[] {
    return states
      .filter(({ node, figures }) => (figures.events ?? 0) !== (this.#eventCounts.get(node) ?? 0))
      .map(({ node }) => node);
  }

  /** Takes the events of a node in, which replace those before. */
  takeEvents(state: NodeState, events: readonly NodeEvent[]): void {
    if (!this.#events.has(state.node) && this.#events.size >= MAX_NODES) return;
    this.#eventCounts.set(state.node, state.figures.events ?? 0);
    this.#events.set(state.node, events.slice(-MAX_EVENTS_A_NODE));
  }

  /**
   * Takes what was read of all nodes in. Must be called once a second. It remembers at most 1,000 nodes, silent ones
   * included: a program that writes ever new names must not fill the memory.
   *
   * @param states undefined if Redis did not answer: then nothing is known of any node.
   * @param now ms of a monotonic clock.
   * @param at ms of the wall clock.
   */
  tick(states: readonly NodeState[] | undefined, now: number, at: number): void {
    const told = new Map((states ?? []).map((state) => [state.node, state]));
    for (const [node, record] of this.#records) {
      record.tick(told.get(node) ?? record.state, now);
      if (states !== undefined && record.silentMs(now) > KEEP_SILENT_MS) this.#forget(node);
    }
    for (const state of told.values()) {
      if (this.#records.has(state.node) || this.#records.size >= MAX_NODES) continue;
      const record = new NodeRecord(state, now);
      record.tick(state, now);
      this.#records.set(state.node, record);
    }
    if (states !== undefined) this.#silences.tick([...this.#records.values()], now, at);
    this.history.push(this.#point(now), at);
  }

  /** @param blindSince since when Redis has not answered, in ms of the monotonic clock. */
  snapshot(now: number, at: number, blindSince: number | undefined): Snapshot {
    // A node that ended as it should is not there any more; what happened still tells of it.
    const records = [...this.#records.values()].filter((record) => !hasEnded(record, now));
    const rows = records.map((record) => toRow(record, now));
    const problems = worstFirst(records.flatMap((record) => problemsOf(record, now)));
    const edges = records.filter(({ state }) => state.kind === 'edge');
    const ready = edges.filter(
      (record) => record.state.health === 'ready' && record.silentMs(now) <= SILENT_AFTER_MS,
    );
    const point = this.#point(now);
    return {
      at,
      verdict: judge({
        blindSince,
        now,
        edges: edges.length,
        readyEdges: ready.length,
        clients: point.clients,
        problems,
      }),
      point,
      minute: this.history.newestMinute,
      lostLastHour: this.history.sumOfLastHour('lost'),
      repairedLastHour: this.history.sumOfLastHour('repaired'),
      connectionsLimit: ready.reduce(
        (sum, { state }) => sum + (state.figures.connectionsLimit ?? 0),
        0,
      ),
      problems: problems.slice(0, MAX_PROBLEMS),
      problemsInAll: problems.length,
      nodes: rows.toSorted(
        (a, b) => a.kind.localeCompare(b.kind) || a.node.localeCompare(b.node, 'en', NUMERIC),
      ),
      events: [...this.#events]
        .flatMap(([node, events]) => events.map((event) => ({ node, ...event })))
        .concat(this.#silences.events)
        .toSorted((a, b) => b.at - a.at)
        .slice(0, MAX_EVENTS),
    };
  }

  /** The names of the edges that have told their state lately: those that can answer a question. */
  livingEdges(now: number): readonly string[] {
    return [...this.#records.values()]
      .filter(({ state }) => state.kind === 'edge')
      .filter((record) => record.silentMs(now) <= SILENT_AFTER_MS)
      .map(({ state }) => state.node);
  }

  #forget(node: string): void {
    this.#records.delete(node);
    this.#events.delete(node);
    this.#eventCounts.delete(node);
  }

  /** What all nodes did in the last second together. A silent node counts for nothing. */
  #point(now: number): FleetPoint {
    const living = [...this.#records.values()].filter(
      (record) => record.silentMs(now) <= SILENT_AFTER_MS,
    );
    const sum = (of: (record: NodeRecord) => number): number =>
      living.reduce((total, record) => total + of(record), 0);
    const lag = living.map((record) => record.lagSamples(RATE_SECONDS));
    const samples = (lag[0] ?? []).map((_, i) =>
      lag.reduce((all, each) => all + (each[i] ?? 0), 0),
    );
    return {
      clients: sum(({ state }) => state.figures.connections ?? 0),
      deliveries: sum((record) => record.rate('deliveries', RATE_SECONDS)),
      sentBytes: sum((record) => record.rate('sentBytes', RATE_SECONDS)),
      p99Ms: lagQuantile(samples, 0.99) ?? Number.NaN,
      slow: sum((record) => record.increase('closedSlow', 60)),
      lost: sum((record) => record.increase('gaps', 1)),
      repaired: sum((record) => record.increase('repaired', 1)),
    };
  }
}

const NUMERIC = { numeric: true } as const;

function toRow(record: NodeRecord, now: number): NodeRow {
  const { node, kind, health, release, startedAt, admin, figures, degradedSince } = record.state;
  const silentMs = record.silentMs(now);
  const connections = figures.connections ?? 0;
  const memoryBytes = figures.memoryBytes ?? 0;
  const living = degradedSince === undefined ? health : 'degraded';
  return {
    node,
    kind,
    health: silentMs > SILENT_AFTER_MS ? 'silent' : living,
    silentMs: Math.round(silentMs),
    release,
    startedAt,
    admin,
    connections,
    connectionsLimit: figures.connectionsLimit ?? 0,
    subscriptions: figures.subscriptions ?? 0,
    channels: figures.channels ?? 0,
    received: record.rate('received', RATE_SECONDS),
    deliveries: record.rate('deliveries', RATE_SECONDS),
    sentBytes: record.rate('sentBytes', RATE_SECONDS),
    p99Ms: lagQuantile(record.lagSamples(RATE_SECONDS * 2), 0.99),
    queueMax: figures.queueMax ?? 0,
    slow: record.increase('closedSlow', 300),
    gaps: record.increase('gaps', 300),
    busy: record.busyShare(RATE_SECONDS),
    memory:
      figures.memoryLimitBytes === undefined ? undefined : memoryBytes / figures.memoryLimitBytes,
    bytesPerConnection: connections === 0 ? 0 : memoryBytes / connections,
    probeAgeMs: figures.probeAgeMs ?? -1,
    accepted: record.rate('accepted', RATE_SECONDS),
    refused: record.rate('refused', RATE_SECONDS),
    queued: figures.queued ?? 0,
  };
}
