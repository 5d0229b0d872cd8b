/** A node, by its name and where its admin port is. */
export interface FleetNode {
  readonly name: string;
  /** E.g. `http://10.0.0.4:9080`, without a slash at its end: the node's own, whatever leads there. */
  readonly adminUrl: string;
  /** Where a machine of an instance group runs, e.g. `europe-west4-a`. */
  readonly zone?: string;
}

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
