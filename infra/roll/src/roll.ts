import type { AdminClient, FleetNode } from './admin-client.ts';
import { type DrainSettings, drainNode } from './drain-node.ts';
import type { Fleet } from './fleet.ts';
import {
  describeUnready,
  findUnready,
  type ReadySettings,
  untilReadyAgain,
} from './ready-again.ts';
import { type Report, RollError } from './report.ts';

/** How a roll goes about it. */
export interface RollSettings extends DrainSettings, ReadySettings {
  /** Nodes that are replaced at the same time. */
  readonly parallel: number;
}

/** Replaces every node of a fleet, a few at a time, and stops at the first one that does not come back. */
export async function rollFleet(
  fleet: Fleet,
  admin: AdminClient,
  settings: RollSettings,
  report: Report,
): Promise<void> {
  const nodes = await fleet.list();
  if (nodes.length === 0) throw new RollError('there are no nodes');
  if (nodes.length > 1 && settings.parallel >= nodes.length) {
    throw new RollError(`${settings.parallel} at a time would leave none of ${nodes.length} nodes`);
  }
  await expectAllReady(nodes, admin);
  report(`${nodes.length} nodes, ${settings.parallel} at a time`);
  const done: string[] = [];
  while (done.length < nodes.length) {
    const batch = nodes.slice(done.length, done.length + settings.parallel);
    try {
      await Promise.all(batch.map((node) => drainNode(node, admin, settings, report)));
      for (const node of batch) {
        report(`${node.name}: replacing`);
        await fleet.replace(node);
      }
      await untilReadyAgain(fleet, nodes.length, admin, settings, report);
    } catch (error) {
      const left = nodes.slice(done.length + batch.length).map(({ name }) => name);
      throw new RollError(
        `stopped at ${batch.map(({ name }) => name).join(', ')}: ${(error as Error).message}; ` +
          `replaced: ${done.join(', ') || 'none'}; not touched: ${left.join(', ') || 'none'}`,
        { cause: error },
      );
    }
    done.push(...batch.map(({ name }) => name));
    report(`${done.length} of ${nodes.length} replaced`);
  }
}

/** Drains one node and takes it away, where the others are ready to hold its clients. */
export async function removeNode(
  fleet: Fleet,
  name: string,
  admin: AdminClient,
  settings: RollSettings,
  report: Report,
): Promise<void> {
  const nodes = await fleet.list();
  const node = nodes.find((candidate) => candidate.name === name);
  if (node === undefined) {
    const names = nodes.map((each) => each.name).join(', ');
    throw new RollError(`no node is called ${name}; there are ${names || 'none'}`);
  }
  const others = nodes.filter((candidate) => candidate !== node);
  if (others.length === 0) throw new RollError(`${name} is the only node`);
  await expectAllReady(others, admin);
  await drainNode(node, admin, settings, report);
  await fleet.remove(node);
  report(`${name}: removed`);
}

async function expectAllReady(nodes: readonly FleetNode[], admin: AdminClient): Promise<void> {
  const unready = await findUnready(nodes, admin);
  if (unready.length > 0) throw new RollError(`nothing was touched: ${describeUnready(unready)}`);
}
