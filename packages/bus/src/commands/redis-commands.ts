import type { Position } from '@tradewind/protocol';
import type { ChainableCommander } from 'ioredis';
import { heartbeatKey, logKey, metaKey, probeChannel } from '../contract/channel-keys.ts';
import { META_READ_BYTES, readMeta } from '../contract/channel-meta.ts';
import type { ConsoleWatch, NodeAnswer } from '../contract/console-watch.ts';
import { EPOCH_SCRIPT, type EpochStart, readEpochReply } from '../contract/epoch-script.ts';
import { type ChannelHistory, readHistoryReply } from '../contract/history.ts';
import type { NodeEvent, NodeState } from '../contract/node-state.ts';
import {
  PUBLISH_SCRIPT,
  type PublishedPosition,
  publishArguments,
  publishKeys,
  readPublishReply,
  type SequencedPublication,
} from '../contract/publish-script.ts';
import {
  CLUSTER_REVOCATION_CHANNEL,
  coveredRevocations,
  MAX_REVOCATIONS,
  REVOCATION_CHANNEL,
  REVOCATIONS_KEY,
  type Revocation,
  readRevocation,
  writeRevocation,
} from '../contract/revocation.ts';
import { isInfoHidden, readServerIdentity } from '../link/server-identity.ts';
import { isCommandForbidden, RedisRefusedError } from '../redis-errors.ts';
import { HEARTBEAT_EXPIRY_MS } from '../redis-limits.ts';
import type { RedisSettings } from '../redis-settings.ts';
import { CommandLink, type RedisCommandsEvents } from './command-link.ts';
import { NodeRecords } from './node-records.ts';
import { ScriptCalls } from './script-calls.ts';

/** The result of a heartbeat that was published. */
export interface HeartbeatOutcome {
  /** Why Redis refused to write it; undefined if Redis wrote it. */
  readonly refusal: RedisRefusedError | undefined;
  /** The number of the link's connection that published it, from 1. */
  readonly connection: number;
}

/** What `CLUSTER INFO` and `CLUSTER SHARDS` answered. */
export interface ClusterReport {
  readonly info: unknown;
  readonly shards: unknown;
}

/** What differs on a node of a Redis Cluster. */
export interface CommandsOptions {
  /** It publishes by SPUBLISH, and keys that one transaction writes share a slot. Default: false. */
  readonly isCluster?: boolean;
}

/** The revocations that Redis keeps. */
export interface KeptRevocations {
  /** Those that end last come first. At most `MAX_REVOCATIONS`. */
  readonly revocations: readonly Revocation[];
  /** How many were left out, because there were too many or because they are none. */
  readonly leftOut: number;
}

/** How long an ended revocation stays in Redis at least, in ms: more than the clocks of those who write there differ. */
const ENDED_KEPT_MS = 300_000;

/** Revocations that are removed in one command, of up to 4,096 bytes each: 2 MB at most. The next call removes further ones. */
const MAX_REMOVED_TOGETHER = 500;

/** The commands that services send to one Redis, over a connection of their own: a {@link CommandLink}. */
export class RedisCommands {
  readonly #link: CommandLink;
  readonly #nodes: NodeRecords;
  readonly #publishCalls = new ScriptCalls(PUBLISH_SCRIPT);
  readonly #epochCalls = new ScriptCalls(EPOCH_SCRIPT);
  /** Redis forbids GETRANGE, because the ACL is of an earlier release. Reset with each connection. */
  #readsWhole = false;
  readonly #isCluster: boolean;
  /** Publishes by SPUBLISH. */
  readonly #isSharded: boolean;

