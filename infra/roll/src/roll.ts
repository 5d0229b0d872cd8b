import type { AdminClient } from './admin-client.ts';
import { type DrainSettings, drainNode } from './drain-node.ts';
import type { Fleet } from './fleet.ts';
import type { FleetNode } from './reach.ts';
import {
  describeUnready,
  findUnready,
  type ReadySettings,
  type UnreadyNode,
  untilReadyAgain,
} from './ready-again.ts';
import { type Report, RollError } from './report.ts';

/** The course of a roll. */
export interface RollSettings extends DrainSettings, ReadySettings {
  /** Nodes that are replaced, or removed, at the same time. */
  readonly parallel: number;
  /** Nodes that are added before the first one is drained, so that the fleet keeps its capacity; 0: none. */
  readonly surge: number;
}

/**
 * How long a new VM takes to become ready, in ms, for the estimate only. Google creates it in about a minute, booting,
 * downloading and starting the service take another one, and the group checks it at intervals.
 */
const REPLACEMENT_ESTIMATE_MS = 150_000;

/**
 * Replaces every node of a fleet, a few at a time, and stops at the first one that does not become ready again. A surge
 * adds nodes first, and as many old nodes are removed at the end instead of being replaced.
 */
export async function rollFleet(
  fleet: Fleet,
  admin: AdminClient,
  settings: RollSettings,
  report: Report,
): Promise<void> {
  const { parallel, surge } = settings;
  const nodes = await fleet.list();
  if (nodes.length === 0) throw new RollError('there are no nodes');
  if (surge > nodes.length) {
    throw new RollError(
      `a surge of ${surge} is more than the ${nodes.length} nodes that there are`,
    );
  }
  if (surge === 0 && nodes.length > 1 && parallel >= nodes.length) {
    throw new RollError(`${parallel} at a time would leave none of ${nodes.length} nodes`);
  }
  await expectNoneIdle(fleet);
  await expectAllReady(nodes, admin);
  await expectTokenTaken(nodes, admin);
  const rounds = Math.ceil(nodes.length / parallel);
  report(`${nodes.length} nodes, ${parallel} at a time, ${estimate(rounds, settings)}`);
  const fromHereReplaced = nodes.length - surge;
  const done: string[] = [];
  let wanted = nodes.length;
  let batch: readonly FleetNode[] = [];
  const begunAt = performance.now();
  try {
    if (surge > 0) {
      report(`adding ${surge}`);
      await fleet.add(surge);
      wanted += surge;
      await untilReadyAgain(fleet, wanted, admin, settings, report);
    }
    while (done.length < nodes.length) {
      batch = nodes.slice(done.length, done.length + parallel);
      await Promise.all(batch.map((node) => drainNode(node, admin, settings, report)));
      for (const [i, node] of batch.entries()) {
        const isReplaced = done.length + i < fromHereReplaced;
        report(`${node.name}: ${isReplaced ? 'replacing' : 'removing'}`);
        if (isReplaced) await fleet.replace(node);
        else await fleet.remove(node);
        if (!isReplaced) wanted -= 1;
      }
      await untilReadyAgain(fleet, wanted, admin, settings, report);
      done.push(...batch.map(({ name }) => name));
      batch = [];
      report(progress(done.length, nodes.length, performance.now() - begunAt));
    }
  } catch (error) {
    throw stoppedAt(batch, done, nodes, wanted, error as Error);
  }
}

function stoppedAt(
  batch: readonly FleetNode[],
  done: readonly string[],
  nodes: readonly FleetNode[],
  wanted: number,
  error: Error,
): RollError {
  const left = nodes.slice(done.length + batch.length).map(({ name }) => name);
  const where = batch.map(({ name }) => name).join(', ') || 'the nodes to be added';
  const further = wanted - nodes.length;
  return new RollError(
    `stopped at ${where}: ${error.message}; ` +
      `replaced: ${done.join(', ') || 'none'}; not touched: ${left.join(', ') || 'none'}` +
      (further > 0
        ? `; added and still there: ${further} (--remove-count ${further} ends that)`
        : ''),
    { cause: error },
  );
}

/** Deletes templates that no node needs any more. */
export async function deleteUnusedTemplates(fleet: Fleet, report: Report): Promise<void> {
  const deleted = await fleet.deleteUnusedTemplates();
  report(`templates deleted that no node uses: ${deleted.join(', ') || 'none'}`);
}

/** Drains one node and removes it, if the others are ready to hold its clients. */
export async function removeNode(
  fleet: Fleet,
  name: string,
  admin: AdminClient,
  settings: RollSettings,
  report: Report,
): Promise<void> {
  const nodes = await fleet.list();
  const idle = await fleet.listIdle();
  const node = nodes.find((candidate) => candidate.name === name);
  if (node === undefined && idle.includes(name)) {
    return await removeAll(fleet, [], [name], admin, settings, report);
  }
  if (node === undefined) {
    const names = [...nodes.map((each) => each.name), ...idle].join(', ');
    throw new RollError(`there is no node ${name}, only ${names || 'none'}`);
  }
  await expectTokenTaken([node], admin);
  await removeAll(fleet, [node], [], admin, settings, report);
}

