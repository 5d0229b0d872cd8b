import type { Position } from '@tradewind/protocol';
import { CLUSTER_REVOCATION_CHANNEL, REVOCATION_CHANNEL } from '../contract/revocation.ts';
import type { RedisRefusedError } from '../redis-errors.ts';
import { MAX_REDIRECTS } from '../redis-limits.ts';
import { type HostAndPort, nodeSettings, type RedisSettings } from '../redis-settings.ts';
import { CLASSIC, SHARDED } from '../subscribe/pubsub-kind.ts';
import { RedisSubscriber } from '../subscribe/redis-subscriber.ts';
import type { ProbeOptions } from '../subscribe/subscription-probe.ts';
import type { ClusterCommands } from './cluster-commands.ts';
import { isOfAnotherSlot, OUT_OF_STEP, readPositionsOfShards } from './cluster-positions.ts';
import { hashSlot, SLOTS } from './hash-slot.ts';
import { readRedirect } from './redirect.ts';

/** Events of a subscriber. A shard is named by its master, `host:port`. No handler may throw. */
export interface ClusterSubscriberEvents {
  /** See `RedisSubscriberEvents`. */
  message(channel: string, payload: Buffer): void;
  /** The shard confirmed these channels. */
  subscribed(channels: readonly string[], shard: string): void;
  /** See `RedisSubscriberEvents`. */
  refused(channel: string, error: RedisRefusedError): void;
  /**
   * These channels left their shard. What was subscribed there is not any more, and messages may be missed until the next
   * `subscribed`. `shardOf` says where they belong now.
   */
  moved(channels: readonly string[]): void;
  /** A master has slots. Its link is lost until `shardRestored`. */
  shardAdded(shard: string): void;
  /** A master has no slots any more, and no channel. */
  shardRemoved(shard: string): void;
  /** As `linkLost`, `linkStillLost` and `linkRestored` of `RedisSubscriberEvents`, for the channels of one shard. */
  shardLost(shard: string, cause: string): void;
  shardStillLost?(shard: string, cause: string): void;
  shardRestored(shard: string): void;
}

/** How each shard's subscription is proven; see `ProbeOptions`. */
export type ClusterProbeOptions = Pick<
  ProbeOptions,
  'name' | 'probeFailed' | 'probeRefused' | 'writesRefused' | 'writesAccepted'
>;

/** A channel that is wanted. */
interface Place {
  readonly slot: number;
  /** The shard on which it is wanted; undefined while it has none. */
  shard: string | undefined;
  /** Redirects since the nodes were asked last. */
  redirects: number;
}

interface Shard {
  readonly address: HostAndPort;
  readonly subscriber: RedisSubscriber;
  isUp: boolean;
}

/** Numbers that are tried as the hash tag of a probe. For a master with one slot a tag is missed once in 150,000 cases. */
const TAGS_TRIED = 12 * SLOTS;

/**
 * The subscriptions of a node in a Redis Cluster, by sharded publish/subscribe, or by classic with `RedisSettings.pubsub`. It holds one link to each master, and wants
 * each channel where its slot is. When a slot moves, a master fails or a node comes or goes, the channels concerned are
 * subscribed to elsewhere, and the owner hears which they are; the others are not touched.
 */
export class ClusterSubscriber {
  readonly #settings: RedisSettings;
  readonly #cluster: ClusterCommands;
  readonly #events: ClusterSubscriberEvents;
  readonly #probe: ClusterProbeOptions | undefined;
  readonly #shards = new Map<string, Shard>();
  readonly #places = new Map<string, Place>();
  /** The channels of each slot that has any: a node that loses thousands of slots says so for each. */
  readonly #bySlot = new Map<number, Set<string>>();
  /** The number of channels without a shard. */
  #placeless = 0;
  #wasProven = false;
  #ignore: (() => void) | undefined;

