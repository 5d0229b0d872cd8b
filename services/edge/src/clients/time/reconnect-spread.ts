/**
 * How many clients of one node come back in a second after the node has ended without a notice. The other nodes share them. It
 * is a design figure and was not measured: about three times the pace of a drain of a full node with the default settings
 * (40,000 clients in 14 s). Without a spread all 40,000 come within a second, because no client knows how many others lost
 * the same node.
 */
const RETURNS_PER_SECOND = 8_000;

/**
 * The time over which the clients of a node must spread their return, in ms; at least 1. A client that connected early was told
 * a shorter time, for fewer clients, and is not told again: if 40,000 clients have connected since, about 21,000 of them come
 * back in the first second.
 *
 * @param connections of the whole node.
 */
export function reconnectSpreadMs(connections: number): number {
  return Math.max(1, Math.ceil((connections / RETURNS_PER_SECOND) * 1_000));
}
