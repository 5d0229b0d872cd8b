import { bringRedis, type ServiceProcess, startService } from '@tradewind/dev';
import { eventually } from '../../test/support/suite/wait.ts';
import type { TargetSettings } from './settings.ts';

/** How long edges may take to prove their own subscription, in ms. */
const READY_DEADLINE_MS = 30_000;

/** The servers that receive the load. */
export interface Target extends AsyncDisposable {
  /** WebSocket URLs. */
  readonly urls: readonly string[];
  readonly redisUrl: string;
  /** The processes of its edges if they run on this machine; empty otherwise. */
  readonly pids: readonly number[];
  /** One line for the report; holds no password. */
  readonly description: string;
}

/**
 * Starts Redis and edges, or uses those that run elsewhere. Disposing of the target ends what this function started.
 */
export async function openTarget(
  settings: TargetSettings,
  report: (line: string) => void,
): Promise<Target> {
  if (settings.kind === 'remote') {
    const { urls, redisUrl } = settings;
    const origins = urls.map((url) => new URL(url).origin).join(', ');
    const redis = new URL(redisUrl).host;
    const description = `edges at ${origins}, Redis at ${redis}`;
    return { urls, redisUrl, pids: [], description, async [Symbol.asyncDispose]() {} };
  }
  await using stack = new AsyncDisposableStack();
  const redis = await bringRedis(report);
  stack.defer(() => redis.stop());
  const edges: ServiceProcess[] = [];
  for (let i = 1; i <= settings.edges; i += 1) {
    const env = {
      DRAIN_SECONDS: '3',
      DRAIN_ACCEPT_SECONDS: '0',
      ...settings.environment,
      REDIS_URL: redis.url,
      EDGE_NODE_ID: `edge-${i}`,
    };
    edges.push(stack.use(await startService('edge', env)));
  }
  for (const edge of edges) {
    const isReady = async (): Promise<boolean> => (await fetch(`${edge.adminUrl}/readyz`)).ok;
    await eventually(isReady, { deadlineMs: READY_DEADLINE_MS });
  }
  const owned = stack.move();
  const isSecure = settings.environment.EDGE_TLS_CERT_FILE !== undefined;
  const origin = isSecure ? 'wss://localhost' : 'ws://127.0.0.1';
  const told = Object.entries(settings.environment).map(([name, value]) => ` ${name}=${value}`);
  const count = `${edges.length} ${edges.length === 1 ? 'edge' : 'edges'}`;
  return {
    urls: edges.map((edge) => `${origin}:${edge.port}/ws`),
    redisUrl: redis.url,
    pids: edges.map((edge) => edge.pid),
    description: `${count} started here, on loopback, like the load${told.join('')}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
