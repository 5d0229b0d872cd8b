import { type ServiceProcess, startService } from '@tradewind/dev';
import type { Readiness } from '@tradewind/runtime';
import { eventually } from '../suite/wait.ts';

/** How long a service may take to reach a running Redis, in ms, also on slow machines. */
const LINK_DEADLINE_MS = 30_000;

/** Settings by the names of the environment variables, e.g. `REDIS_URL`. */
export type ServiceEnvironment = Readonly<Record<string, string>>;

/** A short drain; a test about draining sets what it needs. */
const SHORT_DRAIN: ServiceEnvironment = { DRAIN_SECONDS: '3', DRAIN_ACCEPT_SECONDS: '0' };

export interface TestEdge extends ServiceProcess {
  /** The URL for clients, e.g. `ws://127.0.0.1:8080/ws`. */
  readonly wsUrl: string;
}

/**
 * Starts a real edge on free ports and resolves after it listens; `/readyz` reports whether it is ready. Rejects with
 * the end of its log. The caller ends it, for example by `await using`.
 */
export async function startEdge(env: ServiceEnvironment): Promise<TestEdge> {
  const edge = await startService('edge', { ...SHORT_DRAIN, ...env });
  return { ...endsAtOnce(edge), wsUrl: `ws://127.0.0.1:${edge.port}/ws` };
}

/** Starts a real ingest on free ports, like {@link startEdge}. */
export async function startIngest(env: ServiceEnvironment): Promise<ServiceProcess> {
  return endsAtOnce(await startService('ingest', { ...SHORT_DRAIN, ...env }));
}

/** The same service, without a drain when it is disposed of: nobody looks at it then. `stop` still drains. */
function endsAtOnce(service: ServiceProcess): ServiceProcess {
  return {
    ...service,
    async [Symbol.asyncDispose]() {
      await service.stop(0);
    },
  };
}

/** Resolves after a service that was just started is ready and linked to Redis. */
export async function untilLinked(service: ServiceProcess): Promise<void> {
  await eventually(
    async () => {
      // A connection that stayed open would count where a test counts connections or descriptors.
      const headers = { connection: 'close' };
      const response = await fetch(`${service.adminUrl}/readyz`, { headers });
      const { ready, degraded } = (await response.json()) as Readiness;
      return ready && !degraded;
    },
    { deadlineMs: LINK_DEADLINE_MS },
  );
}
