import { Redis } from 'ioredis';
import { type StartRedisOptions, startRedis, type TestRedis } from './redis.ts';
import { type ServiceEnvironment, startEdge, type TestEdge } from './service.ts';
import { eventually } from './wait.ts';

/** A Redis and edges on it. Ends with all of its processes. */
export interface Tier extends AsyncDisposable {
  readonly redis: TestRedis;
  /** A connection for publishing and looking, as any backend would have one. */
  readonly backend: Redis;
  readonly edges: readonly TestEdge[];
  /** How many edges are subscribed to a channel, as Redis sees it. */
  subscribers(channel: string): Promise<number>;
}

export interface TierOptions {
  readonly edges: number;
  readonly env?: ServiceEnvironment;
  readonly redis?: StartRedisOptions;
}

/** Starts a tier and resolves when every edge is ready. */
export async function startTier(options: TierOptions): Promise<Tier> {
  const stack = new AsyncDisposableStack();
  try {
    const redis = stack.use(await startRedis(options.redis));
    const backend = new Redis(redis.url, { retryStrategy: () => 100 });
    backend.on('error', () => {});
    stack.defer(() => backend.disconnect());
    const edges: TestEdge[] = [];
    for (let i = 1; i <= options.edges; i += 1) {
      const env = {
        REDIS_URL: redis.url,
        EDGE_NODE_ID: `edge-${i}`,
        DRAIN_SECONDS: '3',
        DRAIN_ACCEPT_SECONDS: '0',
        EDGE_WORKERS: process.env.TEST_EDGE_WORKERS ?? '1',
        ...options.env,
      };
      edges.push(stack.use(await startEdge(env)));
    }
    for (const edge of edges) await eventually(() => isReady(edge));
    const owned = stack.move();
    return {
      redis,
      backend,
      edges,
      async subscribers(channel) {
        const [, count] = (await backend.pubsub('NUMSUB', channel)) as [string, number];
        return Number(count);
      },
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Whether a balancer would send clients to this edge. */
export async function isReady(edge: TestEdge): Promise<boolean> {
  return (await fetch(`${edge.url}/readyz`)).ok;
}

/** What an edge's `/debug/index` shows. */
export interface DebugIndex {
  readonly connections: number;
  readonly channels: number;
  readonly subscriptions: number;
  readonly redisChannels: number;
  readonly busiestChannels: Readonly<Record<string, number>>;
}

export async function debugIndex(edge: TestEdge): Promise<DebugIndex> {
  return (await (await fetch(`${edge.adminUrl}/debug/index`)).json()) as DebugIndex;
}

/** More than any test takes, in ms. */
const LONGEST_TEST_MS = 3_600_000;

/** Log lines of a service that nobody wants to see: faults that nothing handled, and leaks of listeners. */
const FATAL = /"level":"fatal"|unhandled|uncaught|MaxListenersExceededWarning/i;

export function fatalLines(service: { readonly output: readonly string[] }): readonly string[] {
  return service.output.filter((line) => FATAL.test(line));
}

/**
 * Collects the {@link fatalLines} of a service from its start to its end: its output keeps only the latest
 * lines, and a test under load writes far more.
 */
export function collectFatalLines(
  service: Pick<TestEdge, 'output' | 'waitForLine'>,
): readonly string[] {
  const collected: string[] = [];
  const collect = (line: string): undefined => {
    if (FATAL.test(line)) collected.push(line);
  };
  // It waits for nothing, until the service ends.
  service.waitForLine(collect, LONGEST_TEST_MS).catch(() => {});
  return collected;
}
