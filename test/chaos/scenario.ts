import { randomInt } from 'node:crypto';
import { createRandom } from '../support/random.ts';
import { type RedisNode, startRedisNode } from '../support/redis-topology.ts';
import {
  type ServiceEnvironment,
  startEdge,
  type TestEdge,
  untilLinked,
} from '../support/service.ts';
import { TcpFaultProxy } from '../support/tcp-fault-proxy.ts';
import { fatalLines } from '../support/tier.ts';
import { eventually } from '../support/wait.ts';
import { expectComplaints } from './expect-complaints.ts';
import { Ledger } from './ledger.ts';
import type { Complaint, ComplaintKind } from './oracle.ts';
import { NumberedPublisher, type PublisherOptions, type SequencedPublisher } from './publisher.ts';
import { ResumingClient, type ResumingClientOptions } from './resuming-client.ts';
import { startScriptPublisher } from './script-publisher.ts';

/** Sets the seed of every scenario, to replay one that failed. */
const SEED_VARIABLE = 'CHAOS_SEED';

/** How long all clients may take to have everything, once nothing is broken any more, in ms. */
export const SETTLE_DEADLINE_MS = 20_000;

/** What detection and repair of a lost link or message may take, in ms. */
export const DETECTION_MS = 3_000;

/** Clients that share one source address: it has 28,000 ports, some of them in other use. */
const CLIENTS_PER_ADDRESS = 2_000;

export interface ScenarioOptions {
  /** 1 by default. */
  readonly edges?: number;
  /** Settings of all edges; what is given here wins. */
  readonly env?: ServiceEnvironment;
  /** The Redis to begin with; by default one is started, and ended with the scenario. */
  readonly redis?: RedisNode;
}

export interface ClientsOptions
  extends Partial<Omit<ResumingClientOptions, 'name' | 'channels' | 'ledger' | 'localAddress'>> {
  /** The same for all, or by the client's number in this call, from 0. */
  readonly channels: readonly string[] | ((index: number) => readonly string[]);
  readonly count?: number;
}

/**
 * A Redis, edges that reach it through a fault proxy, clients with oracles and a ledger that they
 * are held to. It ends all that it started.
 */
export class Scenario implements AsyncDisposable {
  readonly seed: number;
  /** For a scenario's own choices: nothing else draws from it, so a seed makes the same ones. */
  readonly random: ReturnType<typeof createRandom>;
  readonly redis: RedisNode;
  /** Between edges and Redis. Publishers go past it unless told otherwise. */
  readonly proxy: TcpFaultProxy;
  readonly ledger = new Ledger();
  readonly edges: TestEdge[] = [];
  readonly clients: ResumingClient[] = [];
  readonly #stack: AsyncDisposableStack;
  readonly #env: ServiceEnvironment;
  readonly #jitter: ReturnType<typeof createRandom>;

  private constructor(
    seed: number,
    redis: RedisNode,
    proxy: TcpFaultProxy,
    stack: AsyncDisposableStack,
    env: ServiceEnvironment,
  ) {
    this.seed = seed;
    this.random = createRandom(seed);
    this.#jitter = createRandom(seed + 1);
    this.redis = redis;
    this.proxy = proxy;
    this.#stack = stack;
    this.#env = env;
  }

  /** Starts Redis, proxy and edges; resolves when the edges are linked. */
  static async start(options: ScenarioOptions = {}): Promise<Scenario> {
    await using stack = new AsyncDisposableStack();
    const seed = Number(process.env[SEED_VARIABLE] ?? randomInt(2 ** 31));
    const redis = options.redis ?? stack.use(await startRedisNode());
    const { host, port } = redis;
    const proxy = stack.use(await TcpFaultProxy.start({ host, port, speaks: 'redis' }));
    const owned = stack.move();
    const scenario = new Scenario(seed, redis, proxy, owned, options.env ?? {});
    try {
      for (let i = 0; i < (options.edges ?? 1); i += 1) await scenario.startEdge();
    } catch (error) {
      await owned.disposeAsync();
      throw error;
    }
    return scenario;
  }

  get urls(): readonly string[] {
    return this.edges.map(({ wsUrl }) => wsUrl);
  }

  /** Starts one more edge, named `edge-1`, `edge-2`, …, and resolves when it is linked. */
  async startEdge(env: ServiceEnvironment = {}): Promise<TestEdge> {
    const edge = await startEdge({
      REDIS_URL: this.proxy.url,
      EDGE_NODE_ID: `edge-${this.edges.length + 1}`,
      EDGE_WORKERS: process.env.TEST_EDGE_WORKERS ?? '1',
      ...this.#env,
      ...env,
    });
    this.#stack.use(edge);
    this.edges.push(edge);
    await untilLinked(edge);
    return edge;
  }

