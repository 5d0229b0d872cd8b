import { Redis } from 'ioredis';
import { describeError } from '../redis-errors.ts';
import {
  OLDER_EPOCH_BELIEVED_MS,
  TOPOLOGY_ANSWER_MS,
  TOPOLOGY_INTERVAL_MS,
  TOPOLOGY_NODES_ASKED,
  TOPOLOGY_SOON_MS,
} from '../redis-limits.ts';
import {
  clusterSeeds,
  type HostAndPort,
  nodeSettings,
  type RedisSettings,
  redisOptions,
} from '../redis-settings.ts';
import { type ClusterAnswer, newestAnswers, readClusterAnswer } from './cluster-answer.ts';
import { nodeName, SlotMap } from './slot-map.ts';

/** Asks one node over a connection that exists already; undefined if there is none that works. */
export type AskNode = (
  name: string,
) => Promise<{ readonly info: unknown; readonly shards: unknown }> | undefined;

/** Events of a map. No handler may throw. */
export interface ClusterMapEvents {
  /** The owners of some slots, or the masters, may have changed. With `slot`, only the owner of this one. */
  changed(slot?: number): void;
  /** No node answers who owns the slots. Sent once until one does. */
  unknown(cause: string): void;
  /** A node was asked, and nothing changed. */
  unchanged?(): void;
}

/**
 * Which node of a Redis Cluster owns which slots. Several nodes are asked, and the newest answer counts by the epoch of the
 * cluster, so that a node that is cut off from the others cannot mislead. The owner that a MOVED names for one slot counts until
 * a node answers a question that was asked after it.
 */
export class ClusterMap {
  readonly #settings: RedisSettings;
  readonly #ask: AskNode;
  readonly #events: ClusterMapEvents;
  readonly #slots = new SlotMap();
  readonly #open = new Set<Redis>();
  #epoch = -1;
  /** Since when only older answers came, in ms of a monotonic clock. */
  #olderSince: number | undefined;
  #isKnown = false;
  #isUnknownTold = false;
  #isUnsettled = true;
  /**
   * Another question must follow soon, even if the map is settled. Either a node said that its cluster does not serve, so a
   * replica may be about to take over, or a fault was reported while a question was under way.
   */
  #asksAgain = false;
  #isAsking = false;
  #phase: 'new' | 'started' | 'stopped' = 'new';
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires, in ms of the monotonic clock. */
  #dueAt = 0;
  #turn = 0;

  /** @throws {TypeError} if the settings are invalid; see `checkRedisUrl`. */
  constructor(settings: RedisSettings, ask: AskNode, events: ClusterMapEvents) {
    this.#settings = settings;
    this.#ask = ask;
    this.#events = events;
    clusterSeeds(settings);
  }

  /** Whether any answer was taken over. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** The masters that own slots: name → address. */
  get masters(): ReadonlyMap<string, HostAndPort> {
    return this.#slots.masters;
  }

  /** The name of the master of a slot; undefined if no master is known to serve it. */
  ownerOf(slot: number): string | undefined {
    return this.#slots.ownerOf(slot);
  }

  /** The first slot of a master; undefined if it has none. */
  firstSlotOf(name: string): number | undefined {
    return this.#slots.firstSlotOf(name);
  }

