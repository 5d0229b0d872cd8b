import { eventually } from '../suite/wait.ts';
import { ClusterBusProxy } from './cluster-bus-proxy.ts';
import { type RedisNode, startRedisNode } from './redis-topology.ts';

/** The number of slots of every Redis Cluster. */
export const CLUSTER_SLOTS = 16_384;

/** How long nodes may take to know each other, and to agree after a change, in ms, also on slow machines. */
const AGREE_DEADLINE_MS = 40_000;

/** Keys that one MIGRATE takes along, as `redis-cli --cluster reshard` does. */
const MIGRATE_KEYS = 10;

/** How long one MIGRATE may take, in ms. */
const MIGRATE_TIMEOUT_MS = 5_000;

/** How long a node of a cluster with replicas must be silent until another one takes over, in ms, unless a test says it. */
const FAILOVER_AFTER_MS = 2_000;

/** The same where nobody can take over, in ms: longer than a busy machine, or a test, keeps a node silent. */
const PATIENT_MS = 30_000;

export interface RedisClusterOptions {
  /** Default: 3. */
  readonly masters?: number;
  /** For each master. Default: 1. */
  readonly replicas?: number;
  /**
   * How long a node must be silent before the others consider it failed, in ms. Default: 2,000, or 30,000 without replicas. A shorter
   * time fails over quicker, and also when the machine is busy.
   */
  readonly nodeTimeoutMs?: number;
  /** Further arguments for each `redis-server`. */
  readonly args?: readonly string[];
  /** The same, of one node. */
  readonly nodeArgs?: () => Promise<readonly string[]>;
  /**
   * Ports that the first nodes tell to clients instead of their own, such as those of proxies that stand before them. Replicas would
   * come that way, too.
   */
  readonly announcedPorts?: readonly number[];
  /** The path of another server's program, such as Valkey's. */
  readonly program?: string;
}

/** One `redis-server` of a cluster. Its address never changes, also by a restart. */
export interface ClusterNode extends RedisNode {
  /** As `CLUSTER MYID` says. */
  readonly id: string;
}

/** What a node says of another one. */
export interface SeenNode {
  readonly id: string;
  readonly port: number;
  readonly flags: readonly string[];
  /** The id of its master; undefined for a master. */
  readonly master: string | undefined;
  /** The slots that it owns, as ranges with both ends. */
  readonly slots: readonly (readonly [number, number])[];
  /** The epoch of what it owns: of two masters that claim a slot, the one with the higher epoch has it. */
  readonly epoch: number;
}

/** A Redis Cluster of processes on loopback, for one test file. */
export interface RedisCluster extends AsyncDisposable {
  /** The masters of the start, and then their replicas in the same order. */
  readonly nodes: readonly ClusterNode[];
  /** The `REDIS_URL` for `REDIS_MODE=cluster`: all nodes. */
  readonly url: string;
  /** The slot of a key, or of a channel. */
  slotOf(key: string): Promise<number>;
  /** The node that owns a slot now: it says so itself, and has the newest epoch of those that do. */
  ownerOf(slot: number): Promise<ClusterNode>;
  /** The same of all slots; undefined where no node that runs owns the slot. */
  owners(): Promise<readonly (ClusterNode | undefined)[]>;
  /** The node that owns a channel's slot now. */
  masterOf(channel: string): Promise<ClusterNode>;
  /** The replicas of a master now. */
  replicasOf(master: ClusterNode): Promise<readonly ClusterNode[]>;
  /** Returns `count` names such as `<prefix>-17` whose slots this node owns now. */
  channelsOn(node: ClusterNode, count: number, prefix: string): Promise<readonly string[]>;
  /** Moves a slot with its keys to another master, in the steps of `redis-cli --cluster reshard`. Nodes that are isolated hear nothing of it. */
  moveSlot(slot: number, to: ClusterNode): Promise<void>;
  /** Begins the same and leaves the slot half moved; `keys` of its keys have gone. */
  beginMove(slot: number, to: ClusterNode, keys: number): Promise<void>;
  /** Promotes a replica in agreement with its master, which becomes its replica. Resolves after both say so. */
  failOver(replica: ClusterNode): Promise<void>;
  /** Cuts the cluster bus between this node and all others. Clients reach all of them. Ends by its disposal. */
  isolate(node: ClusterNode): Disposable;
  /** What one node says of all. */
  seenBy(node: ClusterNode): Promise<readonly SeenNode[]>;
  /** Resolves after every node that runs says that all slots are served, and that replicas follow. */
  untilWhole(deadlineMs?: number): Promise<void>;
}

