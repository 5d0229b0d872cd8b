import type { Redis } from 'ioredis';
import type { StartRedisOptions, TestRedis } from './redis/redis.ts';
import { connectBackend, serviceEnv, startRedisOfMode } from './redis/redis-mode.ts';
import {
  type ServiceEnvironment,
  startEdge,
  type TestEdge,
  untilLinked,
} from './services/service.ts';

/** A Redis, or a cluster in cluster mode, and its edges. Disposing of it ends all of its processes. */
export interface Tier extends AsyncDisposable {
  readonly redis: TestRedis;
  /** A connection for publishing and checks, as a backend would have. */
  readonly backend: Redis;
  readonly edges: readonly TestEdge[];
  /** The number of edges that are subscribed to a channel, according to Redis. */
  subscribers(channel: string): Promise<number>;
}

export interface TierOptions {
  readonly edges: number;
  readonly env?: ServiceEnvironment;
  readonly redis?: StartRedisOptions;
}

/** Starts a tier and resolves after every edge is ready and linked to its Redis. */
export async function startTier(options: TierOptions): Promise<Tier> {
  const stack = new AsyncDisposableStack();
  try {
    const redis = stack.use(await startRedisOfMode(options.redis));
    const backend = connectBackend(redis);
    stack.defer(() => backend.disconnect());
    const edges: TestEdge[] = [];
    for (let i = 1; i <= options.edges; i += 1) {
      const env = {
        ...serviceEnv(redis),
        EDGE_NODE_ID: `edge-${i}`,
        DRAIN_SECONDS: '3',
        DRAIN_ACCEPT_SECONDS: '0',
        EDGE_WORKERS: process.env.TEST_EDGE_WORKERS ?? '1',
        ...options.env,
      };
      edges.push(stack.use(await startEdge(env)));
    }
    // An edge listens, and is ready, before it is linked: it would tell clients that come so early that it is unavailable.
    for (const edge of edges) await untilLinked(edge);
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

/** The fields of an edge's `/debug/index`. */
export interface DebugIndex {
  readonly connections: number;
  readonly channels: number;
  readonly subscriptions: number;
  readonly redisChannels: number;
  readonly busiestChannels: Readonly<Record<string, number>>;
}

/** Rejects while the edge is too busy to answer. */
export async function debugIndex(edge: TestEdge): Promise<DebugIndex> {
  const response = await fetch(`${edge.adminUrl}/debug/index`);
  if (!response.ok) throw new Error(`/debug/index answered ${response.status}`);
  return (await response.json()) as DebugIndex;
}

/** Longer than any test, in ms. */
const LONGEST_TEST_MS = 3_600_000;

/** Log lines of a service that must not appear: unhandled faults, and leaks of listeners. */
const FATAL = /"level":"fatal"|unhandled|uncaught|MaxListenersExceededWarning/i;

export function fatalLines(service: { readonly output: readonly string[] }): readonly string[] {
  return service.output.filter((line) => FATAL.test(line));
}

/**
 * Collects the {@link fatalLines} of a service from its start to its end. Its output keeps only the latest lines, and a
 * test under load writes far more.
 */
export function collectFatalLines(
  service: Pick<TestEdge, 'output' | 'waitForLine'>,
): readonly string[] {
  const collected: string[] = [];
  const collect = (line: string): undefined => {
    if (FATAL.test(line)) collected.push(line);
  };
  // It never matches, so it sees every line until the service ends.
  service.waitForLine(collect, LONGEST_TEST_MS).catch(() => {});
  return collected;
}
