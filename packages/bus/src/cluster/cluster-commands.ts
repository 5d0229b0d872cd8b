import type { Position } from '@tradewind/protocol';
import type { RedisCommandsEvents } from '../commands/command-link.ts';
import type { Commands } from '../commands/commands.ts';
import {
  type HeartbeatOutcome,
  type KeptRevocations,
  RedisCommands,
} from '../commands/redis-commands.ts';
import {
  CONSOLE_WATCH_KEY,
  type ConsoleWatch,
  type NodeAnswer,
} from '../contract/console-watch.ts';
import type { EpochStart } from '../contract/epoch-script.ts';
import type { ChannelHistory } from '../contract/history.ts';
import { NODES_KEY, type NodeEvent, type NodeState } from '../contract/node-state.ts';
import type { PublishedPosition, SequencedPublication } from '../contract/publish-script.ts';
import { REVOCATIONS_KEY, type Revocation } from '../contract/revocation.ts';
import { RedisRefusedError, RedisUnavailableError } from '../redis-errors.ts';
import { MAX_REDIRECTS } from '../redis-limits.ts';
import { type HostAndPort, nodeSettings, type RedisSettings } from '../redis-settings.ts';
import { ClusterMap } from './cluster-map.ts';
import { hashSlot } from './hash-slot.ts';
import { OrderedCalls, type Target } from './ordered-calls.ts';
import { type Redirect, readRedirect } from './redirect.ts';
import { nodeName } from './slot-map.ts';

/** Hears of changes of the map, beside the owner's events. No handler may throw. */
export interface ClusterListener {
  /**
   * The owners of some slots, or the masters, may have changed; with `slot`, only the owner of this one. The commands have a
   * link to each master already.
   */
  mapChanged(slot?: number): void;
  /** The nodes were asked again, and nothing changed. */
  mapUnchanged(): void;
  /** Whether it lacks nothing that another answer could bring. */
  isSettled(): boolean;
}

interface Node {
  readonly address: HostAndPort;
  readonly commands: RedisCommands;
}

/**
 * Commands to a Redis Cluster. There is one link to each master; each command goes to the master of its key's slot, and
 * follows a few redirects. Redis executes the publications of one channel in the
 * order of the calls.
 */
export class ClusterCommands implements Commands {
  readonly map: ClusterMap;
  readonly #settings: RedisSettings;
  readonly #events: RedisCommandsEvents;
  readonly #nodes = new Map<string, Node>();
  readonly #listeners = new Set<ClusterListener>();
  readonly #publishing: OrderedCalls<Node>;
  #isStopped = false;