/** Does the same on all of these nodes, and returns what the first one answered. */
export async function onEach<T>(
  nodes: readonly ClusterNode[],
  act: (node: ClusterNode) => Promise<T>,
): Promise<T> {
  const [first] = await Promise.all(nodes.map(act));
  return first as T;
}

/** Starts a cluster, and resolves after all nodes agree on it. The caller ends it. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  await using stack = new AsyncDisposableStack();
  const { masters = 3, replicas = 1, args = [], program } = options;
  const { nodeTimeoutMs = replicas === 0 ? PATIENT_MS : FAILOVER_AFTER_MS } = options;
  const isolated = new Set<string>();
  const proxies: ClusterBusProxy[] = [];
  const nodes: ClusterNode[] = [];
  for (let i = 0; i < masters * (1 + replicas); i += 1) {
    const proxy = stack.use(
      await ClusterBusProxy.start((one, other) => isolated.has(one) || isolated.has(other)),
    );
    const announced = options.announcedPorts?.[i];
    const started = stack.use(
      await startRedisNode({
        ...(program === undefined ? {} : { program }),
        args: [
          ...['--cluster-enabled', 'yes', '--cluster-port', String(proxy.busPort)],
          ...['--cluster-announce-bus-port', String(proxy.port)],
          ...['--cluster-node-timeout', String(nodeTimeoutMs)],
          ...['--cluster-replica-validity-factor', '0', '--cluster-migration-barrier', '9'],
          ...args,
          ...((await options.nodeArgs?.()) ?? []),
          ...(announced === undefined ? [] : ['--cluster-announce-port', String(announced)]),
        ],
      }),
    );
    proxy.receiver = String(await started.control.cluster('MYID'));
    proxies.push(proxy);
    nodes.push({ ...started, id: proxy.receiver });
  }
  const running = new Running(nodes);
  await form(nodes, proxies, masters);

  const cluster: RedisCluster = {
    nodes,
    url: `redis://${nodes.map(({ host, port }) => `${host}:${port}`).join()}`,
    slotOf: async (key) => Number(await running.any().control.cluster('KEYSLOT', key)),
    ownerOf: (slot) => running.ownerOf(slot),
    owners: () => running.owners(),
    masterOf: async (channel) => await running.ownerOf(await cluster.slotOf(channel)),
    async replicasOf(master) {
      const seen = await seenBy(running.any());
      return nodes.filter(({ id }) =>
        seen.some((each) => each.id === id && each.master === master.id && !isFailed(each)),
      );
    },
    async channelsOn(node, count, prefix) {
      const { slots = [] } = (await seenBy(node)).find(({ id }) => id === node.id) ?? {};
      const names: string[] = [];
      for (let n = 0; names.length < count && n < 100 * count + 10_000; n += 1) {
        const name = `${prefix}-${n}`;
        const slot = await cluster.slotOf(name);
        if (slots.some(([from, to]) => slot >= from && slot <= to)) names.push(name);
      }
      return names;
    },
    async moveSlot(slot, to) {
      const from = await running.ownerOf(slot);
      if (from.id === to.id) return;
      await beginMove(slot, from, to);
      while ((await moveKeys(slot, from, to, MIGRATE_KEYS)) > 0);
      const masters = await running.masters();
      const reached = masters.filter(({ id }) => !isolated.has(id));
      await finishMove(slot, from, to, reached);
    },
    async beginMove(slot, to, keys) {
      const from = await running.ownerOf(slot);
      await beginMove(slot, from, to);
      if (keys > 0) await moveKeys(slot, from, to, keys);
    },
    async failOver(replica) {
      await replica.control.cluster('FAILOVER');
      await eventually(async () => !(await seenByItself(replica)).master, {
        deadlineMs: AGREE_DEADLINE_MS,
      });
      await cluster.untilWhole();
    },
    isolate(node) {
      isolated.add(node.id);
      for (const proxy of proxies) proxy.apply();
      return { [Symbol.dispose]: () => void isolated.delete(node.id) };
    },
    seenBy,
    untilWhole: (deadlineMs = AGREE_DEADLINE_MS) => running.untilWhole(deadlineMs),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  const owned = stack.move();
  try {
    await cluster.untilWhole();
  } catch (error) {
    await owned.disposeAsync();
    throw error;
  }
  return cluster;
}

/** The nodes of a cluster that answer. */
class Running {
  readonly #nodes: readonly ClusterNode[];

