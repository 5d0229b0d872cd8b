/** What each node tells the console of itself, once a second (docs/adr/0060-nodes-tell-their-state.md). */

/** The sorted set of nodes that wrote lately: the name of each, by the ms of its own clock when it last wrote. */
export const NODES_KEY = 'tw:nodes';

/** How long the last state of a node that is gone is kept, in ms: an operator sees its last figures. */
export const NODE_STATE_EXPIRY_MS = 600_000;

/** How long the last events of a node that is gone are kept, in ms. */
export const NODE_EVENTS_EXPIRY_MS = 3_600_000;

/** The most bytes of a state. 100 nodes then write 100 KB a second. */
export const MAX_NODE_STATE_BYTES = 1_024;

/** The most events that a node keeps in Redis. */
export const MAX_NODE_EVENTS = 20;

/** The most nodes that a reader asks for. */
export const MAX_NODES = 1_000;

/** In a Redis Cluster the names of all these keys carry the tag of the slot of {@link NODES_KEY}: one transaction writes them. */
export const NODES_TAG = `{${NODES_KEY}}:`;

/** The most names of shards that are tried: a name has at least 9 bytes (`"a:6379",`), so no state has room for more. */
const MOST_SHARD_NAMES = Math.floor(MAX_NODE_STATE_BYTES / 9);

/** The key of a node's state: a string, the JSON of {@link NodeState}. */
export function nodeStateKey(node: string, isCluster = false): string {
  return `tw:node:${isCluster ? NODES_TAG : ''}${node}:state`;
}

/** The key of a node's last events: a string, a JSON array of {@link NodeEvent}, the oldest first. */
export function nodeEventsKey(node: string, isCluster = false): string {
  return `tw:node:${isCluster ? NODES_TAG : ''}${node}:events`;
}

/** What tiers whose clients choose binary frames or the latest of a channel tell besides. A figure that is 0 is left out. */
export const WIRE_FIGURES = {
  /** Subscriptions to the latest of a channel, and publications that they were not sent because a newer one came. */
  latest: 'level',
  skipped: 'total',
  /** Connections with `tradewind.v2`, and bytes by which publications were shorter for them. */
  binaryConnections: 'level',
  savedBytes: 'total',
  /** Publications that went raw to them, by reason. */
  rawFirst: 'total',
  rawUnshrinkable: 'total',
  rawBudget: 'total',
} as const satisfies Readonly<Record<string, 'level' | 'total'>>;

/**
 * The figures of an edge, and how each is shown: `level` is a value of this moment, `total` only grows since the start,
 * so a reader takes differences.
 */
export const EDGE_FIGURES = {
  ...WIRE_FIGURES,
  connections: 'level',
  connectionsLimit: 'level',
  subscriptions: 'level',
  channels: 'level',
  queueMax: 'level',
  memoryBytes: 'level',
  memoryLimitBytes: 'level',
  /** Share of time for which the busiest thread was busy since the last state, in thousandths. */
  busyPermille: 'level',
  /** Age of the newest probe that came back, in ms; -1 where there is none. */
  probeAgeMs: 'level',
  received: 'total',
  deliveries: 'total',
  sentBytes: 'total',
  closedSlow: 'total',
  gaps: 'total',
  lost: 'total',
  repaired: 'total',
  linkLosses: 'total',
  workersLost: 'total',
  /** Events so far: when it grows, a reader reads the last ones. */
  events: 'total',
} as const satisfies Readonly<Record<string, 'level' | 'total'>>;

/** The figures of an ingest. */
const INGEST_FIGURES = {
  accepted: 'total',
  refused: 'total',
  queued: 'level',
  memoryBytes: 'level',
} as const satisfies Readonly<Record<string, 'level' | 'total'>>;

/**
 * Upper bounds of the times from a publication's `ts` to the sockets, in ms. A state has the number of samples up to each,
 * and above the last.
 */
export const LAG_BOUNDS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000] as const;

/** The name of a figure of a node. */
export type EdgeFigure = keyof typeof EDGE_FIGURES;
export type IngestFigure = keyof typeof INGEST_FIGURES;

/** The shards of a Redis Cluster, as a node is linked to them. */
export interface ShardsState {
  readonly all: number;
  readonly away: number;
  /** The masters of those that are away, `host:port`; fewer than `away` where the state has no room for them. */
  readonly names: readonly string[];
}

