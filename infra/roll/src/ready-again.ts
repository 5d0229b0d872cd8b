import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminClient, NodeState } from './admin-client.ts';
import { UNREACHABLE_IN_A_ROW } from './drain-node.ts';
import type { Fleet } from './fleet.ts';
import type { FleetNode } from './reach.ts';
import type { Report } from './report.ts';

/** How long to wait for nodes, and to watch them. Times in ms. */
export interface ReadySettings {
  /** How long a replacement may take until it is ready. */
  readonly readyTimeoutMs: number;
  /** How long all nodes must then stay ready before the next one is touched. */
  readonly healthWindowMs: number;
  /** The interval between two looks. */
  readonly pollMs: number;
}

/** A node that is not ready, and the reason. */
export interface UnreadyNode {
  readonly node: FleetNode;
  readonly state: Exclude<NodeState, { readonly kind: 'ready' }>;
}

export async function findUnready(
  nodes: readonly FleetNode[],
  admin: AdminClient,
): Promise<readonly UnreadyNode[]> {
  const states = await Promise.all(nodes.map((node) => admin.state(node)));
  return states.flatMap((state, i) =>
    state.kind === 'ready' ? [] : [{ node: nodes[i] as FleetNode, state }],
  );
}

export function describeUnready(unready: readonly UnreadyNode[]): string {
  return unready
    .map(({ node, state }) => {
      const why = state.kind === 'unready' ? state.reasons.join(', ') : state.cause;
      return `${node.name} is ${state.kind} (${why})`;
    })
    .join('; ');
}

/**
 * Resolves after as many nodes as before are ready and have been for the health window. A node that reports that it is
 * not ready ends the window at once. A node that does not answer ends it only if a second request fails. A list that
 * cannot be read says nothing about the nodes, and is requested again.
 */
export async function untilReadyAgain(
  fleet: Fleet,
  wanted: number,
  admin: AdminClient,
  { readyTimeoutMs, healthWindowMs, pollMs }: ReadySettings,
  report: Report,
): Promise<void> {
  let deadline = performance.now() + readyTimeoutMs;
  let readySince: number | undefined;
  let doubts = 0;
  for (;;) {
    const look = await lookAt(fleet, wanted, admin);
    const now = performance.now();
    if (look.kind === 'ready') {
      if (readySince === undefined) {
        readySince = now;
        report(`all ready; watching them for ${healthWindowMs / 1_000} s`);
      }
      if (now - readySince >= healthWindowMs) return;
      deadline = now + readyTimeoutMs;
    }
    doubts = look.kind === 'doubtful' ? doubts + 1 : 0;
    if (readySince !== undefined && (look.kind === 'unready' || doubts >= UNREACHABLE_IN_A_ROW)) {
      throw new Error(`not healthy: ${look.why}`);
    }
    if (now >= deadline) {
      throw new Error(`not ready after ${readyTimeoutMs / 1_000} s: ${look.why}`);
    }
    await sleep(pollMs);
  }
}

type Look =
  | { readonly kind: 'ready'; readonly why?: undefined }
  /** A node reports it, or is missing from the list. */
  | { readonly kind: 'unready'; readonly why: string }
  /** A node does not answer. */
  | { readonly kind: 'doubtful'; readonly why: string }
  | { readonly kind: 'blind'; readonly why: string };

async function lookAt(fleet: Fleet, wanted: number, admin: AdminClient): Promise<Look> {
  let nodes: readonly FleetNode[];
  try {
    nodes = await fleet.list();
  } catch (error) {
    return { kind: 'blind', why: `the nodes cannot be listed: ${(error as Error).message}` };
  }
  const unready = await findUnready(nodes, admin);
  const isSaid = unready.some(({ state }) => state.kind === 'unready');
  if (isSaid) return { kind: 'unready', why: describeUnready(unready) };
  if (unready.length > 0) return { kind: 'doubtful', why: describeUnready(unready) };
  if (nodes.length >= wanted) return { kind: 'ready' };
  return { kind: 'unready', why: `${nodes.length} of ${wanted} nodes are there` };
}