  constructor(nodes: readonly ClusterNode[]) {
    this.#nodes = nodes;
  }

  /** A node that has a connection. */
  any(): ClusterNode {
    const node = this.#nodes.find(({ control }) => control.status === 'ready');
    if (node === undefined) throw new Error('no node of the cluster answers');
    return node;
  }

  /** By each node's own word: others may take one that was started again for the master that it was. */
  async masters(): Promise<readonly ClusterNode[]> {
    const ready = this.#nodes.filter(({ control }) => control.status === 'ready');
    const own = await Promise.all(ready.map(seenByItself));
    return ready.filter((_, i) => own[i]?.master === undefined);
  }

  async ownerOf(slot: number): Promise<ClusterNode> {
    const owner = (await this.owners())[slot];
    if (owner === undefined) throw new Error(`nobody owns slot ${slot}`);
    return owner;
  }

  async owners(): Promise<readonly (ClusterNode | undefined)[]> {
    const owners = new Array<ClusterNode | undefined>(CLUSTER_SLOTS).fill(undefined);
    const ready = this.#nodes.filter(({ control }) => control.status === 'ready');
    const claims = await Promise.all(
      ready.map(async (node) => ({ node, seen: await seenByItself(node) })),
    );
    for (const { node, seen } of claims.toSorted((one, other) => one.seen.epoch - other.seen.epoch))
      for (const [from, to] of seen.slots) owners.fill(node, from, to + 1);
    return owners;
  }

  async untilWhole(deadlineMs: number): Promise<void> {
    await eventually(
      async () => {
        for (const node of this.#nodes) {
          if (node.control.status !== 'ready') continue;
          if (!String(await node.control.cluster('INFO')).includes('cluster_state:ok'))
            throw new Error(`${node.port} says that the cluster is down`);
          const info = await node.control.info('replication');
          if (info.includes('role:slave') && !info.includes('master_link_status:up'))
            throw new Error(`${node.port} does not follow its master`);
        }
        const views = new Set<string>();
        for (const node of this.#nodes) {
          if (node.control.status === 'ready') views.add(JSON.stringify(await owners(node)));
        }
        if (views.size !== 1) throw new Error(`${views.size} views of who owns which slots`);
      },
      { deadlineMs },
    );
  }
}