  /** Connects clients to the edges in turn; resolves when all hold their channels. */
  async connect(options: ClientsOptions): Promise<readonly ResumingClient[]> {
    const { count = 1, channels, ...rest } = options;
    const added: ResumingClient[] = [];
    for (let i = 0; i < count; i += 1) {
      const number = this.clients.length;
      const turn = number % this.edges.length;
      const client = new ResumingClient({
        urls: [...this.urls.slice(turn), ...this.urls.slice(0, turn)],
        random: this.#jitter.next,
        ...rest,
        channels: typeof channels === 'function' ? channels(i) : channels,
        name: `client-${number + 1}`,
        ledger: this.ledger,
        localAddress: `127.0.${1 + Math.floor(number / CLIENTS_PER_ADDRESS)}.1`,
      });
      this.#stack.use(client);
      this.clients.push(client);
      added.push(client);
    }
    await this.until(() => added.every(({ live }) => live), 'all clients are subscribed');
    return added;
  }

  /** Publishes numbered payloads straight to Redis by the script, or by `via`. */
  publish(
    options: Pick<PublisherOptions, 'channels' | 'ratePerSecond' | 'onUnknown' | 'maxInFlight'> & {
      readonly via?: SequencedPublisher;
    },
  ): NumberedPublisher {
    const via = options.via ?? this.scriptPublisher();
    const publisher = new NumberedPublisher({ ...options, ledger: this.ledger, via });
    this.#stack.use(publisher);
    return publisher;
  }

  /** A way to publish by the script, to the first Redis unless told otherwise. */
  scriptPublisher(url = this.redis.url): SequencedPublisher {
    return this.#stack.use(startScriptPublisher(url));
  }

  /** Ends something with the scenario, before what was started earlier. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    return this.#stack.use(resource);
  }

  /** Waits until `holds`; at the deadline it rejects with `what` and the seed. */
  async until(
    holds: () => boolean | Promise<boolean>,
    what: string,
    deadlineMs = SETTLE_DEADLINE_MS,
  ): Promise<void> {
    await eventually(holds, { deadlineMs }).catch((error: Error) => {
      throw new Error(`not so: ${what} (${SEED_VARIABLE}=${this.seed}): ${error.message}`);
    });
  }

  /** Waits at most `deadlineMs` until every client has everything, and says whether. */
  async settle(deadlineMs = SETTLE_DEADLINE_MS): Promise<boolean> {
    return await eventually(() => this.clients.every(({ settled }) => settled), {
      deadlineMs,
    }).then(
      () => true,
      () => false,
    );
  }

  /** Stops all clients and returns what they complain about. */
  async complaints(): Promise<readonly Complaint[]> {
    await Promise.all(this.clients.map((client) => client.stop()));
    return this.clients.flatMap(({ oracle }) => oracle.finish());
  }

  /** Waits until every client has everything, and throws when any complains, or an edge broke. */
  async verify(deadlineMs = SETTLE_DEADLINE_MS): Promise<void> {
    await this.settle(deadlineMs);
    const complaints = await this.complaints();
    const lines = complaints.map(
      (each) => `${each.client} ${each.channel} ${each.kind}: ${each.detail}`,
    );
    lines.push(...this.edges.flatMap((edge) => fatalLines(edge)));
    if (lines.length === 0) return;
    const shown = lines.slice(0, 20).join('\n');
    throw new Error(`${lines.length} complaints (${SEED_VARIABLE}=${this.seed}):\n${shown}`);
  }

  /** For a control: waits as {@link verify} does, and throws unless clients complain in these ways. */
  async expectComplaints(
    kinds: readonly ComplaintKind[],
    deadlineMs = DETECTION_MS,
  ): Promise<void> {
    await this.settle(deadlineMs);
    const complaints = await this.complaints();
    try {
      expectComplaints(complaints, kinds);
    } catch (error) {
      throw new Error(`${(error as Error).message} (${SEED_VARIABLE}=${this.seed})`);
    }
  }

  /** A sum over the clients of what their oracles counted. */
  count(what: keyof ResumingClient['oracle']['counts']): number {
    return this.clients.reduce((sum, { oracle }) => sum + oracle.counts[what], 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.map((client) => client.stop()));
    await this.#stack.disposeAsync();
  }
}