/**
 * Drains `count` nodes and removes them, a few at a time. What a failed surge leaves goes first: machines that do not
 * run, then nodes that are not ready and hold no clients. The nodes with the fewest clients follow.
 */
export async function removeNodes(
  fleet: Fleet,
  count: number,
  admin: AdminClient,
  settings: RollSettings,
  report: Report,
): Promise<void> {
  const nodes = await fleet.list();
  const idle = (await fleet.listIdle()).slice(0, count);
  const unready = await findUnready(nodes, admin);
  // A node that does not answer may hold clients, and another command may be draining a node.
  const isAnswer = ({ state }: UnreadyNode) =>
    state.kind === 'unready' && !state.reasons.includes('draining');
  expectNone(unready.filter((each) => !isAnswer(each)));
  await expectTokenTaken(nodes, admin);
  const held = await Promise.all(nodes.map((node) => admin.connections(node)));
  const clientsOf = new Map(nodes.map(({ name }, i) => [name, held[i] ?? 0]));
  const clients = ({ name }: FleetNode): number => clientsOf.get(name) ?? 0;
  expectNone(unready.filter(({ node }) => clients(node) > 0));
  const useless = unready.map(({ node }) => node);
  const serving = nodes.filter((node) => !useless.includes(node));
  const inOrder = [...useless, ...serving.toSorted((one, other) => clients(one) - clients(other))];
  const chosen = inOrder.slice(0, count - idle.length);
  await removeAll(fleet, chosen, idle, admin, settings, report);
}

async function removeAll(
  fleet: Fleet,
  chosen: readonly FleetNode[],
  idle: readonly string[],
  admin: AdminClient,
  settings: RollSettings,
  report: Report,
): Promise<void> {
  const before = await fleet.list();
  const names = new Set(chosen.map(({ name }) => name));
  const staying = before.filter(({ name }) => !names.has(name));
  if (staying.length === 0) throw new RollError(`of ${before.length} nodes one must stay`);
  const idleStaying = (await fleet.listIdle()).filter((name) => !idle.includes(name));
  for (const name of idle) {
    await fleet.removeIdle(name);
    report(`${name}: removed, it did not run`);
  }
  for (let i = 0; i < chosen.length; i += settings.parallel) {
    const removed = [...idle, ...chosen.slice(0, i).map(({ name }) => name)];
    await expectAllReady(staying, admin, removed);
    const batch = chosen.slice(i, i + settings.parallel);
    await Promise.all(batch.map((node) => drainNode(node, admin, settings, report)));
    for (const node of batch) {
      await fleet.remove(node);
      report(`${node.name}: removed`);
    }
  }
  const left = staying.length + idleStaying.length;
  report(`${left} nodes are left: write ${left} as the count before the next apply`);
}

/** @param removed nodes that were removed before. */
async function expectAllReady(
  nodes: readonly FleetNode[],
  admin: AdminClient,
  removed: readonly string[] = [],
): Promise<void> {
  expectNone(await findUnready(nodes, admin), removed);
}

function expectNone(unready: readonly UnreadyNode[], removed: readonly string[] = []): void {
  if (unready.length === 0) return;
  const before = removed.length === 0 ? 'nothing was touched' : `removed: ${removed.join(', ')}`;
  throw new RollError(`${before}: ${describeUnready(unready)}`);
}

/** A machine that starts during a roll may be made from the old template, and would stay as it is. */
async function expectNoneIdle(fleet: Fleet): Promise<void> {
  const idle = await fleet.listIdle();
  if (idle.length === 0) return;
  throw new RollError(
    `nothing was touched: ${idle.join(', ')} must run first, or go (--remove-count takes such ones first)`,
  );
}

/**
 * Ensures that every node accepts a token before anything changes. A refusal in the middle would leave a
 * group of old and new nodes, and the added ones.
 */
async function expectTokenTaken(nodes: readonly FleetNode[], admin: AdminClient): Promise<void> {
  const areTaken = await Promise.all(nodes.map((node) => admin.takesToken(node)));
  const refusing = nodes.filter((_, i) => !areTaken[i]).map(({ name }) => name);
  if (refusing.length === 0) return;
  throw new RollError(
    `nothing was touched: ${refusing.join(', ')} answered 401: they accept none of the tokens`,
  );
}

function estimate(rounds: number, { plannedDrainMs, healthWindowMs, surge }: RollSettings): string {
  const drainedMs = rounds * (plannedDrainMs + healthWindowMs);
  const madeMs = (rounds + (surge > 0 ? 1 : 0)) * REPLACEMENT_ESTIMATE_MS;
  const total = drainedMs + madeMs + (surge > 0 ? healthWindowMs : 0);
  return `about ${minutes(drainedMs)} where a node only starts again, ${minutes(total)} where Google makes it`;
}

function progress(done: number, all: number, elapsedMs: number): string {
  const left = (elapsedMs / done) * (all - done);
  return `${done} of ${all} replaced${left === 0 ? '' : `, about ${minutes(left)} to go`}`;
}

function minutes(ms: number): string {
  const MINUTE_MS = 60_000;
  const rounded = Math.ceil(ms / MINUTE_MS);
  return rounded === 1 ? '1 minute' : `${rounded} minutes`;
}
