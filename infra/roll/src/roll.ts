import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminClient, FleetNode } from './admin-client.ts';
import type { Fleet } from './fleet.ts';

/** How a roll goes about it. Times in ms. */
export interface RollSettings {
  /** Nodes that are replaced at the same time. */
  readonly parallel: number;
  /** How long a drained node may take to end: its drain and its stop, and a reserve. */
  readonly drainTimeoutMs: number;
  /** How long a replacement may take until it is ready. */
  readonly readyTimeoutMs: number;
  /** How long all nodes must then stay ready before the next one is touched. */
  readonly healthWindowMs: number;
  /** How often nodes are asked. */
  readonly pollMs: number;
}

/** Says what happens, a line at a time. */
export type Report = (line: string) => void;

/** Unanswered questions in a row after which a draining node has ended, and is not just slow. */
const UNREACHABLE_IN_A_ROW = 3;

/** A roll that stopped: its message says at which node, why, and what is done and left. */
export class RollError extends Error {
  override readonly name = 'RollError';
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
  const unready = await describeUnready(nodes, admin);
  if (unready.length > 0) throw new RollError(`nothing was touched: ${unready.join('; ')}`);
}

async function describeUnready(nodes: readonly FleetNode[], admin: AdminClient): Promise<string[]> {
  const states = await Promise.all(nodes.map((node) => admin.state(node)));
  return states.flatMap((state, i) => {
    const { name } = nodes[i] as FleetNode;
    if (state.kind === 'ready') return [];
    const why = state.kind === 'unready' ? state.reasons.join(', ') : state.cause;
    return [`${name} is ${state.kind} (${why})`];
  });
}

/**
 * Resolves when the node has ended. It has when nobody answers any more, or when who answers does not
 * know of the drain: a supervisor has started it again already.
 */
async function drainNode(
  node: FleetNode,
  admin: AdminClient,
  { drainTimeoutMs, pollMs }: RollSettings,
  report: Report,
): Promise<void> {
  report(`${node.name}: draining`);
  await admin.drain(node);
  const deadline = performance.now() + drainTimeoutMs;
  let wasDraining = false;
  let unreachable = 0;
  while (performance.now() < deadline) {
    const state = await admin.state(node);
    const isDraining = state.kind === 'unready' && state.reasons.includes('draining');
    unreachable = state.kind === 'unreachable' ? unreachable + 1 : 0;
    if (unreachable >= UNREACHABLE_IN_A_ROW) return;
    if (wasDraining && !isDraining && state.kind !== 'unreachable') return;
    wasDraining ||= isDraining;
    await sleep(pollMs);
  }
  throw new Error(`${node.name} has not ended ${drainTimeoutMs / 1_000} s after its drain began`);
}

/** Resolves when as many nodes as before are ready, and have been for the health window. */
async function untilReadyAgain(
  fleet: Fleet,
  wanted: number,
  admin: AdminClient,
  { readyTimeoutMs, healthWindowMs, pollMs }: RollSettings,
  report: Report,
): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs;
  let readySince: number | undefined;
  for (;;) {
    const nodes = await fleet.list().catch(() => []);
    const unready = await describeUnready(nodes, admin);
    const isReady = unready.length === 0 && nodes.length >= wanted;
    const now = performance.now();
    if (isReady && readySince === undefined) {
      readySince = now;
      report(`all ready; watching them for ${healthWindowMs / 1_000} s`);
    } else if (!isReady && readySince !== undefined) {
      throw new Error(`not healthy: ${describe(unready, nodes.length, wanted)}`);
    }
    if (readySince !== undefined && now - readySince >= healthWindowMs) return;
    if (readySince === undefined && now >= deadline) {
      const waited = readyTimeoutMs / 1_000;
      throw new Error(`not ready after ${waited} s: ${describe(unready, nodes.length, wanted)}`);
    }
    await sleep(pollMs);
  }
}

function describe(unready: readonly string[], found: number, wanted: number): string {
  return unready.length > 0 ? unready.join('; ') : `${found} of ${wanted} nodes are there`;
}
