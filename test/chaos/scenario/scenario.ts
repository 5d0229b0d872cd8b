import { randomInt } from 'node:crypto';
import { TcpFaultProxy } from '../../support/faults/tcp-fault-proxy.ts';
import { type RedisNode, startRedisNode } from '../../support/redis/redis-topology.ts';
import {
  type ServiceEnvironment,
  startEdge,
  startIngest,
  type TestEdge,
  untilLinked,
} from '../../support/services/service.ts';
import { createRandom } from '../../support/suite/random.ts';
import { eventually } from '../../support/suite/wait.ts';
import { collectFatalLines } from '../../support/tier.ts';
import {
  ANY_NEWS,
  type Complaint,
  type ComplaintKind,
  type Expectation,
} from '../oracle/complaint.ts';
import { expectComplaints } from '../oracle/expect-complaints.ts';
import { Ledger } from '../oracle/ledger.ts';
import { ingestPublisher } from '../publishers/ingest-publisher.ts';
import {
  NumberedPublisher,
  type PublisherOptions,
  type SequencedPublisher,
} from '../publishers/publisher.ts';
import {
  type ScriptPublisherOptions,
  startScriptPublisher,
} from '../publishers/script-publisher.ts';
import { ResumingClient, type ResumingClientOptions } from '../subscribers/resuming-client.ts';
import { readTails } from './redis-tails.ts';

/** Sets the seed of every scenario, to repeat one that failed. */
const SEED_VARIABLE = 'CHAOS_SEED';

/** How long all clients may take to have everything after the last fault, in ms. */
export const SETTLE_DEADLINE_MS = 20_000;

/** How long detection and repair of a lost link or message may take, in ms. */
export const DETECTION_MS = 3_000;

/** Clients that share one source address, which has 28,000 ports; some of them are in use. */
const CLIENTS_PER_ADDRESS = 2_000;

export interface ScenarioOptions {
  /** Default: 1. */
  readonly edges?: number;
  /** Settings of all edges; they override the scenario's own. */
  readonly env?: ServiceEnvironment;
  /** The first Redis. Default: one is started, and ended with the scenario. */
  readonly redis?: RedisNode;
}

/** The expected end of a scenario. Default: nothing lost, and no new epoch. */
export interface Verification extends Partial<Expectation> {
  /** How long clients may take to have everything, in ms. */
  readonly deadlineMs?: number;
}

const NO_NEWS: Expectation = { lost: 'nothing', epochs: 0 };

export interface ClientsOptions
  extends Partial<Omit<ResumingClientOptions, 'name' | 'channels' | 'ledger' | 'localAddress'>> {
  /** The same for all clients, or by the client's number in this call, from 0. */
  readonly channels: readonly string[] | ((index: number) => readonly string[]);
  readonly count?: number;
}

/**
 * A Redis, edges that reach it through a fault proxy, clients with oracles, and a ledger that they are compared with.
 * It ends everything that it started.
 */
