import { randomInt } from 'node:crypto';
import {
  ClusterCommands,
  hashSlot,
  RedisRefusedError,
  RedisUnavailableError,
} from '@tradewind/bus';
import {
  type ClusterNode,
  type RedisCluster,
  type RedisClusterOptions,
  startRedisCluster,
} from '../../support/redis/redis-cluster.ts';
import { startEdge, type TestEdge, untilLinked } from '../../support/services/service.ts';
import { createRandom } from '../../support/suite/random.ts';
import { eventually } from '../../support/suite/wait.ts';
import { collectFatalLines } from '../../support/tier.ts';
import type { Expectation } from '../oracle/complaint.ts';
import { Ledger } from '../oracle/ledger.ts';
import {
  NotPublishedError,
  NumberedPublisher,
  type PublisherOptions,
} from '../publishers/publisher.ts';
import { type ShardPublisher, startShardPublisher } from '../publishers/shard-publisher.ts';
import {
  LIBRARIES,
  type Missed,
  NaiveClusterSubscriber,
} from '../subscribers/naive-cluster-subscriber.ts';
import { ResumingClient } from '../subscribers/resuming-client.ts';

/** How long all clients may take to have everything after the last fault, in ms; a failover included. */
const SETTLE_DEADLINE_MS = 40_000;

/** Publications in a channel's history: more than any client can miss here. */
const HISTORY_SIZE = 5_000;
const HISTORY_TTL_MS = 600_000;

/** Clients that share one source address. */
const CLIENTS_PER_ADDRESS = 2_000;

export interface ClusterScenarioOptions extends RedisClusterOptions {
  readonly edges: number;
}

/** A Redis Cluster, edges on it, clients with oracles, and a ledger that they are compared with. It ends all of it. */
export class ClusterScenario implements AsyncDisposable {
  readonly cluster: RedisCluster;
  readonly random: ReturnType<typeof createRandom>;
  readonly seed: number;
  readonly edges: TestEdge[] = [];
  readonly clients: ResumingClient[] = [];
  readonly ledger = new Ledger();
  readonly #stack: AsyncDisposableStack;
  readonly #fatalLines: (readonly string[])[] = [];