  /**
   * @param events `available` and `unavailable` come for each master.
   * @throws {TypeError} if the settings are invalid; see `checkRedisUrl`.
   */
  constructor(settings: RedisSettings, events: RedisCommandsEvents) {
    this.#settings = settings;
    this.#events = events;
    this.map = new ClusterMap(settings, (name) => this.#askNode(name), {
      changed: (slot) => this.#follow(slot),
      unchanged: () => {
        for (const listener of this.#listeners) listener.mapUnchanged();
        this.judge();
      },
      unknown: (cause) => events.unavailable(`no node says who owns the slots: ${cause}`),
    });
    this.#publishing = new OrderedCalls({
      ownerOf: (key) => this.#ownerOf(hashSlot(key)),
      follow: (redirect, node, key) => this.#redirected(redirect, node, hashSlot(key)),
    });
  }

  /** Whether the link to any master is up. A shard whose master is away refuses its commands alone. */
  get available(): boolean {
    return [...this.#nodes.values()].some(({ commands }) => commands.available);
  }

  /** Whether the link to this master is up. */
  isAvailable(name: string): boolean {
    return this.#nodes.get(name)?.commands.available === true;
  }

  /** Whether the link to the master of a slot is up. */
  isSlotServed(slot: number): boolean {
    const name = this.map.ownerOf(slot);
    const node = name === undefined ? undefined : this.#nodes.get(name);
    // Nobody sends a command for such a slot, so this is how its owner is looked for soon.
    if (node === undefined) this.map.settle(false);
    return node?.commands.available === true;
  }

  /** As `Commands.shardOf`: the name of its master. All slots without a known master count as one shard. */
  shardOf(slot: number): string | undefined {
    return this.map.masters.size < 2 ? undefined : (this.map.ownerOf(slot) ?? 'none');
  }

  /** Decides how often the nodes are asked. Must be called when a listener is settled, or no longer is. */
  judge(): void {
    const areUp = [...this.#nodes.values()].every(({ commands }) => commands.available);
    const areSettled = [...this.#listeners].every((listener) => listener.isSettled());
    this.map.settle(this.#nodes.size > 0 && areUp && areSettled);
  }

  /** Hears of changes from now on. Returns what ends that. */
  listen(listener: ClusterListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Starts to connect, and reconnects until {@link stop}. */
  start(): void {
    this.map.start();
  }

  /** Ends all connections, and rejects every command in flight with the outcome `unknown`. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.map.stop();
    this.#listeners.clear();
    const stopping = [...this.#nodes.values()].map(({ commands }) => commands.stop());
    this.#nodes.clear();
    await Promise.all(stopping);
  }

  /** As `RedisCommands.publish`, by SPUBLISH. */
  publish(channel: string, payload: Uint8Array | string): Promise<number> {
    // A copy: the call may be repeated after the caller has reused the memory.
    const owned = typeof payload === 'string' ? payload : Buffer.from(payload);
    return this.#inOrder(channel, (commands) => commands.publish(channel, owned));
  }

  /** As `RedisCommands.publishSequenced`. */
  publishSequenced(publication: SequencedPublication): Promise<PublishedPosition> {
    const { channel, payload } = publication;
    const owned =
      typeof payload === 'string' ? publication : { ...publication, payload: Buffer.from(payload) };
    return this.#inOrder(channel, (commands) => commands.publishSequenced(owned));
  }

  /** As `RedisCommands.readHistory`. */
  readHistory(channel: string, from: number, limit: number, to?: number): Promise<ChannelHistory> {
    return this.#onSlotOf(channel, (commands) => commands.readHistory(channel, from, limit, to));
  }

  /** As `RedisCommands.readPosition`. */
  readPosition(channel: string): Promise<Position | undefined> {
    return this.#onSlotOf(channel, (commands) => commands.readPosition(channel));
  }

  /** As `RedisCommands.startEpoch`. */
  startEpoch(channel: string, expectedEpoch: string | undefined): Promise<EpochStart> {
    return this.#onSlotOf(channel, (commands) => commands.startEpoch(channel, expectedEpoch));
  }

  /** As `RedisCommands.readRevocations`. */
  readRevocations(): Promise<KeptRevocations> {
    return this.#onSlotOf(REVOCATIONS_KEY, (commands) => commands.readRevocations());
  }

  /** As `RedisCommands.revoke`. */
  revoke(revocation: Revocation, now: number): Promise<number | undefined> {
    return this.#onSlotOf(REVOCATIONS_KEY, (commands) => commands.revoke(revocation, now));
  }

  /** As `RedisCommands.writeNodeState`. */
  writeNodeState(
    state: NodeState,
    events: readonly NodeEvent[] | undefined,
    at: number,
  ): Promise<void> {
    return this.#onSlotOf(NODES_KEY, (commands) => commands.writeNodeState(state, events, at));
  }

  /** As `RedisCommands.readNodeStates`. */
  readNodeStates(isWanted?: (node: string) => boolean): Promise<readonly NodeState[]> {
    return this.#onSlotOf(NODES_KEY, (commands) => commands.readNodeStates(isWanted));
  }

  /** As `RedisCommands.readNodeEvents`. */
  readNodeEvents(nodes: readonly string[]): Promise<readonly (readonly NodeEvent[])[]> {
    return this.#onSlotOf(NODES_KEY, (commands) => commands.readNodeEvents(nodes));
  }

  /** As `RedisCommands.writeConsoleWatch`. */
  writeConsoleWatch(watch: ConsoleWatch): Promise<void> {
    return this.#onSlotOf(CONSOLE_WATCH_KEY, (commands) => commands.writeConsoleWatch(watch));
  }

  /** As `RedisCommands.readConsoleWatch`. */
  readConsoleWatch(): Promise<ConsoleWatch | undefined> {
    return this.#onSlotOf(CONSOLE_WATCH_KEY, (commands) => commands.readConsoleWatch());
  }

  /** As `RedisCommands.writeNodeAnswer`. */
  writeNodeAnswer(answer: NodeAnswer): Promise<void> {
    return this.#onSlotOf(NODES_KEY, (commands) => commands.writeNodeAnswer(answer));
  }

  /** As `RedisCommands.readNodeAnswers`. */
  readNodeAnswers(nodes: readonly string[]): Promise<readonly NodeAnswer[]> {
    return this.#onSlotOf(NODES_KEY, (commands) => commands.readNodeAnswers(nodes));
  }

  /**
   * As `RedisCommands.heartbeat`, to one master, which must own the slot of the name's hash tag. While that slot is on its way to
   * another node, the token is only published: that is no state of the master.
   */
  async heartbeat(master: string, name: string, token: string): Promise<HeartbeatOutcome> {
    const node = this.#nodes.get(master);
    if (node === undefined) throw new RedisUnavailableError('not-sent', `${master} is no master`);
    const target = { node, isAsking: false };
    const beat = await this.#send(target, (commands) => commands.heartbeat(name, token));
    const { refusal, connection } = beat;
    this.#lookIfDown(refusal);
    const isMoving = refusal?.code === 'ASK' || refusal?.code === 'TRYAGAIN';
    return { refusal: isMoving ? undefined : refusal, connection };
  }

  /** As `RedisCommands.serverIdentity`, of one master. */
  serverIdentity(master: string): Promise<string | undefined> {
    const node = this.#nodes.get(master);
    if (node !== undefined) return node.commands.serverIdentity();
    return Promise.reject(new RedisUnavailableError('not-sent', `${master} is no master`));
  }

  /** Replaces the connection to one master; see `RedisCommands.reconnect`. */
  reconnect(master: string, cause: string): void {
    this.#nodes.get(master)?.commands.reconnect(cause);
  }

  #askNode(name: string) {
    const node = this.#nodes.get(name);
    return node?.commands.available === true ? node.commands.readCluster() : undefined;
  }

  /** Makes a link to each master of the map, and ends those to nodes that are none any more. */
  #follow(slot?: number): void {
    const { masters } = this.map;
    for (const address of masters.values()) this.#link(address);
    for (const listener of this.#listeners) listener.mapChanged(slot);
    for (const [name, { commands }] of this.#nodes) {
      if (masters.has(name)) continue;
      this.#nodes.delete(name);
      void commands.stop();
    }
    this.judge();
    this.#events.ownersChanged?.();
  }

  #link(address: HostAndPort): Node {
    const name = nodeName(address);
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const { password, rereadPassword } = this.#settings;
    const settings = {
      ...nodeSettings(this.#settings, address),
      password: rereadPassword?.() ?? password,
    };
    const at = (cause: string): string => `${name}: ${cause}`;
    const commands = new RedisCommands(
      settings,
      {
        available: () => {
          this.judge();
          this.#events.available();
        },
        unavailable: (cause) => {
          this.judge();
          this.#events.unavailable(at(cause));
        },
        stillUnavailable: (cause) => this.#events.stillUnavailable?.(at(cause)),
        unmended: (fault) => this.#events.unmended?.(fault),
      },
      { isCluster: true },
    );
    const node = { address, commands };
    this.#nodes.set(name, node);
    commands.start();
    return node;
  }

  #inOrder<T>(channel: string, call: (commands: RedisCommands) => Promise<T>): Promise<T> {
    return this.#publishing.call(channel, (target) => this.#send(target, call));
  }

  /** The first attempt is sent before it returns. */
  async #onSlotOf<T>(key: string, call: (commands: RedisCommands) => Promise<T>): Promise<T> {
    const slot = hashSlot(key);
    let target: Target<Node> = { node: this.#ownerOf(slot), isAsking: false };
    for (let redirects = 0; ; redirects += 1) {
      try {
        return await this.#send(target, call);
      } catch (error) {
        const redirect =
          error instanceof RedisRefusedError ? readRedirect(error.message) : undefined;
        if (redirect === undefined) throw error;
        if (redirects === MAX_REDIRECTS)
          throw new RedisUnavailableError('not-sent', `redirected ${redirects} times`);
        target = this.#redirected(redirect, target.node, slot);
      }
    }
  }

  #redirected({ kind, to }: Redirect, { address }: Node, slot: number): Target<Node> {
    const next = to.host === '' ? { host: address.host, port: to.port } : to;
    if (this.#isStopped) throw new RedisUnavailableError('not-sent', 'the links were stopped');
    if (kind === 'ask') return { node: this.#askable(next), isAsking: true };
    this.map.moved(slot, next);
    return { node: this.#ownerOf(slot), isAsking: false };
  }

  #ownerOf(slot: number): Node {
    const name = this.map.ownerOf(slot);
    const node = name === undefined ? undefined : this.#nodes.get(name);
    if (node !== undefined) return node;
    this.map.settle(false);
    throw new RedisUnavailableError('not-sent', `no node is known to serve slot ${slot}`);
  }

  /** A master without slots is not in the map yet, and is linked to once it is. */
  #askable(address: HostAndPort): Node {
    const node = this.#nodes.get(nodeName(address));
    if (node !== undefined) return node;
    this.map.settle(false);
    throw new RedisUnavailableError('not-sent', `${nodeName(address)} is given its first slot`);
  }

  #send<T>(
    { node: { commands }, isAsking }: Target<Node>,
    call: (commands: RedisCommands) => Promise<T>,
  ): Promise<T> {
    const answered = isAsking ? commands.asking(() => call(commands)) : call(commands);
    answered.catch((error: unknown) => this.#lookIfDown(error));
    return answered;
  }

  /**
   * A master that is cut off from the others answers, and refuses. Its link is up, so this is how its successor is looked for
   * soon.
   */
  #lookIfDown(error: unknown): void {
    if (error instanceof RedisRefusedError && error.code === 'CLUSTERDOWN') this.map.settle(false);
  }
}
