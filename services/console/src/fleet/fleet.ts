import { MAX_NODES, type NodeEvent, type NodeState, type ShardsState } from '@tradewind/bus';
import { FleetHistory, type FleetPoint, type HistoryMinute } from './fleet-history.ts';
import { lagQuantile, NodeRecord } from './node-record.ts';
import { ProblemTimes } from './problem-times.ts';
import { hasEnded, isSilent, type Problem, problemsOf, worstFirst } from './problems.ts';
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

/** The longest time between two readings that counts as seen, in ms: longer ones are those of a Redis that stood still. */
const MOST_STEP_MS = 1_000;

/** The least time from a node's new state to its next, in ms. A node writes one a second, and the next one follows a late one sooner. */
const DUE_AFTER_MS = 700;

/** Time over which what the wire saves is shown, in s. */
const WIRE_SECONDS = 60;

/** One row of the node table. */
export interface NodeRow {
  readonly node: string;
  readonly kind: NodeState['kind'];
  /** `silent` if its state has not changed for `SILENT_AFTER_MS` of the console's clock. */
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
  /** Undefined where Redis is no cluster. */
  readonly shards: ShardsState | undefined;
  /** Subscriptions to the latest of a channel, and publications that they were not sent, a second. */
  readonly latest: number;
  readonly skipped: number;
  /** Connections with binary frames, bytes that these saved and publications that went raw, a second, by reason. */
  readonly binaryConnections: number;
  readonly savedBytes: number;
  readonly rawFirst: number;
  readonly rawUnshrinkable: number;
  readonly rawBudget: number;
}

/** What the page shows at one moment. */
export interface Snapshot {
  /** ms of the console's wall clock. */
  readonly at: number;
  readonly verdict: Verdict;
  /** Whether the last second was seen. All figures are older where it was not. */
  readonly isSeen: boolean;
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
  readonly #times = new ProblemTimes();
  #problems: readonly Problem[] = [];
  /** See `NodeRecord`. */
  #seenMs = 0;
  #readAt: number | undefined;
  /** Whether states were read since the last second was over, and whether they were within that second. */
  #hasRead = false;
  #isSeen = false;
  /** The seconds that were not seen since the last one that was. */
  #missed = 0;
  /** The health of all nodes, as {@link read} compares it. */
  #healths = '';