async function form(
  nodes: readonly ClusterNode[],
  proxies: readonly ClusterBusProxy[],
  masters: number,
): Promise<void> {
  const [first] = nodes as [ClusterNode];
  for (const [i, { control }] of nodes.entries()) {
    await control.cluster('SET-CONFIG-EPOCH', i + 1);
    if (i >= masters) continue;
    const from = Math.floor((i * CLUSTER_SLOTS) / masters);
    const until = Math.floor(((i + 1) * CLUSTER_SLOTS) / masters) - 1;
    await control.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(until));
  }
  for (const [i, { host, port }] of nodes.entries()) {
    if (i === 0) continue;
    await first.control.call('CLUSTER', 'MEET', host, String(port), String(proxies[i]!.port));
  }
  const settled = { deadlineMs: AGREE_DEADLINE_MS };
  await eventually(async () => {
    for (const node of nodes) {
      const seen = await seenBy(node);
      if (seen.length !== nodes.length) return false;
      if (seen.some(({ flags }) => flags.includes('handshake'))) return false;
    }
    return true;
  }, settled);
  for (const [i, { control }] of nodes.entries()) {
    if (i < masters) continue;
    const { id } = nodes[i % masters]!;
    await eventually(() => control.cluster('REPLICATE', id), settled);
  }
  await eventually(async () => {
    const seen = await seenBy(first);
    return seen.filter(({ master }) => master !== undefined).length === nodes.length - masters;
  }, settled);
}

async function beginMove(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
  await to.control.cluster('SETSLOT', slot, 'IMPORTING', from.id);
  await from.control.cluster('SETSLOT', slot, 'MIGRATING', to.id);
}

/** Returns how many keys have gone. */
async function moveKeys(
  slot: number,
  from: ClusterNode,
  to: ClusterNode,
  most: number,
): Promise<number> {
  const keys = (await from.control.cluster('GETKEYSINSLOT', slot, most)) as string[];
  if (keys.length === 0) return 0;
  const target = [to.host, String(to.port), '', '0', String(MIGRATE_TIMEOUT_MS)];
  await from.control.call('MIGRATE', ...target, 'KEYS', ...keys);
  return keys.length;
}

/** The new owner hears of it first: otherwise nobody owned the slot for a moment. */
async function finishMove(
  slot: number,
  from: ClusterNode,
  to: ClusterNode,
  masters: readonly ClusterNode[],
): Promise<void> {
  await to.control.cluster('SETSLOT', slot, 'NODE', to.id);
  await from.control.cluster('SETSLOT', slot, 'NODE', to.id);
  for (const { id, control } of masters) {
    if (id !== to.id && id !== from.id) await control.cluster('SETSLOT', slot, 'NODE', to.id);
  }
}

async function seenByItself(node: ClusterNode): Promise<SeenNode> {
  const seen = (await seenBy(node)).find(({ id }) => id === node.id);
  if (seen === undefined) throw new Error(`${node.port} does not know itself`);
  return seen;
}

/** Who owns which slots, by this node. */
async function owners(node: ClusterNode): Promise<readonly string[]> {
  return (await seenBy(node))
    .filter(({ slots }) => slots.length > 0)
    .map(({ id, slots }) => `${id} ${JSON.stringify(slots)}`)
    .sort();
}

async function seenBy({ control }: RedisNode): Promise<readonly SeenNode[]> {
  const lines = String(await control.cluster('NODES'))
    .trim()
    .split('\n');
  return lines.map(readLine);
}

/** `<id> <ip:port@cport[,hostname]> <flags> <master> <ping> <pong> <epoch> <link> <slot> …`; a slot that moves is in brackets. */
function readLine(line: string): SeenNode {
  const [id = '', address = '', flags = '', master = '', , , epoch, , ...slots] = line.split(' ');
  return {
    id,
    port: Number(/:(\d+)@/.exec(address)?.[1]),
    flags: flags.split(','),
    master: master === '-' ? undefined : master,
    epoch: Number(epoch),
    slots: slots
      .filter((slot) => !slot.startsWith('['))
      .map((slot) => {
        const [from = 0, to = from] = slot.split('-').map(Number);
        return [from, to] as const;
      }),
  };
}

function isFailed({ flags }: SeenNode): boolean {
  return flags.includes('fail') || flags.includes('noaddr');
}
