import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminClient } from './admin-client.ts';
import type { Fleet } from './fleet.ts';
import type { FleetNode } from './reach.ts';
import { type Report, RollError } from './report.ts';

/** How to move clients to nodes with fewer. */
export interface RebalanceSettings {
  /** How far a node may be from the average, as a share of it, e.g. 0.1. */
  readonly tolerance: number;
  /** A node counts as uneven only if it differs from the average by at least this many clients. */
  readonly leastOff: number;
  /** The duration over which each round's clients are moved, in s. */
  readonly overSeconds: number;
  /** The share of all clients that may be moved in one second, on average over a round. */
  readonly maxSharePerSecond: number;
  /** After this many rounds something else is wrong, for example a balancer that ignores the load. */
  readonly maxRounds: number;
}

/** The clients of the nodes that take part. */
export interface Balance {
  readonly nodes: readonly FleetNode[];
  /** In the order of the nodes. */
  readonly connections: readonly number[];
  readonly average: number;
  /** Nodes that can accept clients, because they are not full. */
  readonly withRoom: number;
  /** Names of draining nodes, whose clients somebody moves already. */
  readonly draining: readonly string[];
}

/** Within this time, in ms, a node notices that clients have left. */
const SETTLE_MS = 2_000;

/** The share of a round over which the notices are spread; see `planDeparture` of the edge. */
const NOTICE_SHARE = 0.5;

/**
 * Reads the clients of every node. A node that is not ready gets no clients and does not take part, unless it is
 * unready because it is full: nodes are added exactly to make room on full nodes.
 */
export async function readBalance(fleet: Fleet, admin: AdminClient): Promise<Balance> {
  const listed = await fleet.list();
  const states = await Promise.all(listed.map((node) => admin.state(node)));
  const isReady = (i: number): boolean => states[i]?.kind === 'ready';
  const reasonsOf = (i: number): readonly string[] => {
    const state = states[i];
    return state?.kind === 'unready' ? state.reasons : [];
  };
  const nodes = listed.filter((_, i) => isReady(i) || reasonsOf(i).join() === 'full');
  const connections = await Promise.all(
    nodes.map(async (node) => {
      const held = await admin.connections(node);
      if (held === undefined) {
        throw new RollError(
          `${node.name} does not report its connections: only edges are rebalanced`,
        );
      }
      return held;
    }),
  );
  return {
    nodes,
    connections,
    average: averageOf(connections),
    withRoom: listed.filter((_, i) => isReady(i)).length,
    draining: listed.filter((_, i) => reasonsOf(i).includes('draining')).map(({ name }) => name),
  };
}

/** Whether every node is within the tolerance. */
export function isEven(
  connections: readonly number[],
  { tolerance, leastOff }: Pick<RebalanceSettings, 'tolerance' | 'leastOff'>,
): boolean {
  const average = averageOf(connections);
  const slack = Math.max(leastOff, average * tolerance);
  return connections.every((each) => Math.abs(each - average) <= slack);
}

/**
 * The clients that each node sheds, in the order of `connections`: those above the average, and at most `limit` in all,
 * shared in proportion.
 */
export function planShed(connections: readonly number[], limit: number): readonly number[] {
  const average = averageOf(connections);
  const surplus = connections.map((each) => Math.max(0, Math.round(each - average)));
  const wanted = surplus.reduce((sum, each) => sum + each, 0);
  const factor = wanted > limit ? limit / wanted : 1;
  let seen = 0;
  let given = 0;
  return surplus.map((each) => {
    seen += each;
    const count = Math.round(seen * factor) - given;
    given += count;
    return count;
  });
}

/** The most clients that a round may move. */
function limitOf(
  connections: readonly number[],
  { overSeconds, maxSharePerSecond }: Pick<RebalanceSettings, 'overSeconds' | 'maxSharePerSecond'>,
): number {
  const total = connections.reduce((sum, each) => sum + each, 0);
  return Math.max(1, Math.floor(total * maxSharePerSecond * overSeconds * NOTICE_SHARE));
}

/** After a roll the last node is often empty: says so, and what moves clients there. Says nothing of nodes that are no edges. */
export async function reportUneven(
  fleet: Fleet,
  admin: AdminClient,
  settings: RebalanceSettings,
  report: Report,
): Promise<void> {
  const balance = await readBalance(fleet, admin).catch(() => undefined);
  if (balance === undefined || isEven(balance.connections, settings)) return;
  report(
    `clients are uneven (${describeBalance(balance)}): the same command with --rebalance moves some`,
  );
}

/**
 * Makes nodes above the average shed clients once, and resolves after these have left.
 *
 * @param end ends the waiting; clients that were asked to leave still leave.
 * @throws RollError if no node has room.
 */
export async function shedOnce(
  { nodes, connections, withRoom }: Balance,
  admin: AdminClient,
  { overSeconds, maxSharePerSecond }: RebalanceSettings,
  report: Report,
  end?: AbortSignal,
): Promise<void> {
  if (withRoom === 0) throw new RollError('no node has room for more clients');
  const counts = planShed(connections, limitOf(connections, { overSeconds, maxSharePerSecond }));
  await Promise.all(
    nodes.map(async (node, i) => {
      const count = counts[i] as number;
      if (count === 0) return;
      report(`${node.name}: sheds ${count} over ${overSeconds} s`);
      await admin.shed(node, count, overSeconds);
    }),
  );
  await sleep(overSeconds * 1_000 + SETTLE_MS, undefined, { signal: end });
}

/**
 * Makes nodes above the average shed clients, round by round, until all are within the tolerance. Resolves with the
 * final clients of each.
 *
 * @throws RollError if that takes more than `maxRounds`, or if no node has room.
 */
export async function rebalanceFleet(
  fleet: Fleet,
  admin: AdminClient,
  settings: RebalanceSettings,
  report: Report,
): Promise<readonly number[]> {
  for (let round = 1; ; round += 1) {
    const balance = await readBalance(fleet, admin);
    const { nodes, connections } = balance;
    if (nodes.length < 2) {
      throw new RollError(`at least two nodes must take part, and there are ${nodes.length}`);
    }
    const list = describeBalance(balance);
    report(list);
    if (isEven(connections, settings)) return connections;
    if (round > settings.maxRounds) {
      const limit = limitOf(connections, settings);
      const surplus = connections.reduce(
        (sum, each) => sum + Math.max(0, each - balance.average),
        0,
      );
      const why =
        surplus > limit
          ? `a round moves at most ${limit} clients; raise --over, --max-share or --max-rounds. If even those do not move, `
          : '';
      throw new RollError(
        `still uneven after ${settings.maxRounds} rounds (${list}): ${why}does the balancer send clients to nodes with fewer?`,
      );
    }
    await shedOnce(balance, admin, settings, report);
  }
}

/** E.g. `edge-1 500, edge-2 0; average 250`. */
export function describeBalance({ nodes, connections, average }: Balance): string {
  const list = nodes.map(({ name }, i) => `${name} ${connections[i]}`).join(', ');
  return `${list}; average ${Math.round(average)}`;
}

function averageOf(connections: readonly number[]): number {
  const total = connections.reduce((sum, each) => sum + each, 0);
  return connections.length === 0 ? 0 : total / connections.length;
}