  /** Whether a node may have told a state since it was last read: one that did a moment ago is not asked for its next. */
  isDue(node: string): boolean {
    const record = this.#records.get(node);
    return record === undefined || record.silentMs(this.#seenMs) >= DUE_AFTER_MS;
  }

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
   * Takes the states in that were read, of the nodes that were due. Must be called several times a second: how soon a silent node
   * is seen depends on it. It remembers at most 1,000 nodes, silent ones included: a program that writes ever new names must not
   * fill the memory.
   *
   * @param now ms of a monotonic clock.
   * @param at ms of the wall clock.
   * @returns whether the health of a node has changed, or the number of nodes.
   */
  read(states: readonly NodeState[], now: number, at: number): boolean {
    this.#seenMs += Math.min(MOST_STEP_MS, now - (this.#readAt ?? now));
    this.#readAt = now;
    this.#hasRead = true;
    for (const state of states) {
      const known = this.#records.get(state.node);
      if (known !== undefined) known.read(state, this.#seenMs);
      else if (this.#records.size < MAX_NODES) {
        this.#records.set(state.node, new NodeRecord(state, this.#seenMs));
      }
    }
    const healths = this.#all.map((record) => healthOf(record, this.#seenMs)).join();
    if (healths === this.#healths) return false;
    this.#healths = healths;
    this.#judge(at);
    return true;
  }

  /**
   * A second is over. Must be called once a second, whether or not Redis answers. A second in which no states were read is
   * unknown: totals that stand still would say that nothing was delivered.
   *
   * @param at ms of the wall clock.
   */
  tick(at: number): void {
    this.#isSeen = this.#hasRead;
    this.#hasRead = false;
    if (!this.#isSeen) {
      this.#missed += 1;
      // What passes until the next reading is not time in which a node was seen to be silent.
      this.#readAt = undefined;
      this.history.push(undefined, at);
      return;
    }
    const missed = this.#missed;
    this.#missed = 0;
    for (const [node, record] of this.#records) {
      if (missed > 0) record.skip(missed);
      record.tick();
      if (record.silentMs(this.#seenMs) > KEEP_SILENT_MS) this.#forget(node);
    }
    this.#judge(at);
    this.history.push(this.#point(), at);
  }

  /**
   * @param now ms of the monotonic clock.
   * @param at ms of the wall clock.
   * @param blindSince since when Redis has not answered, in ms of the monotonic clock.
   */
  snapshot(now: number, at: number, blindSince: number | undefined): Snapshot {
    // A node that ended as it should is not there any more; what happened still tells of it.
    const records = this.#all.filter((record) => !hasEnded(record, this.#seenMs));
    const rows = records.map((record) => toRow(record, this.#seenMs));
    const problems = this.#problems;
    const edges = records.filter(({ state }) => state.kind === 'edge');
    const ready = edges.filter(
      (record) => record.state.health === 'ready' && !isSilent(record, this.#seenMs),
    );
    const point = this.#point();
    return {
      at,
      verdict: judge({
        ...{ blindSince, now, at },
        edges: edges.length,
        readyEdges: ready.length,
        clients: point.clients,
        problems,
      }),
      isSeen: this.#isSeen,
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

  /** The number of nodes that are remembered, by kind. */
  get counts(): Readonly<Record<NodeState['kind'], number>> {
    const edges = this.#all.filter(({ state }) => state.kind === 'edge').length;
    return { edge: edges, ingest: this.#records.size - edges };
  }

  /** The names of the edges that have told their state lately: those that can answer a question. */
  get livingEdges(): readonly string[] {
    return this.#living.filter(({ state }) => state.kind === 'edge').map(({ state }) => state.node);
  }

  get #all(): readonly NodeRecord[] {
    return [...this.#records.values()];
  }

  get #living(): readonly NodeRecord[] {
    return this.#all.filter((record) => !isSilent(record, this.#seenMs));
  }

  /** Finds what is wrong now, and what fell silent. */
  #judge(at: number): void {
    const found = this.#all.flatMap((record) => problemsOf(record, this.#seenMs));
    this.#problems = worstFirst(this.#times.date(found, at));
    this.#silences.look(this.#all, this.#seenMs, at);
  }

  #forget(node: string): void {
    this.#records.delete(node);
    this.#events.delete(node);
    this.#eventCounts.delete(node);
  }

  /** What all nodes did in the last second together. A silent node counts for nothing. */
  #point(): FleetPoint {
    const living = this.#living;
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
      lost: sum((record) => record.increaseSinceKnown('gaps')),
      repaired: sum((record) => record.increaseSinceKnown('repaired')),
    };
  }
}

const NUMERIC = { numeric: true } as const;

function healthOf(record: NodeRecord, seenMs: number): NodeRow['health'] {
  const { health, degradedSince } = record.state;
  if (isSilent(record, seenMs)) return 'silent';
  return degradedSince === undefined ? health : 'degraded';
}

function toRow(record: NodeRecord, seenMs: number): NodeRow {
  const { node, kind, release, startedAt, admin, figures, shards } = record.state;
  const connections = figures.connections ?? 0;
  const memoryBytes = figures.memoryBytes ?? 0;
  return {
    node,
    kind,
    health: healthOf(record, seenMs),
    silentMs: Math.round(record.silentMs(seenMs)),
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
    shards,
    latest: figures.latest ?? 0,
    skipped: record.knownRate('skipped', WIRE_SECONDS),
    binaryConnections: figures.binaryConnections ?? 0,
    savedBytes: record.knownRate('savedBytes', WIRE_SECONDS),
    rawFirst: record.knownRate('rawFirst', WIRE_SECONDS),
    rawUnshrinkable: record.knownRate('rawUnshrinkable', WIRE_SECONDS),
    rawBudget: record.knownRate('rawBudget', WIRE_SECONDS),
  };
}
