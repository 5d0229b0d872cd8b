import type { FleetNode } from './admin-client.ts';

/** How admin ports are reached from here. */
export interface Reach extends AsyncDisposable {
  /**
   * Where a node's admin port is reached right now, without a slash at the end; it may be elsewhere the
   * next time. Rejects when there is no way to it.
   */
  urlOf(node: FleetNode): Promise<string>;
  /** Gives up what leads to other nodes than these. */
  keepOnly(nodes: readonly FleetNode[]): void;
}

/** At the nodes' own addresses. */
export const DIRECTLY: Reach = {
  urlOf: async ({ adminUrl }) => adminUrl,
  keepOnly() {},
  async [Symbol.asyncDispose]() {},
};
