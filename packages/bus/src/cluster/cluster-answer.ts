import type { HostAndPort } from '../redis-settings.ts';
import { SLOTS } from './hash-slot.ts';

/** A master that owns slots. */
export interface ShardMaster extends HostAndPort {
  /** Its slots, as ranges with both ends. */
  readonly ranges: readonly (readonly [number, number])[];
}

/** What one node says of its cluster. */
export interface ClusterAnswer {
  /**
   * Grows with each failover, and with a slot that moves only if its new owner does not have the highest one already. A node
   * that is cut off from the others keeps an old one.
   */
  readonly epoch: number;
  /** Whether the node takes part in a cluster that serves. A node in a minority says no. */
  readonly isServing: boolean;
  readonly masters: readonly ShardMaster[];
}

/**
 * The most shards, and nodes of a shard, in an answer. Redis recommends at most 1,000 nodes. An answer beyond it is a mistake
 * or an attack, and a node would open two connections to each.
 */
const MAX_SHARDS = 500;
const MAX_NODES_OF_SHARD = 64;
const MAX_RANGES = SLOTS / 2;

const HOST = /^[A-Za-z0-9_.:%-]{1,253}$/;

/**
 * Reads what `CLUSTER INFO` and `CLUSTER SHARDS` answered.
 *
 * @param askedHost the host that was asked: a node may not know its own address.
 * @throws {Error} if it is not the answer of a node of a cluster, or if it is too large.
 */
export function readClusterAnswer(
  info: unknown,
  shards: unknown,
  askedHost: string,
  tls: boolean,
): ClusterAnswer {
  const epoch = Number(/cluster_current_epoch:(\d{1,15})/.exec(String(info))?.[1] ?? Number.NaN);
  if (Number.isNaN(epoch) || !Array.isArray(shards))
    throw new Error('it is no node of a Redis Cluster');
  if (shards.length > MAX_SHARDS) throw new Error(`it names more than ${MAX_SHARDS} shards`);
  const masters: ShardMaster[] = [];
  for (const shard of shards) {
    const fields = fieldsOf(shard);
    const ranges = readRanges(fields.get('slots'));
    if (ranges.length === 0) continue;
    const address = masterOf(fields.get('nodes'), askedHost, tls);
    if (address !== undefined) masters.push({ ...address, ranges });
  }
  return { epoch, isServing: String(info).includes('cluster_state:ok'), masters };
}

/**
 * The answers to go by: those with the highest epoch, and of these those of nodes that serve if there are any. Nodes of one epoch
 * may differ for about a second after a slot has moved.
 */
export function newestAnswers(answers: readonly ClusterAnswer[]): readonly ClusterAnswer[] {
  const epoch = Math.max(...answers.map((answer) => answer.epoch));
  const newest = answers.filter((answer) => answer.epoch === epoch);
  const serving = newest.filter(({ isServing }) => isServing);
  return serving.length > 0 ? serving : newest;
}

/** A shard whose master has just failed may list two of them; the one that is online is the one to use. */
function masterOf(nodes: unknown, askedHost: string, tls: boolean): HostAndPort | undefined {
  if (!Array.isArray(nodes)) return undefined;
  const masters = nodes
    .slice(0, MAX_NODES_OF_SHARD)
    .map(fieldsOf)
    .filter((node) => node.get('role') === 'master');
  const master = masters.find((node) => node.get('health') === 'online') ?? masters[0];
  if (master === undefined) return undefined;
  const port = Number((tls ? master.get('tls-port') : undefined) ?? master.get('port'));
  const host = [master.get('endpoint'), master.get('ip'), askedHost].find(isHost);
  if (host === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return { host, port };
}

/** Redis says `?` for a host name that it does not know. */
function isHost(value: unknown): value is string {
  return typeof value === 'string' && value !== '?' && HOST.test(value);
}

function readRanges(value: unknown): (readonly [number, number])[] {
  if (!Array.isArray(value) || value.length > 2 * MAX_RANGES) return [];
  const ranges: (readonly [number, number])[] = [];
  for (let at = 0; at + 1 < value.length; at += 2) {
    const [from, to] = [Number(value[at]), Number(value[at + 1])];
    const isRange = Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to;
    if (isRange && to < SLOTS) ranges.push([from, to]);
  }
  return ranges;
}

/** A map of RESP3, which ioredis hands over as a flat list. */
function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  const fields = new Map<string, unknown>();
  if (!Array.isArray(value)) return fields;
  for (let at = 0; at + 1 < value.length; at += 2) fields.set(String(value[at]), value[at + 1]);
  return fields;
}
