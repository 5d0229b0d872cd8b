/** A node: its name and the address of its admin port. */
export interface FleetNode {
  readonly name: string;
  /** E.g. `http://10.0.0.4:9080`, without a slash at its end: the node's own address, independent of the way to it. */
  readonly adminUrl: string;
  /** The zone of a machine of an instance group, e.g. `europe-west4-a`. */
  readonly zone?: string;
}

/** The way to admin ports from this machine. */
export interface Reach extends AsyncDisposable {
  /**
   * The URL by which a node's admin port is reachable now, without a slash at the end; the next call may return another
   * one. Rejects if there is no way.
   */
  urlOf(node: FleetNode): Promise<string>;
  /** Closes the ways to all nodes but these. */
  keepOnly(nodes: readonly FleetNode[]): void;
}

/** Reaches nodes at their own addresses. */
export const DIRECTLY: Reach = {
  urlOf: async ({ adminUrl }) => adminUrl,
  keepOnly() {},
  async [Symbol.asyncDispose]() {},
};
