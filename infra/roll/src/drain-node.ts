import { setTimeout as sleep } from 'node:timers/promises';
import { type AdminClient, UnansweredError } from './admin-client.ts';
import type { FleetNode } from './reach.ts';
import type { Report } from './report.ts';

/** How to wait for a drain. Times in ms. */
export interface DrainSettings {
  /** The longest drain of a node: its `DRAIN_SECONDS`. */
  readonly plannedDrainMs: number;
  /** How long it may take to end: its drain, its stop, and a reserve. */
  readonly drainTimeoutMs: number;
  /** The interval between two requests. */
  readonly pollMs: number;
}

/** After this many unanswered requests in a row a node is more than slow. */
export const UNREACHABLE_IN_A_ROW = 3;

/**
 * Drains a node, and resolves after it has ended. A missing answer is no proof: a dropped tunnel or a firewall looks
 * the same, and the node would be replaced with its clients on it. The state of its machine is no proof either, because
 * the machine keeps running. One of these must be added:
 * - its last answer was that it had no clients;
 * - the longest time of a drain has passed since the drain began;
 * - it answers again and is not draining: a supervisor has started it anew.
 */
export async function drainNode(
  node: FleetNode,
  admin: AdminClient,
  { plannedDrainMs, drainTimeoutMs, pollMs }: DrainSettings,
  report: Report,
): Promise<void> {
  report(`${node.name}: draining`);
  await beginDrain(node, admin, pollMs);
  const begunAt = performance.now();
  let wasDraining = false;
  let unreachable = 0;
  let clients: number | undefined;
  for (;;) {
    const state = await admin.state(node);
    const elapsedMs = performance.now() - begunAt;
    const isDraining = state.kind === 'unready' && state.reasons.includes('draining');
    if (state.kind !== 'unreachable' && wasDraining && !isDraining) return;
    if (isDraining) clients = (await admin.connections(node).catch(() => undefined)) ?? clients;
    wasDraining ||= isDraining;
    unreachable = state.kind === 'unreachable' ? unreachable + 1 : 0;
    if (unreachable >= UNREACHABLE_IN_A_ROW) {
      if (clients === 0 || elapsedMs >= plannedDrainMs) return;
      if (unreachable === UNREACHABLE_IN_A_ROW) {
        report(
          `${node.name}: no longer answers, last seen with ${clients ?? 'an unknown number of'} clients; ` +
            `waiting until ${plannedDrainMs / 1_000} s after its drain began`,
        );
      }
    }
    if (elapsedMs >= drainTimeoutMs) {
      throw new Error(
        `${node.name} has not ended ${drainTimeoutMs / 1_000} s after its drain began`,
      );
    }
    await sleep(pollMs);
  }
}

async function beginDrain(node: FleetNode, admin: AdminClient, pollMs: number): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await admin.drain(node);
    } catch (error) {
      if (!(error instanceof UnansweredError) || tries >= UNREACHABLE_IN_A_ROW) throw error;
    }
    await sleep(pollMs);
  }
}