  /**
   * @param cluster knows the slots; its owner must start and stop it, and stop this subscriber first.
   * @param probe without it, only the connections are watched.
   * @throws {TypeError} if the settings are invalid; see `checkRedisUrl`.
   */
  constructor(
    settings: RedisSettings,
    cluster: ClusterCommands,
    events: ClusterSubscriberEvents,
    probe?: ClusterProbeOptions,
  ) {
    this.#settings = settings;
    this.#cluster = cluster;
    this.#events = events;
    this.#probe = probe;
  }

  /** The masters that own slots. */
  get shards(): readonly string[] {
    return [...this.#shards.keys()];
  }

  /** Those of them whose link is down. */
  get shardsDown(): readonly string[] {
    return [...this.#shards].filter(([, { isUp }]) => !isUp).map(([name]) => name);
  }

  /** The age of the newest probe of each shard, the oldest of them; see `RedisSubscriber.probeAgeMs`. */
  get probeAgeMs(): number | undefined {
    const ages = [...this.#shards.values()].map(({ subscriber }) => subscriber.probeAgeMs ?? 0);
    return this.#probe === undefined || ages.length === 0 ? undefined : Math.max(...ages);
  }

  /** Whether a probe of most shards has ever arrived. Masters that come later do not undo that. */
  get provenOnce(): boolean {
    const proven = [...this.#shards.values()].filter(({ subscriber }) => subscriber.provenOnce);
    this.#wasProven ||= 2 * proven.length > this.#shards.size;
    return this.#wasProven;
  }

  /** Why a shard refuses its probe; undefined while all accept it. */
  get probeRefusal(): RedisRefusedError | undefined {
    for (const { subscriber } of this.#shards.values()) {
      if (subscriber.probeRefusal !== undefined) return subscriber.probeRefusal;
    }
    return undefined;
  }

  /** Starts to connect, and reconnects until {@link stop}. */
  start(): void {
    this.#ignore ??= this.#cluster.listen(this.#listener());
    if (this.#cluster.map.isKnown) this.#follow();
  }

  /** Ends all connections. No event is sent after the call. */
  async stop(): Promise<void> {
    this.#ignore?.();
    const shards = [...this.#shards.values()];
    this.#shards.clear();
    this.#places.clear();
    this.#bySlot.clear();
    this.#placeless = 0;
    await Promise.all(shards.map(({ subscriber }) => subscriber.stop()));
  }

  /** Wants a channel; `subscribed` follows. A second call does nothing. */
  want(name: string): void {
    const channel = inCluster(name);
    if (this.#places.has(channel)) return;
    const place: Place = { slot: hashSlot(channel), shard: undefined, redirects: 0 };
    this.#places.set(channel, place);
    this.#placeless += 1;
    const neighbours = this.#bySlot.get(place.slot);
    if (neighbours === undefined) this.#bySlot.set(place.slot, new Set([channel]));
    else neighbours.add(channel);
    this.#put(channel, place);
  }

  /** No longer wants a channel. No message of it is delivered after the call. */
  unwant(name: string): void {
    const channel = inCluster(name);
    const place = this.#places.get(channel);
    if (place === undefined) return;
    const { shard, slot } = place;
    if (shard === undefined) this.#placeless -= 1;
    this.#places.delete(channel);
    const neighbours = this.#bySlot.get(slot);
    neighbours?.delete(channel);
    if (neighbours?.size === 0) this.#bySlot.delete(slot);
    if (shard !== undefined) this.#shards.get(shard)?.subscriber.unwant(channel);
  }

  /** The shard of a channel: where it is wanted, or would be. Undefined if no master is known to have its slot. */
  shardOf(name: string): string | undefined {
    const channel = inCluster(name);
    const place = this.#places.get(channel);
    if (place !== undefined) return place.shard;
    const owner = this.#cluster.map.ownerOf(hashSlot(channel));
    return owner !== undefined && this.#shards.has(owner) ? owner : undefined;
  }

  /**
   * As `RedisSubscriber.readPositions`, with the failure of each channel in its place. It uses the connection of the channel's
   * subscription. A channel whose slot is on its way is read where its keys have gone.
   */
  async readPositions(
    channels: readonly string[],
  ): Promise<readonly (Position | Error | undefined)[]> {
    return await readPositionsOfShards(channels, {
      cluster: this.#cluster,
      shardOf: (channel) => this.#places.get(channel)?.shard,
      subscriberOf: (shard) => this.#shards.get(shard)?.subscriber,
    });
  }

  /** As `RedisSubscriber.serverIdentity`, of one shard. */
  serverIdentity(shard: string): Promise<string | undefined> {
    return this.#shards.get(shard)?.subscriber.serverIdentity() ?? Promise.resolve(undefined);
  }

  #listener() {
    return {
      mapChanged: (slot?: number) => this.#follow(slot),
      mapUnchanged: () => this.#putAgain(),
      isSettled: () => this.#isSettled,
    };
  }

  get #isSettled(): boolean {
    for (const { isUp } of this.#shards.values()) if (!isUp) return false;
    return this.#placeless === 0;
  }

  /** Brings links and channels to where the map says; with `slot`, only the channels of this one. */
  #follow(slot?: number): void {
    const { masters } = this.#cluster.map;
    for (const [name, address] of masters) {
      if (!this.#shards.has(name)) this.#link(name, address);
    }
    const misplaced: [string, Place][] = [];
    const channels = slot === undefined ? this.#places.keys() : (this.#bySlot.get(slot) ?? []);
    for (const channel of channels) {
      const place = this.#places.get(channel);
      if (place !== undefined && this.#cluster.map.ownerOf(place.slot) !== place.shard)
        misplaced.push([channel, place]);
    }
    this.#move(misplaced);
    for (const [name, { subscriber }] of this.#shards) {
      if (masters.has(name)) continue;
      this.#shards.delete(name);
      void subscriber.stop();
      this.#events.shardRemoved(name);
    }
  }

  /** The nodes were asked again. A channel that was sent from one to the other tries again. */
  #putAgain(): void {
    for (const [channel, place] of this.#places) {
      place.redirects = 0;
      if (place.shard === undefined) this.#put(channel, place);
    }
  }

  /** Lets go of channels where they are, and wants them where the map says. */
  #move(moved: readonly (readonly [string, Place])[]): void {
    if (moved.length === 0) return;
    for (const [channel, place] of moved) {
      if (place.shard !== undefined) this.#shards.get(place.shard)?.subscriber.unwant(channel);
      this.#put(channel, place);
    }
    this.#events.moved(moved.map(([channel]) => byOwner(channel)));
  }

  #put(channel: string, place: Place): void {
    const owner = this.#cluster.map.ownerOf(place.slot);
    const shard = owner === undefined ? undefined : this.#shards.get(owner);
    this.#assign(place, shard === undefined ? undefined : owner);
    if (shard !== undefined) shard.subscriber.want(channel);
    else this.#cluster.judge();
  }

  #assign(place: Place, shard: string | undefined): void {
    if (place.shard === undefined) this.#placeless -= 1;
    if (shard === undefined) this.#placeless += 1;
    place.shard = shard;
  }

  #link(name: string, address: HostAndPort): void {
    const shard: Shard = {
      address,
      isUp: false,
      subscriber: new RedisSubscriber(
        nodeSettings(this.#settings, address),
        {
          message: (channel, payload) => this.#events.message(byOwner(channel), payload),
          subscribed: (channels) => this.#events.subscribed(channels.map(byOwner), name),
          refused: (channel, error) => this.#refused(shard, channel, error),
          ended: (channels) => this.#ended(channels),
          movedAway: (channel, error) => {
            if (isOfAnotherSlot(channel, error)) shard.subscriber.cut(OUT_OF_STEP);
          },
          linkLost: (cause) => {
            shard.isUp = false;
            this.#cluster.judge();
            this.#events.shardLost(name, cause);
          },
          linkStillLost: (cause) => this.#events.shardStillLost?.(name, cause),
          linkRestored: () => {
            shard.isUp = true;
            // Before a master that is promoted takes the place of one that was proven.
            this.#wasProven = this.provenOnce;
            this.#cluster.judge();
            this.#events.shardRestored(name);
          },
        },
        this.#probe === undefined ? undefined : this.#probeOf(name, this.#probe),
        this.#settings.pubsub === 'classic' ? CLASSIC : SHARDED,
      ),
    };
    this.#shards.set(name, shard);
    this.#events.shardAdded(name);
    shard.subscriber.start();
  }

  #probeOf(shard: string, probe: ClusterProbeOptions): ProbeOptions {
    let name = this.#probeName(shard, probe.name);
    const at = (cause: string): string => `${shard}: ${cause}`;
    return {
      get name() {
        return name;
      },
      misplaced: () => {
        // Until the next answer, which does not name this master any more.
        if (this.#cluster.map.firstSlotOf(shard) === undefined) return;
        name = this.#probeName(shard, probe.name);
      },
      heartbeat: (own, token) => this.#cluster.heartbeat(shard, own, token),
      linksAgree: async () => {
        const [one, other] = await Promise.all([
          this.serverIdentity(shard),
          this.#cluster.serverIdentity(shard),
        ]);
        return one === other || one === undefined || other === undefined;
      },
      strayed: () => this.#cluster.reconnect(shard, 'the subscription leads to another server'),
      probeFailed: (cause) => probe.probeFailed(at(cause)),
      probeRefused: (error) => probe.probeRefused(error),
      writesRefused: (error) => probe.writesRefused?.(error),
      writesAccepted: () => probe.writesAccepted?.(),
    };
  }

  /** A name whose hash tag belongs to a slot of this shard: probe and heartbeat's key go to its master then. */
  #probeName(shard: string, node: string): string {
    let tag = 0;
    while (tag < TAGS_TRIED && this.#cluster.map.ownerOf(hashSlot(String(tag))) !== shard) tag += 1;
    return `{${tag}}:${node}`;
  }

  #ended(channels: readonly string[]): void {
    const ended: [string, Place][] = [];
    for (const channel of channels) {
      const place = this.#places.get(channel);
      if (place !== undefined) ended.push([channel, place]);
    }
    this.#move(ended);
  }

  #refused(shard: Shard, channel: string, error: RedisRefusedError): void {
    const redirect = readRedirect(error.message);
    const place = this.#places.get(channel);
    if (redirect?.kind !== 'moved' || place === undefined) {
      this.#events.refused(byOwner(channel), error);
      return;
    }
    if (redirect.slot !== place.slot) {
      shard.subscriber.cut(OUT_OF_STEP);
      return;
    }
    shard.subscriber.unwant(channel);
    this.#assign(place, undefined);
    place.redirects += 1;
    const { slot, to } = redirect;
    const address = to.host === '' ? { host: shard.address.host, port: to.port } : to;
    // Two nodes that send to each other learn of the end of that by themselves; then the next answer of the map has it.
    if (place.redirects > MAX_REDIRECTS) {
      this.#cluster.judge();
      return;
    }
    this.#cluster.map.moved(slot, address);
    // The owner may have let go of it when it heard that it moved.
    if (place.shard === undefined && this.#places.get(channel) === place)
      this.#move([[channel, place]]);
  }
}

/** The names of all channels but one are the same in a cluster. */
function inCluster(channel: string): string {
  return channel === REVOCATION_CHANNEL ? CLUSTER_REVOCATION_CHANNEL : channel;
}

function byOwner(channel: string): string {
  return channel === CLUSTER_REVOCATION_CHANNEL ? REVOCATION_CHANNEL : channel;
}