export class Scenario implements AsyncDisposable {
  readonly seed: number;
  /** For a scenario's own choices. Nothing else draws from it, so a seed makes the same choices. */
  readonly random: ReturnType<typeof createRandom>;
  readonly redis: RedisNode;
  /** Between edges and Redis. Publishers bypass it by default. */
  readonly proxy: TcpFaultProxy;
  readonly ledger = new Ledger();
  readonly edges: TestEdge[] = [];
  readonly clients: ResumingClient[] = [];
  /** The Redis with the valid data: the first one, until {@link movesTo}. */
  #master: RedisNode;
  readonly #stack: AsyncDisposableStack;
  readonly #env: ServiceEnvironment;
  /** Log lines of edges and ingests that must not appear, including those of killed ones. */
  readonly #fatalLines: (readonly string[])[] = [];
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
    this.#master = redis;
    this.proxy = proxy;
    this.#stack = stack;
    this.#env = env;
  }

  /** Starts Redis, proxy and edges; resolves after the edges are linked. */
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

  /** Starts another edge, named `edge-1`, `edge-2`, …, and resolves after it is linked. */
  async startEdge(env: ServiceEnvironment = {}): Promise<TestEdge> {
    const edge = await this.#launch(this.edges.length, env);
    this.edges.push(edge);
    await untilLinked(edge);
    return edge;
  }

  /** Restarts an edge that has died, under its name and on its port; does not wait for its link. */
  async restartEdge(dead: TestEdge): Promise<TestEdge> {
    const index = this.edges.indexOf(dead);
    await dead.exited;
    const edge = await this.#launch(index, { PORT: String(dead.port) });
    this.edges[index] = edge;
    return edge;
  }

  async #launch(index: number, env: ServiceEnvironment): Promise<TestEdge> {
    const edge = await startEdge({
      REDIS_URL: this.proxy.url,
      EDGE_NODE_ID: `edge-${index + 1}`,
      EDGE_WORKERS: process.env.TEST_EDGE_WORKERS ?? '1',
      ...this.#env,
      ...env,
    });
    this.#stack.use(edge);
    this.#fatalLines.push(collectFatalLines(edge));
    return edge;
  }

  /** Starts an ingest, by default directly on the first Redis; resolves after it is linked. */
  async startIngest(env: ServiceEnvironment = {}) {
    const ingest = this.#stack.use(await startIngest({ REDIS_URL: this.redis.url, ...env }));
    this.#fatalLines.push(collectFatalLines(ingest));
    await untilLinked(ingest);
    return { ...ingest, publisher: ingestPublisher(ingest.url) };
  }

  /** From now on this Redis has the valid data: it has replaced the first one. */
  movesTo(master: RedisNode): void {
    this.#master = master;
  }

  /** Connects clients to the edges in turn; resolves after all hold their channels. */
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

  /** Publishes numbered payloads directly to Redis by the script, or by `via`. */
  publish(
    options: Pick<PublisherOptions, 'channels' | 'ratePerSecond' | 'onUnknown' | 'maxInFlight'> & {
      readonly via?: SequencedPublisher;
      /** For the script, if there is no `via`. */
      readonly historySize?: number;
    },
  ): NumberedPublisher {
    const via = options.via ?? this.scriptPublisher(this.redis.url, options);
    const publisher = new NumberedPublisher({ ...options, ledger: this.ledger, via });
    this.#stack.use(publisher);
    return publisher;
  }

  /** A way to publish by the script, by default to the first Redis. */
  scriptPublisher(url = this.redis.url, options?: ScriptPublisherOptions): SequencedPublisher {
    return this.#stack.use(startScriptPublisher(url, options));
  }

  /** Ends something with the scenario, before everything that was started earlier. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    return this.#stack.use(resource);
  }

  /** Waits until `holds` returns true; rejects at the deadline with `what` and the seed. */
  async until(
    holds: () => boolean | Promise<boolean>,
    what: string,
    deadlineMs = SETTLE_DEADLINE_MS,
  ): Promise<void> {
    await eventually(holds, { deadlineMs }).catch((error: Error) => {
      throw new Error(`not so: ${what} (${SEED_VARIABLE}=${this.seed}): ${error.message}`);
    });
  }

  /**
   * Waits at most `deadlineMs` until every client is live and exactly at Redis' position; returns whether that
   * happened. Call it after the last publication, because `meta` then has the end.
   */
  async settle(deadlineMs = SETTLE_DEADLINE_MS): Promise<boolean> {
    const settled = async (): Promise<boolean> => {
      // Read again each time, because an edge may still begin an epoch.
      const tails = await readTails(this.#master.control, this.ledger.channels);
      for (const [channel, tail] of tails) this.ledger.found(channel, tail);
      return this.clients.every((client) => client.settled);
    };
    return await eventually(settled, { deadlineMs }).then(
      () => true,
      () => false,
    );
  }

  /** Stops all clients and returns their complaints; losses count only beyond those expected. */
  async complaints(expected: Expectation = ANY_NEWS): Promise<readonly Complaint[]> {
    const away = this.clients.filter(({ live }) => !live);
    await Promise.all(this.clients.map((client) => client.stop()));
    return [
      ...away.map(({ oracle: { client } }) => complaintOfAbsence(client)),
      ...this.clients.flatMap(({ oracle }) => oracle.finish(expected)),
    ];
  }

  /**
   * Waits until every client has everything, and throws if one complains or a service failed. By default nothing may
   * have been reported as lost and no epoch may have ended, because the history was long enough for the fault.
   */
  async verify({ deadlineMs, ...expected }: Verification = {}): Promise<void> {
    await this.settle(deadlineMs);
    const complaints = await this.complaints({ ...NO_NEWS, ...expected });
    const lines = complaints.map(
      (each) => `${each.client} ${each.channel} ${each.kind}: ${each.detail}`,
    );
    lines.push(...this.#fatalLines.flat());
    if (lines.length === 0) return;
    const shown = lines.slice(0, 20).join('\n');
    throw new Error(`${lines.length} complaints (${SEED_VARIABLE}=${this.seed}):\n${shown}`);
  }

  /** For a control: expects the same as {@link verify}, and throws unless clients complain in these ways. */
  async expectComplaints(
    kinds: readonly ComplaintKind[],
    { deadlineMs = DETECTION_MS, ...expected }: Verification = {},
  ): Promise<void> {
    await this.settle(deadlineMs);
    const complaints = await this.complaints({ ...NO_NEWS, ...expected });
    try {
      expectComplaints(complaints, kinds);
    } catch (error) {
      throw new Error(`${(error as Error).message} (${SEED_VARIABLE}=${this.seed})`);
    }
  }

  /** A sum over the clients of one count of their oracles. */
  count(what: keyof ResumingClient['oracle']['counts']): number {
    return this.clients.reduce((sum, { oracle }) => sum + oracle.counts[what], 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.map((client) => client.stop()));
    await this.#stack.disposeAsync();
  }
}

function complaintOfAbsence(client: string): Complaint {
  return { kind: 'missing', client, channel: '', detail: 'it does not hold all of its channels' };
}
