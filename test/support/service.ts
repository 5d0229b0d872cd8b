import { type ServiceProcess, startService } from '@tradewind/dev';
import type { Readiness } from '@tradewind/runtime';
import { eventually } from './wait.ts';

/** How long a service may take to reach a Redis that runs, in ms; slow machines included. */
const LINK_DEADLINE_MS = 10_000;

/** Settings by the names of the environment variables, e.g. `REDIS_URL`. */
export type ServiceEnvironment = Readonly<Record<string, string>>;

/** A drain of a second at most: a test that is about draining sets what it needs. */
const SHORT_DRAIN: ServiceEnvironment = { DRAIN_SECONDS: '3', DRAIN_ACCEPT_SECONDS: '0' };

export interface TestEdge extends ServiceProcess {
  /** Where clients connect, e.g. `ws://127.0.0.1:8080/ws`. */
  readonly wsUrl: string;
}

/**
 * Starts a real edge on free ports and resolves when it listens; whether it is ready is for
 * `/readyz` to say. Rejects with the end of its log. The caller ends it, or lets `await using` do so.
 */
export async function startEdge(env: ServiceEnvironment): Promise<TestEdge> {
  const edge = await startService('edge', { ...SHORT_DRAIN, ...env });
  return { ...edge, wsUrl: `ws://127.0.0.1:${edge.port}/ws` };
}

/** Starts a real ingest on free ports, as {@link startEdge} does an edge. */
export async function startIngest(env: ServiceEnvironment): Promise<ServiceProcess> {
  return await startService('ingest', { ...SHORT_DRAIN, ...env });
}

/** Resolves when a service that was just started is ready and linked to Redis. */
export async function untilLinked(service: ServiceProcess): Promise<void> {
  await eventually(
    async () => {
      const response = await fetch(`${service.adminUrl}/readyz`);
      const { ready, degraded } = (await response.json()) as Readiness;
      return ready && !degraded;
    },
    { deadlineMs: LINK_DEADLINE_MS },
  );
}