  private constructor(cluster: RedisCluster, stack: AsyncDisposableStack) {
    this.cluster = cluster;
    this.#stack = stack;
    this.seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31));
    this.random = createRandom(this.seed);
  }

  static async start({ edges, ...options }: ClusterScenarioOptions): Promise<ClusterScenario> {
    const stack = new AsyncDisposableStack();
    const scenario = new ClusterScenario(stack.use(await startRedisCluster(options)), stack);
    try {
      for (let i = 0; i < edges; i += 1) await scenario.startEdge();
    } catch (error) {
      await stack.disposeAsync();
      throw error;
    }
    return scenario;
  }

  /** Starts one more edge, and resolves after it is linked. @param url the nodes that it knows of at first. */
  async startEdge(url = this.cluster.url): Promise<TestEdge> {
    const edge = await startEdge({
      REDIS_MODE: 'cluster',
      REDIS_URL: url,
      EDGE_NODE_ID: `edge-${this.edges.length + 1}`,
      EDGE_WORKERS: process.env.TEST_EDGE_WORKERS ?? '1',
    });
    this.edges.push(this.#stack.use(edge));
    this.#fatalLines.push(collectFatalLines(edge));
    await untilLinked(edge);
    return edge;
  }

  /** The masters of the start. */
  get masters(): readonly ClusterNode[] {
    return this.cluster.nodes.slice(0, 3);
  }

  /** `count` channels on each of the masters of the start, shard by shard. */
  async channels(count: number): Promise<readonly (readonly string[])[]> {
    return await Promise.all(
      this.masters.map(async (node, shard) => {
        const own = (await this.cluster.seenBy(node)).find(({ id }) => id === node.id);
        const names: string[] = [];
        for (let n = 0; names.length < count; n += 1) {
          const slot = hashSlot(`s${shard}-${n}`);
          if (own?.slots.some(([from, to]) => slot >= from && slot <= to))
            names.push(`s${shard}-${n}`);
        }
        return names;
      }),
    );
  }

  /** Connects clients to the edges in turn, each with one of the channels in turn. */
  async connect(
    count: number,
    channels: readonly string[],
    edges: readonly TestEdge[] = this.edges,
  ): Promise<readonly ResumingClient[]> {
    const added: ResumingClient[] = [];
    for (let i = 0; i < count; i += 1) {
      const number = this.clients.length;
      const urls = edges.map(({ wsUrl }) => wsUrl);
      const turn = number % urls.length;
      const client = new ResumingClient({
        urls: [...urls.slice(turn), ...urls.slice(0, turn)],
        channels: [channels[i % channels.length]!],
        ledger: this.ledger,
        name: `client-${number + 1}`,
        random: this.random.next,
        localAddress: `127.0.${1 + Math.floor(number / CLIENTS_PER_ADDRESS)}.1`,
      });
      this.clients.push(client);
      added.push(client);
      // Handshakes of one address are limited.
      if (i % 100 === 99)
        await this.until(() => added.every(({ live }) => live), 'clients are subscribed');
    }
    await this.until(() => added.every(({ live }) => live), 'all clients are subscribed');
    return added;
  }

  /** Publishes numbered payloads by the script, over a client of the cluster of its own. */
  async publish(
    options: Pick<PublisherOptions, 'channels' | 'ratePerSecond' | 'maxInFlight'>,
  ): Promise<NumberedPublisher> {
    const linked = Promise.withResolvers<void>();
    const commands = new ClusterCommands(
      {
        ...{ mode: 'cluster', url: this.cluster.url, password: undefined },
        ...{ certificateAuthority: undefined, connectionName: 'tradewind-chaos' },
      },
      { available: () => linked.resolve(), unavailable: () => {} },
    );
    commands.start();
    this.#stack.defer(() => commands.stop());
    await linked.promise;
    const publisher = new NumberedPublisher({
      ...options,
      ledger: this.ledger,
      via: {
        async publish(channel, payload) {
          const publication = {
            ...{ channel, payload, historySize: HISTORY_SIZE, historyTtlMs: HISTORY_TTL_MS },
            idempotencyWindowMs: 0,
          };
          try {
            return await commands.publishSequenced(publication);
          } catch (error) {
            const isCertain =
              error instanceof RedisRefusedError ||
              (error instanceof RedisUnavailableError && error.outcome === 'not-sent');
            throw isCertain ? new NotPublishedError((error as Error).message) : error;
          }
        },
        [Symbol.dispose]: () => undefined,
      },
    });
    this.#stack.use(publisher);
    return publisher;
  }

  /**
   * Publishes numbered payloads on these channels of each shard, over connections to its master and its replica. If `via` was
   * connected before a failover, it publishes on the new master before a library has subscribed there.
   */
  publishEagerly(
    shards: readonly (readonly string[])[],
    ratePerSecond: number,
  ): { readonly publisher: NumberedPublisher; readonly via: ShardPublisher } {
    const { nodes } = this.cluster;
    const via = this.#stack.use(
      startShardPublisher(
        shards.map((channels, shard) => ({
          channels,
          nodes: nodes.filter((_, i) => i % shards.length === shard),
        })),
      ),
    );
    const publisher = new NumberedPublisher({
      ...{ channels: shards.flat(), ledger: this.ledger, via, ratePerSecond },
      onUnknown: 'repeat',
    });
    this.#stack.use(publisher);
    return { publisher, via };
  }

  /** Subscribers as the libraries ship them, one of each. Publications must flow. The scenario ends them. */
  async naive(channels: readonly string[]): Promise<readonly NaiveClusterSubscriber[]> {
    const { nodes } = this.cluster;
    return await Promise.all(
      LIBRARIES.map(async (library) =>
        this.#stack.use(await NaiveClusterSubscriber.start(library, nodes, channels, this.ledger)),
      ),
    );
  }

  async until(
    holds: () => boolean | Promise<boolean>,
    what: string,
    deadlineMs = SETTLE_DEADLINE_MS,
  ) {
    await eventually(holds, { deadlineMs }).catch((error: Error) => {
      throw new Error(`not so: ${what} (CHAOS_SEED=${this.seed}): ${error.message}`);
    });
  }

  /**
   * Waits until each of these channels, which are of one shard, was published to on the master that it has now. Returns how long
   * that took, in ms.
   */
  async untilPublishedTo(channels: readonly string[]): Promise<number> {
    const since = performance.now();
    const { control } = await this.cluster.masterOf(channels[0]!);
    const ends = () => Promise.all(channels.map((channel) => control.get(`{${channel}}:meta`)));
    const before = await ends();
    await this.until(
      async () => (await ends()).every((end, i) => end !== before[i]),
      'each channel of the shard is published to again',
    );
    return Math.round(performance.now() - since);
  }

  /** Waits until as many publications as `publisher` starts in a second were acknowledged. */
  async untilFlowing(publisher: NumberedPublisher, ratePerSecond: number): Promise<void> {
    const before = publisher.acknowledged;
    await this.until(
      () => publisher.acknowledged >= before + ratePerSecond,
      'publications flow again',
    );
  }

  /**
   * What each library's subscriber has missed once all our clients have everything: by then it would have everything, too. Redis
   * sends nothing twice. The publishers pause meanwhile.
   */
  async judge(
    naive: readonly NaiveClusterSubscriber[],
    ...publishers: readonly NumberedPublisher[]
  ): Promise<readonly Missed[]> {
    await Promise.all(publishers.map((publisher) => publisher.hold()));
    await this.until(() => this.#isSettled(), 'our clients have everything');
    const missed = await Promise.all(naive.map((subscriber) => subscriber.finish()));
    for (const publisher of publishers) publisher.go();
    return missed;
  }

  /** Waits until every client has everything, and throws if one complains or an edge failed. */
  async verify(
    expected: Partial<Expectation> = {},
    deadlineMs = SETTLE_DEADLINE_MS,
  ): Promise<void> {
    await eventually(() => this.#isSettled(), { deadlineMs }).catch(() => undefined);
    const away = this.clients.filter(({ live }) => !live).length;
    await Promise.all(this.clients.map((client) => client.stop()));
    const lines = [
      ...(away === 0 ? [] : [`${away} clients do not hold their channels`]),
      ...this.clients
        .flatMap(({ oracle }) => oracle.finish({ lost: 'nothing', epochs: 0, ...expected }))
        .map((each) => `${each.client} ${each.channel} ${each.kind}: ${each.detail}`),
      ...this.#fatalLines.flat(),
    ];
    if (lines.length === 0) return;
    throw new Error(
      `${lines.length} complaints (CHAOS_SEED=${this.seed}):\n${lines.slice(0, 20).join('\n')}`,
    );
  }

  async #isSettled(): Promise<boolean> {
    await this.#readTails();
    return this.clients.every(({ settled }) => settled);
  }

  /** The ends of all channels, read from Redis. */
  async #readTails(): Promise<void> {
    const owners = await this.cluster.owners();
    await Promise.all(
      this.ledger.channels.map(async (channel) => {
        const value = await owners[hashSlot(channel)]?.control.get(`{${channel}}:meta`);
        const [, epoch, offset] = /^([A-Za-z0-9]+):(\d+)$/.exec(value ?? '') ?? [];
        if (epoch !== undefined) this.ledger.found(channel, { epoch, offset: Number(offset) });
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.map((client) => client.stop()));
    await this.#stack.disposeAsync();
  }
}
