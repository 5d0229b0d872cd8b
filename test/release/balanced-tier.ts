import { readFileSync } from 'node:fs';
import { findFreePort, type ServiceProcess, WORKSPACE_ROOT } from '@tradewind/dev';
import { readUnitFile } from '@tradewind/release';
import { TcpBalancer, type TcpBalancerOptions } from '../support/faults/tcp-balancer.ts';
import { startRedis } from '../support/redis/redis.ts';
import {
  type ServiceEnvironment,
  startEdge,
  startIngest,
  type TestEdge,
  untilLinked,
} from '../support/services/service.ts';

export const ADMIN_TOKEN = 'a-token-of-operators';

/** The name and address of an edge, whether it runs or not. */
export interface EdgePlace {
  readonly name: string;
  readonly port: number;
  readonly adminPort: number;
}

/** Redis, an ingest, and edges behind a balancer, with the settings of the shipped units. */
export interface BalancedTier extends AsyncDisposable {
  readonly redisUrl: string;
  readonly ingest: ServiceProcess;
  readonly balancer: TcpBalancer;
  readonly places: readonly EdgePlace[];
  /** The edge that runs at a place. */
  edgeAt(name: string): TestEdge;
  /** Starts the first edge at a place, or a new one after the last has ended; resolves after it is linked. */
  start(name: string): Promise<void>;
  /** Adds a place to the balancer. */
  announce(name: string): Promise<void>;
}

/** The variables of `infra/systemd/tradewind-<service>.service`. */
export function shippedSettings(service: 'edge' | 'ingest'): ServiceEnvironment {
  const path = `${WORKSPACE_ROOT}infra/systemd/tradewind-${service}.service`;
  return readUnitFile(readFileSync(path, 'utf8')).environment;
}

/**
 * @param names of the places for edges; empty if something else starts edges.
 * @param checks how the balancer checks whether edges are ready.
 * @param env settings of the edges besides those of their unit.
 */
export async function startBalancedTier(
  names: readonly string[],
  checks: Partial<TcpBalancerOptions> = {},
  env: ServiceEnvironment = {},
): Promise<BalancedTier> {
  const owned = new AsyncDisposableStack();
  try {
    return await startIn(owned, names, checks, env);
  } catch (error) {
    await owned.disposeAsync();
    throw error;
  }
}

async function startIn(
  owned: AsyncDisposableStack,
  names: readonly string[],
  checks: Partial<TcpBalancerOptions>,
  env: ServiceEnvironment,
): Promise<BalancedTier> {
  const redis = owned.use(await startRedis());
  const ingest = await startIngest({ ...shippedSettings('ingest'), REDIS_URL: redis.url });
  // A test that is over does not wait for the drain; the same holds below.
  owned.defer(async () => void (await ingest.stop(0)));
  const places: EdgePlace[] = [];
  for (const name of names) {
    places.push({ name, port: await findFreePort(), adminPort: await findFreePort() });
  }
  const running = new Map<string, TestEdge>();
  owned.defer(async () => {
    await Promise.all([...running.values()].map((edge) => edge.stop(0)));
  });
  await untilLinked(ingest);
  const balancer = owned.use(await TcpBalancer.start([], checks));
  const placeOf = (name: string): EdgePlace => {
    const place = places.find((each) => each.name === name);
    if (place === undefined) throw new Error(`there is no place for ${name}`);
    return place;
  };
  return {
    redisUrl: redis.url,
    ingest,
    balancer,
    places,
    edgeAt(name) {
      const edge = running.get(name);
      if (edge === undefined) throw new Error(`${name} was not started`);
      return edge;
    },
    async start(name) {
      const before = running.get(name);
      if (before !== undefined) {
        const { code } = await before.exited;
        if (code !== 0) throw new Error(`${name} ended with ${code}`);
      }
      const { port, adminPort } = placeOf(name);
      const edge = await startEdge({
        ...shippedSettings('edge'),
        ...{ REDIS_URL: redis.url, EDGE_NODE_ID: name, EDGE_WORKERS: '1', ADMIN_TOKEN },
        ...{ PORT: String(port), ADMIN_PORT: String(adminPort), ...env },
      });
      running.set(name, edge);
      await untilLinked(edge);
    },
    async announce(name) {
      await balancer.add({ name, host: '127.0.0.1', port: placeOf(name).port });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
