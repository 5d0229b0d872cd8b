import { setTimeout as sleep } from 'node:timers/promises';
import { type AdminClient, UnansweredError } from './admin-client.ts';
import type { FleetNode } from './reach.ts';
import type { Report } from './report.ts';

/** How a drain is waited for. Times in ms. */
export interface DrainSettings {
  /** What a node takes at most for its drain: its `DRAIN_SECONDS`. */
  readonly plannedDrainMs: number;
  /** How long it may take to end: that, its stop, and a reserve. */
  readonly drainTimeoutMs: number;
  /** How often it is asked. */
  readonly pollMs: number;
}

/** Unanswered questions in a row after which a node is not just slow. */
export const UNREACHABLE_IN_A_ROW = 3;

/**
 * Drains a node, and resolves when it has ended. That nobody answers any more is not enough to believe it: a tunnel
 * that dropped, or a firewall, looks the same, and the node would be replaced with its clients on it. Nor
 * does the state of its machine tell, which goes on running. So one of these must be added:
 * - the last that it told was that it had no clients;
 * - the time that it takes at most for its drain has passed since it began;
 * - it answers again and knows of no drain: a supervisor has started it anew.
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
          `${node.name}: does not answer any more, last seen with ${clients ?? 'an unknown number of'} clients; ` +
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
