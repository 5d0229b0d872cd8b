import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminClient, FleetNode } from './admin-client.ts';
import type { Fleet } from './fleet.ts';
import { type Report, RollError } from './roll.ts';

/** How clients are moved to nodes with fewer. */
export interface RebalanceSettings {
  /** How far a node may be from the average, as a share of it, e.g. 0.1. */
  readonly tolerance: number;
  /** The time over which each round's clients are moved, in s. */
  readonly overSeconds: number;
  /** Of all clients, the share that may be moved in one second, on average over a round. */
  readonly maxSharePerSecond: number;
  /** Rounds after which something else is wrong: a balancer that does not follow the load, say. */
  readonly maxRounds: number;
}

/** What each node is to send away. */
export interface ShedPlan {
  readonly average: number;
  /** In the order of the connections that were given; 0 for nodes that keep theirs. */
  readonly counts: readonly number[];
}

/** Clients that have left are seen as gone by their node within this time, in ms. */
const SETTLE_MS = 2_000;

/** Of a round, the share over which the notices are spread; see `planDeparture` of the edge. */
const NOTICE_SHARE = 0.5;

/**
 * Nodes above the average send away what they have above it, once anybody is out of tolerance. At most
 * `limit` in all, shared in proportion.
 */
export function planShed(
  connections: readonly number[],
  tolerance: number,
  limit: number,
): ShedPlan {
  const total = connections.reduce((sum, each) => sum + each, 0);
  const average = connections.length === 0 ? 0 : total / connections.length;
  const none = { average, counts: connections.map(() => 0) };
  if (connections.every((each) => Math.abs(each - average) <= slack(average, tolerance)))
    return none;
  const surplus = connections.map((each) => Math.max(0, Math.round(each - average)));
  const wanted = surplus.reduce((sum, each) => sum + each, 0);
  const factor = wanted > limit ? limit / wanted : 1;
  return { average, counts: surplus.map((each) => Math.floor(each * factor)) };
}

/** A handful of clients more or less is no imbalance, whatever share of the average it is. */
function slack(average: number, tolerance: number): number {
  return Math.max(1, average * tolerance);
}

/**
 * Has nodes above the average shed clients, round by round, until all are within the tolerance. Resolves
 * with what each holds then.
 *
 * @throws RollError when that is not so after `maxRounds`.
 */
export async function rebalanceFleet(
  fleet: Fleet,
  admin: AdminClient,
  settings: RebalanceSettings,
  report: Report,
): Promise<readonly number[]> {
  const nodes = await readyNodes(fleet, admin);
  for (let round = 1; ; round += 1) {
    const connections = await Promise.all(nodes.map((node) => admin.connections(node)));
    const total = connections.reduce((sum, each) => sum + each, 0);
    const noticeSeconds = settings.overSeconds * NOTICE_SHARE;
    const limit = Math.max(1, Math.floor(total * settings.maxSharePerSecond * noticeSeconds));
    const { average, counts } = planShed(connections, settings.tolerance, limit);
    const list = nodes.map(({ name }, i) => `${name} ${connections[i]}`).join(', ');
    report(`${list}; average ${Math.round(average)}`);
    if (counts.every((count) => count === 0)) return connections;
    if (round > settings.maxRounds) {
      throw new RollError(
        `still uneven after ${settings.maxRounds} rounds (${list}): does the balancer send clients to nodes with fewer?`,
      );
    }
    await Promise.all(
      nodes.map(async (node, i) => {
        const count = counts[i] as number;
        if (count === 0) return;
        report(`${node.name}: sheds ${count} over ${settings.overSeconds} s`);
        await admin.shed(node, count, settings.overSeconds);
      }),
    );
    await sleep(settings.overSeconds * 1_000 + SETTLE_MS);
  }
}

/** Nodes that are not ready get no clients, so they do not count. */
async function readyNodes(fleet: Fleet, admin: AdminClient): Promise<readonly FleetNode[]> {
  const nodes = await fleet.list();
  const states = await Promise.all(nodes.map((node) => admin.state(node)));
  const ready = nodes.filter((_, i) => states[i]?.kind === 'ready');
  if (ready.length < 2) throw new RollError(`${ready.length} of ${nodes.length} nodes are ready`);
  return ready;
}