/** What a node says of itself. */
export interface NodeState {
  readonly kind: 'edge' | 'ingest';
  readonly node: string;
  readonly release: string;
  /** Grows with each state of one process. A reader knows by it that the node lives. */
  readonly beat: number;
  /** ms of its own clock. */
  readonly startedAt: number;
  readonly health: 'ready' | 'unready' | 'draining';
  /** Why it is unready or degraded. */
  readonly reasons: readonly string[];
  /** Since when it is cut off from Redis, in ms of its own clock. Undefined while it is not. */
  readonly degradedSince?: number;
  /** Undefined where Redis is no cluster. */
  readonly shards?: ShardsState;
  /** `host:port` of its admin port. */
  readonly admin: string;
  readonly figures: Readonly<Record<string, number>>;
  /** Samples by {@link LAG_BOUNDS_MS}, since the start. Empty for an ingest. */
  readonly lag: readonly number[];
}

/** Something that happened on a node. */
export interface NodeEvent {
  /** ms of the node's clock. */
  readonly at: number;
  /** The name of the log event, such as `degraded`. */
  readonly event: string;
  /** At most 128 characters: a channel, a reason, a number. */
  readonly detail: string;
}

/**
 * The JSON of a state. Where it has more bytes than a state may have, the figures of the wire are left out, then names of shards,
 * then reasons.
 *
 * @throws {RangeError} if it is longer even without them.
 */
export function encodeNodeState(state: NodeState): string {
  for (const each of everShorter(state)) {
    const text = JSON.stringify(each);
    if (Buffer.byteLength(text) <= MAX_NODE_STATE_BYTES) return text;
  }
  throw new RangeError(
    `the state of ${state.node} has more than ${MAX_NODE_STATE_BYTES} bytes without its reasons`,
  );
}

function* everShorter(state: NodeState): Generator<NodeState> {
  const { shards, reasons } = state;
  const figures = Object.entries(state.figures);
  const isOfWire = (name: string): boolean => name in WIRE_FIGURES;
  const told = figures.filter(([name, value]) => value !== 0 || !isOfWire(name));
  let shorter: NodeState = { ...state, figures: Object.fromEntries(told) };
  yield shorter;
  const needed = figures.filter(([name]) => !isOfWire(name));
  shorter = { ...state, figures: Object.fromEntries(needed) };
  yield shorter;
  if (shards !== undefined) {
    for (let count = Math.min(shards.names.length - 1, MOST_SHARD_NAMES); count >= 0; count -= 1) {
      shorter = { ...shorter, shards: { ...shards, names: shards.names.slice(0, count) } };
      yield shorter;
    }
  }
  for (let count = reasons.length - 1; count >= 0; count -= 1) {
    yield { ...shorter, reasons: reasons.slice(0, count) };
  }
}

/** Reads a state. Undefined if it is none, or of a release that writes it in another way. */
export function readNodeState(text: string | null): NodeState | undefined {
  const value = parse(text);
  if (!isRecord(value)) return undefined;
  const { kind, node, release, beat, startedAt, health, reasons, degradedSince, admin } = value;
  const { figures, lag, shards } = value;
  const isState =
    (kind === 'edge' || kind === 'ingest') &&
    typeof node === 'string' &&
    typeof release === 'string' &&
    isNumber(beat) &&
    isTime(startedAt) &&
    (health === 'ready' || health === 'unready' || health === 'draining') &&
    Array.isArray(reasons) &&
    reasons.every((reason) => typeof reason === 'string') &&
    (degradedSince === undefined || isTime(degradedSince)) &&
    (shards === undefined || isShardsState(shards)) &&
    typeof admin === 'string' &&
    isRecord(figures) &&
    Object.values(figures).every(isNumber) &&
    Array.isArray(lag) &&
    lag.every(isNumber);
  return isState ? (value as unknown as NodeState) : undefined;
}

/** Reads a node's events. Empty if they are unreadable; an event that is none is left out. */
export function readNodeEvents(text: string | null): readonly NodeEvent[] {
  const value = parse(text);
  if (!Array.isArray(value)) return [];
  return value.slice(-MAX_NODE_EVENTS).filter((event): event is NodeEvent => {
    if (!isRecord(event)) return false;
    const { at, event: name, detail } = event;
    return isTime(at) && typeof name === 'string' && typeof detail === 'string';
  });
}

function parse(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isShardsState(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { all, away, names } = value;
  const areNames = Array.isArray(names) && names.every((name) => typeof name === 'string');
  return isNumber(all) && isNumber(away) && areNames;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The largest figure. A node that sends 10 GB a second has sent these bytes after 3,000 years. */
const LARGEST_FIGURE = 1e21;

/** A number that can be added up over all nodes. Whoever may write to Redis may write 1e308, and sums of that are none. */
function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= LARGEST_FIGURE;
}

/** The last moment of a `Date`, in ms (ECMA-262). */
const LAST_DATE_MS = 8.64e15;

/** A moment that a reader can show as a date, in ms since 1970. */
function isTime(value: unknown): value is number {
  return isNumber(value) && value >= 0 && value <= LAST_DATE_MS;
}
