import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ServiceName,
  type ServiceProcess,
  startService,
} from '../../processes/service-process.ts';
import type { PortSetting, StartSettings } from '../settings.ts';
import { DemoEdge, type EdgeCondition } from './demo-edge.ts';

/** How long a service may take from listening to being ready, in ms: a Redis that is far away needs some round trips. */
const READY_DEADLINE_MS = 20_000;

/** The interval at which a service's readiness is checked, in ms. */
const READY_INTERVAL_MS = 50;

/** The shortest drain that edges allow, because no client of a development machine must move. */
const SHORT_DRAIN = { DRAIN_SECONDS: '3', DRAIN_ACCEPT_SECONDS: '0' };

export interface Cluster extends AsyncDisposable {
  readonly ingest: ServiceProcess;
  readonly console: ServiceProcess;
  readonly edges: readonly DemoEdge[];
  /** Rejects if one of its processes ends unasked; never resolves. */
  readonly failed: Promise<never>;
  /** Like `failed`, but an edge does not count, because it starts again. */
  readonly lost: Promise<never>;
}

/** Which settings of `npm start` a service's own two ports come from. */
export interface PortNames {
  readonly PORT: PortSetting;
  readonly ADMIN_PORT: PortSetting;
}

/** What a cluster is started with. */
export interface ClusterOptions {
  readonly ports: StartSettings['ports'];
  readonly redisUrl: string;
  /** The page that edges point people to; undefined for none. */
  readonly demoUrl: string | undefined;
  /** Is told when an edge changes its condition, with the reason in words. */
  readonly onEdge: (edge: string, condition: EdgeCondition, why: string) => void;
}

/**
 * Starts ingest, two edges and the console over one Redis, and resolves when all are ready. If one does not become ready, it ends all of
 * them and rejects.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { ports, redisUrl, demoUrl, onEdge } = options;
  await using stack = new AsyncDisposableStack();
  const start = async (
    service: ServiceName,
    env: Readonly<Record<string, string>>,
    names: PortNames,
  ): Promise<ServiceProcess> => {
    const ownEnv = {
      REDIS_URL: redisUrl,
      PORT: String(ports[names.PORT]),
      ADMIN_PORT: String(ports[names.ADMIN_PORT]),
    };
    const started = await startService(service, { ...ownEnv, ...env }).catch((error: Error) => {
      throw new Error(inNamesOfStart(error.message, names), { cause: error });
    });
    try {
      await untilReady(started);
      return started;
    } catch (error) {
      await started.stop();
      throw error;
    }
  };
  const edgeEnv = { ...SHORT_DRAIN, ...(demoUrl !== undefined && { EDGE_DEMO_URL: demoUrl }) };
  const startEdge = async (name: string, names: PortNames): Promise<DemoEdge> =>
    stack.use(
      await DemoEdge.start({
        name,
        wsUrl: `ws://127.0.0.1:${ports[names.PORT]}/ws`,
        start: () => start('edge', { ...edgeEnv, EDGE_NODE_ID: name }, names),
        onChange: (condition, why) => onEdge(name, condition, why),
      }),
    );
  const own = async (started: Promise<ServiceProcess>): Promise<ServiceProcess> =>
    stack.use(await started);
  const [ingest, operators, ...edges] = await allOrThrow([
    own(
      start('ingest', SHORT_DRAIN, {
        PORT: 'START_INGEST_PORT',
        ADMIN_PORT: 'START_INGEST_ADMIN_PORT',
      }),
    ),
    own(
      start('console', consoleSettings(ports), {
        PORT: 'START_CONSOLE_PORT',
        ADMIN_PORT: 'START_CONSOLE_ADMIN_PORT',
      }),
    ),
    startEdge('edge-1', { PORT: 'START_EDGE_1_PORT', ADMIN_PORT: 'START_EDGE_1_ADMIN_PORT' }),
    startEdge('edge-2', { PORT: 'START_EDGE_2_PORT', ADMIN_PORT: 'START_EDGE_2_ADMIN_PORT' }),
  ]);

  let stopping = false;
  const owned = stack.move();
  const lost = Promise.race(
    [ingest, operators].map(async ({ name, pid, exited }) => {
      const { code, signal } = await exited;
      if (stopping) return await new Promise<never>(() => {});
      throw new Error(`${name} (process ${pid}) ended with ${signal ?? `exit code ${code}`}`);
    }),
  );
  const failed = Promise.race([lost, ...edges.map((edge) => edge.failed)]);
  lost.catch(() => {});
  failed.catch(() => {});
  return {
    ingest,
    console: operators,
    edges,
    failed,
    lost,
    async [Symbol.asyncDispose]() {
      stopping = true;
      await owned.disposeAsync();
    },
  };
}

/** What the console must know of the others. */
function consoleSettings(ports: StartSettings['ports']): Readonly<Record<string, string>> {
  const edges = [ports.START_EDGE_1_PORT, ports.START_EDGE_2_PORT];
  return {
    CONSOLE_EDGE_URLS: edges.map((port) => `ws://127.0.0.1:${port}/ws`).join(','),
    CONSOLE_INGEST_URL: `http://127.0.0.1:${ports.START_INGEST_PORT}`,
  };
}

async function untilReady(service: ServiceProcess): Promise<void> {
  const deadline = AbortSignal.timeout(READY_DEADLINE_MS);
  let answer = 'nothing';
  while (!deadline.aborted) {
    const response = await fetch(`${service.url}/readyz`, { signal: deadline }).catch(
      () => undefined,
    );
    if (response?.ok) return;
    answer = (await response?.text().catch(() => undefined)) ?? answer;
    await sleep(READY_INTERVAL_MS);
  }
  throw new Error(
    `${service.name} is not ready after ${READY_DEADLINE_MS / 1_000} s: ${answer.trim()}`,
  );
}

/** Like `Promise.all`, but rejects only after all have settled, so that the caller can end what has started. */
async function allOrThrow<const T extends readonly unknown[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

/**
 * The message of a service that could not start, with the variables of `npm start` in the place of the service's own: somebody else
 * may have taken a port since it was found free.
 */
export function inNamesOfStart(message: string, names: PortNames): string {
  return message.replace(/\bset (PORT|ADMIN_PORT) to another/g, (_, own: keyof PortNames) => {
    return `set ${names[own]} to a free one`;
  });
}