  /** @throws {TypeError} if the settings are invalid; see `checkRedisUrl`. */
  constructor(
    settings: RedisSettings,
    events: RedisCommandsEvents,
    { isCluster = false }: CommandsOptions = {},
  ) {
    this.#isCluster = isCluster;
    this.#isSharded = isCluster && settings.pubsub !== 'classic';
    this.#link = new CommandLink(settings, events, {
      up: () => {
        this.#readsWhole = false;
      },
      down: () => {
        this.#publishCalls.connectionLost();
        this.#epochCalls.connectionLost();
      },
    });
    this.#nodes = new NodeRecords(this.#link, isCluster);
  }

  /** Whether the link is up and answers its PINGs. */
  get available(): boolean {
    return this.#link.available;
  }

  /** Starts to connect, and reconnects until {@link stop}. */
  start(): void {
    this.#link.start();
  }

  /** Replaces the connection and rejects every command in flight. Does nothing if there is no connection. */
  reconnect(cause: string): void {
    this.#link.reconnect(cause);
  }

  /**
   * Makes a call of any other method as Redis wants it after an ASK: the node serves keys of a slot that it is still being given.
   *
   * @param call must send its first command before it returns.
   */
  asking<T>(call: () => T): T {
    return this.#link.asking(call);
  }

  /** Ends the connection and rejects every command in flight with the outcome `unknown`. */
  stop(): Promise<void> {
    return this.#link.stop();
  }

  /**
   * Publishes `payload` and resolves with the number of subscribers that Redis delivered it to. Redis executes
   * publishes in the order of the calls. The caller may reuse `payload` as soon as the call returns.
   *
   * Rejects with `RedisUnavailableError`: at once with `not-sent` if the link is down or a limit of commands in
   * flight is reached, later with `unknown` if the link is lost. Rejects with {@link RedisRefusedError} if Redis refuses.
   */
  publish(channel: string, payload: Uint8Array | string): Promise<number> {
    const bytes = typeof payload === 'string' ? payload : asBuffer(payload);
    return this.#link.run(Buffer.byteLength(bytes), (redis) =>
      this.#isSharded
        ? (redis.spublish(channel, bytes) as Promise<number>)
        : redis.publish(channel, bytes),
    );
  }

  /**
   * Publishes with an offset and a history, as `docs/publishing.md` says. Redis executes these calls in their order, each
   * at most once. Their order against calls of {@link publish} is undefined.
   *
   * Rejects as {@link publish} does. After a {@link RedisRefusedError} nothing was executed; its code is one of Redis or
   * one of the script, such as `TWLATE`.
   */
  async publishSequenced(publication: SequencedPublication): Promise<PublishedPosition> {
    const { channel, payload, idempotencyKey = '' } = publication;
    const bytes = Buffer.byteLength(payload) + Buffer.byteLength(idempotencyKey);
    // A copy: the call may be repeated after the caller has reused the memory.
    const owned =
      typeof payload === 'string' ? publication : { ...publication, payload: Buffer.from(payload) };
    const reply = await this.#link.run(bytes, (redis, flight) =>
      this.#publishCalls.call(
        redis,
        flight,
        channel,
        publishKeys(channel),
        publishArguments(owned, this.#isSharded),
      ),
    );
    return readPublishReply(reply);
  }

  /**
   * Reads a channel's position and up to `limit` entries of its history, from the offset `from` to the offset `to`
   * (both inclusive). Position and history are of one moment. Rejects as {@link publish} does.
   */
  async readHistory(
    channel: string,
    from: number,
    limit: number,
    to = Number.POSITIVE_INFINITY,
  ): Promise<ChannelHistory> {
    const end = Number.isFinite(to) ? String(to) : '+';
    const key = metaKey(channel);
    try {
      const [meta, entries] = await this.#link.transact(channel.length, (transaction) =>
        (this.#readsWhole
          ? transaction.getBuffer(key)
          : transaction.getrangeBuffer(key, 0, META_READ_BYTES - 1)
        ).xrangeBuffer(logKey(channel), String(from), end, 'COUNT', limit),
      );
      return readHistoryReply(meta, entries);
    } catch (error) {
      if (this.#readsWhole || !isCommandForbidden(error, 'getrange')) throw error;
      this.#readsWhole = true;
      return await this.readHistory(channel, from, limit, to);
    }
  }

  /** Reads a channel's position; undefined if it has none. Rejects as {@link publish} does. */
  async readPosition(channel: string): Promise<Position | undefined> {
    const key = metaKey(channel);
    const value = await this.#link.run(0, (redis) => redis.getrange(key, 0, META_READ_BYTES - 1));
    return readMeta(value);
  }

  /**
   * Starts a new epoch of a channel if its epoch is still `expectedEpoch`, or if it has no `meta` and `expectedEpoch`
   * is undefined. The channel keeps its offset and history; without `meta`, the offset begins at 0 and the history is
   * deleted. Rejects as {@link publish} does.
   */
  async startEpoch(channel: string, expectedEpoch: string | undefined): Promise<EpochStart> {
    const reply = await this.#link.run(0, (redis, flight) =>
      this.#epochCalls.call(redis, flight, channel, publishKeys(channel), [expectedEpoch ?? '']),
    );
    return readEpochReply(reply);
  }

  /**
   * Identifies the server and its data. Two links have the same identity exactly if they reach the same process with the
   * same replication history. Resolves with undefined if Redis forbids INFO. Otherwise rejects as {@link publish} does.
   */
  async serverIdentity(): Promise<string | undefined> {
    try {
      const [server, replication] = await Promise.all([
        this.#link.run(0, (redis) => redis.info('server')),
        this.#link.run(0, (redis) => redis.info('replication')),
      ]);
      return readServerIdentity(server, replication);
    } catch (error) {
      if (isInfoHidden(error)) return undefined;
      throw error;
    }
  }

  /**
   * Writes `token` to `tw:heartbeat:<name>` for 30 s and publishes it to `tw:probe:<name>`. It writes so that a Redis
   * that was demoted refuses it.
   *
   * If Redis refuses the write but still delivers by `REDIS_STATES`, the token is only published, and the outcome says
   * why it was not written. A replica must be connected to its master for that. Otherwise rejects as {@link publish}
   * does.
   */
  async heartbeat(name: string, token: string): Promise<HeartbeatOutcome> {
    const { connection } = this.#link;
    try {
      await this.#link.transact(token.length, (transaction) =>
        this.#thenPublish(
          transaction.set(heartbeatKey(name), token, 'PX', HEARTBEAT_EXPIRY_MS),
          ...([probeChannel(name), token] as const),
        ),
      );
      this.#link.serves();
      return { refusal: undefined, connection };
    } catch (error) {
      if (!(error instanceof RedisRefusedError) || !(await this.#delivers(error))) throw error;
      await this.publish(probeChannel(name), token);
      return { refusal: error, connection };
    }
  }

  /** Reads the revocations that are kept, ended ones included. Rejects as {@link publish} does. */
  async readRevocations(): Promise<KeptRevocations> {
    const most = MAX_REVOCATIONS + 1;
    const texts = await this.#link.run(0, (redis) =>
      redis.zrange(REVOCATIONS_KEY, '+inf', '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, most),
    );
    const revocations = texts
      .slice(0, MAX_REVOCATIONS)
      .map((text) => readRevocation(text))
      .filter((revocation) => revocation !== undefined);
    return { revocations, leftOut: texts.length - revocations.length };
  }

  /**
   * Keeps a revocation until it ends, and publishes it in the same step. Resolves with the number of nodes that Redis told at
   * once. Resolves with undefined, and keeps nothing new, if `MAX_REVOCATIONS` are kept and none of them could be removed
   * because another one covers it. Rejects as {@link publish} does; after the outcome `unknown` it may be repeated.
   *
   * @param now ms since the Unix epoch.
   */
  async revoke(revocation: Revocation, now: number): Promise<number | undefined> {
    const text = writeRevocation(revocation);
    const [, kept] = await this.#link.transact(0, (transaction) =>
      transaction
        .zremrangebyscore(REVOCATIONS_KEY, '-inf', now - ENDED_KEPT_MS)
        .zcard(REVOCATIONS_KEY),
    );
    // Two callers at the same time may exceed it by one. The readers' bound holds all the same.
    if (Number(kept) >= MAX_REVOCATIONS && !(await this.#removeCoveredRevocations())) {
      return undefined;
    }
    const channel = this.#isCluster ? CLUSTER_REVOCATION_CHANNEL : REVOCATION_CHANNEL;
    const replies = await this.#link.transact(text.length, (transaction) =>
      this.#thenPublish(transaction.zadd(REVOCATIONS_KEY, revocation.until, text), channel, text),
    );
    return Number(replies.at(-1));
  }

  /**
   * Removes the revocations that say nothing beside the others: otherwise one user who logs out again and again would leave no room for
   * the others. Returns whether there were any. An ACL of an earlier release forbids it.
   */
  async #removeCoveredRevocations(): Promise<boolean> {
    try {
      const texts = await this.#link.run(0, (redis) =>
        redis.zrange(REVOCATIONS_KEY, '0', String(MAX_REVOCATIONS)),
      );
      const covered = coveredRevocations(texts).slice(0, MAX_REMOVED_TOGETHER);
      if (covered.length === 0) return false;
      await this.#link.run(0, (redis) => redis.zrem(REVOCATIONS_KEY, ...covered));
      return true;
    } catch (error) {
      if (error instanceof RedisRefusedError) return false;
      throw error;
    }
  }

  /**
   * Writes what a node says of itself, and its last events if there are new ones. Nodes that have been silent for as long
   * as a state is kept leave the set. Rejects as {@link publish} does.
   *
   * @param at ms of the node's clock.
   */
  writeNodeState(
    state: NodeState,
    events: readonly NodeEvent[] | undefined,
    at: number,
  ): Promise<void> {
    return this.#nodes.writeState(state, events, at);
  }

  /**
   * The last states of the nodes that wrote one within ten minutes, at most 1,000; of all unless it is said which are wanted. Rejects
   * as {@link publish} does.
   */
  readNodeStates(isWanted: (node: string) => boolean = () => true): Promise<readonly NodeState[]> {
    return this.#nodes.readStates(isWanted);
  }

  /** The last events of each of `nodes`, in their order. Rejects as {@link publish} does. */
  readNodeEvents(nodes: readonly string[]): Promise<readonly (readonly NodeEvent[])[]> {
    return this.#nodes.readEvents(nodes);
  }

  /** Asks all edges, for five seconds. Rejects as {@link publish} does. */
  writeConsoleWatch(watch: ConsoleWatch): Promise<void> {
    return this.#nodes.writeWatch(watch);
  }

  /** Reads what pages of a console ask for; undefined if no page asks. Rejects as {@link publish} does. */
  readConsoleWatch(): Promise<ConsoleWatch | undefined> {
    return this.#nodes.readWatch();
  }

  /** Writes what a node answers. Rejects as {@link publish} does. */
  writeNodeAnswer(answer: NodeAnswer): Promise<void> {
    return this.#nodes.writeAnswer(answer);
  }

  /** What each of `nodes` answers; those that do not answer are left out. Rejects as {@link publish} does. */
  readNodeAnswers(nodes: readonly string[]): Promise<readonly NodeAnswer[]> {
    return this.#nodes.readAnswers(nodes);
  }

  /** What this node says of its cluster. Rejects as {@link publish} does. */
  async readCluster(): Promise<ClusterReport> {
    const [info, shards] = await Promise.all([
      this.#link.run(0, (redis) => redis.call('CLUSTER', 'INFO')),
      this.#link.run(0, (redis) => redis.call('CLUSTER', 'SHARDS')),
    ]);
    return { info, shards };
  }

  #thenPublish(transaction: ChainableCommander, channel: string, text: string): ChainableCommander {
    return this.#isSharded
      ? transaction.spublish(channel, text)
      : transaction.publish(channel, text);
  }

  /** Whether a Redis that refuses writes for this reason still delivers publications, by its own account. */
  async #delivers({ state: { delivers } }: RedisRefusedError): Promise<boolean> {
    if (delivers !== 'attached') return delivers === 'yes';
    const replication = this.#link.run(0, (redis) => redis.info('replication'));
    return (await replication.catch(() => '')).includes('master_link_status:up');
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