  start(): void {
    if (this.#phase !== 'new') return;
    this.#phase = 'started';
    void this.#look();
  }

  /** Ends every question and the timer. No event is sent after the call. */
  stop(): void {
    this.#phase = 'stopped';
    clearTimeout(this.#timer);
    for (const redis of this.#open) redis.disconnect();
  }

  /** A node said in a MOVED that this slot belongs to another one. */
  moved(slot: number, to: HostAndPort): void {
    if (this.#phase !== 'started') return;
    const isNews = this.#slots.move(slot, to);
    this.settle(false);
    if (isNews) this.#events.changed(slot);
  }

  /**
   * Says whether all shards and channels have their place. While they have not, or a node that was asked says that its cluster
   * does not serve, the nodes are asked four times a second.
   */
  settle(isSettled: boolean): void {
    if (!isSettled && this.#isAsking) this.#asksAgain = true;
    if (this.#isUnsettled !== isSettled) return;
    this.#isUnsettled = !isSettled;
    if (!isSettled) this.#plan();
  }

  #plan(): void {
    if (this.#phase !== 'started' || this.#isAsking) return;
    const isSoon = this.#isUnsettled || this.#asksAgain || !this.#isKnown;
    const waitMs = isSoon ? TOPOLOGY_SOON_MS : TOPOLOGY_INTERVAL_MS;
    // The nodes of a fleet must not ask at the same moments.
    const dueAt = performance.now() + waitMs * (0.75 + Math.random() / 4);
    // News of moves must not put a question off for ever: it is never asked later than it was planned.
    if (this.#timer !== undefined && this.#dueAt <= dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => void this.#look(), dueAt - performance.now());
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#isAsking = true;
    this.#asksAgain = false;
    const movesBefore = this.#slots.moves;
    const { answers, cause } = await this.#askSome();
    this.#isAsking = false;
    if (this.#phase !== 'started') return;
    this.#asksAgain ||= answers.some(({ isServing }) => !isServing);
    const [newest, ...tied] = newestAnswers(answers.filter(({ masters }) => masters.length > 0));
    if (newest === undefined) this.#tellUnknown(cause);
    else this.#take(newest, tied, movesBefore);
    this.#plan();
  }

  #take(answer: ClusterAnswer, tied: readonly ClusterAnswer[], movesBefore: number): void {
    const now = performance.now();
    if (answer.epoch < this.#epoch) {
      this.#olderSince ??= now;
      if (now - this.#olderSince < OLDER_EPOCH_BELIEVED_MS) {
        this.#events.unchanged?.();
        return;
      }
    }
    this.#olderSince = undefined;
    this.#epoch = answer.epoch;
    this.#isUnknownTold = false;
    const isFirst = !this.#isKnown;
    this.#isKnown = true;
    if (this.#slots.take(answer, tied, movesBefore) || isFirst) this.#events.changed();
    else this.#events.unchanged?.();
  }

  #tellUnknown(cause: string): void {
    if (this.#isUnknownTold) {
      this.#events.unchanged?.();
      return;
    }
    this.#isUnknownTold = true;
    this.#events.unknown(cause);
  }

  /** Asks known masters in turn. If none of them answers, asks nodes that the settings name. */
  async #askSome(): Promise<{ readonly answers: ClusterAnswer[]; readonly cause: string }> {
    const { addresses: seeds, tls } = clusterSeeds(this.#settings);
    const answers: ClusterAnswer[] = [];
    let cause = 'no node was asked';
    const collect = async (
      { host }: HostAndPort,
      asked: Promise<{ readonly info: unknown; readonly shards: unknown }>,
    ): Promise<void> => {
      try {
        const { info, shards } = await inTime(asked);
        answers.push(readClusterAnswer(info, shards, host, tls));
      } catch (error) {
        cause = explainNoCluster(describeError(error));
      }
    };
    const known = this.#rotated([...this.masters]);
    const asked: Promise<void>[] = [];
    for (const [name, address] of known) {
      const question = asked.length < TOPOLOGY_NODES_ASKED ? this.#ask(name) : undefined;
      if (question !== undefined) asked.push(collect(address, question));
    }
    await Promise.all(asked);
    if (answers.length > 0 || this.#phase !== 'started') return { answers, cause };
    const some = this.#rotated([...seeds]).slice(0, TOPOLOGY_NODES_ASKED);
    await Promise.all(some.map((seed) => collect(seed, this.#askSeed(seed))));
    return { answers, cause };
  }

  #rotated<T>(list: readonly T[]): T[] {
    if (list.length === 0) return [];
    this.#turn += 1;
    const at = this.#turn % list.length;
    return [...list.slice(at), ...list.slice(0, at)];
  }

  /** Over a connection of its own, which ends with the answer. */
  async #askSeed(seed: HostAndPort): Promise<{ readonly info: unknown; readonly shards: unknown }> {
    const fresh = this.#settings.rereadPassword?.() ?? this.#settings.password;
    const redis = new Redis({
      ...redisOptions({ ...nodeSettings(this.#settings, seed), password: fresh }, 'topology'),
      lazyConnect: true,
      retryStrategy: null,
      connectTimeout: TOPOLOGY_ANSWER_MS,
    });
    let reason: unknown;
    redis.on('error', (error) => {
      reason ??= error;
    });
    this.#open.add(redis);
    // ioredis never settles a command whose connection is lost.
    const deadline = setTimeout(() => redis.disconnect(), TOPOLOGY_ANSWER_MS);
    const ended = new Promise<never>((_, reject) =>
      redis.once('end', () => reject(reason ?? new Error(`${nodeName(seed)} does not answer`))),
    );
    ended.catch(() => {});
    try {
      const asked = redis.connect().then(async () => {
        const [info, shards] = await Promise.all([
          redis.call('CLUSTER', 'INFO'),
          redis.call('CLUSTER', 'SHARDS'),
        ]);
        return { info, shards };
      });
      asked.catch(() => {});
      return await Promise.race([asked, ended]);
    } catch (error) {
      throw reason ?? error;
    } finally {
      clearTimeout(deadline);
      this.#open.delete(redis);
      redis.disconnect();
    }
  }
}

/** A Redis that is no cluster refuses the question by a text that does not say what to do. */
function explainNoCluster(cause: string): string {
  return cause.includes('cluster support disabled')
    ? `it is no Redis Cluster: set REDIS_MODE=single (${cause})`
    : cause;
}

async function inTime<T>(asked: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('a node does not answer')), 2 * TOPOLOGY_ANSWER_MS);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
