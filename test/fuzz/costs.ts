import { evaluateIn, INSPECTABLE, type Inspectable } from '../support/services/inspector.ts';
import type { ServiceEnvironment } from '../support/services/service.ts';

/** CPU time of one callback of the event loop, or of one message in it. */
export interface Cost {
  readonly cpuMs: number;
  /** The caller of the callback: `TCP`, `Timeout` and so on; or `message`. */
  readonly kind: string;
  /** Client messages that were handled in it. */
  readonly messages: number;
  /** Their bytes. */
  readonly bytes: number;
  /** The beginning of the first of these messages. */
  readonly text: string;
}

/** The use of CPU and memory by a service's main thread. */
export interface Costs {
  /** The most expensive callbacks since the last call, with their microtasks; the worst first. */
  readonly callbacks: readonly Cost[];
  /** The most expensive messages since the last call, without deferred work; the worst first. */
  readonly messages: readonly Cost[];
  /** Since the start. */
  readonly callbackCount: number;
  readonly messageCount: number;
  readonly messageBytes: number;
  readonly threadCpuMs: number;
  /** Bytes of heap and buffers, without a collection before. */
  readonly memoryBytes: number;
}

const METER = new URL('callback-meter.ts', import.meta.url).href;

/** Settings of a service that make {@link takeCosts} possible. */
export const METERED: ServiceEnvironment = {
  NODE_OPTIONS: `${INSPECTABLE.NODE_OPTIONS} --import=${METER}`,
};

/**
 * Returns the costs of a service that was started with {@link METERED}; the most expensive ones are those since the
 * last call.
 */
export async function takeCosts(service: Inspectable): Promise<Costs> {
  return JSON.parse(String(await evaluateIn(service, 'takeCosts()'))) as Costs;
}

/** Charges nothing with the CPU time so far: call it after a forced collection. */
export async function forgetCosts(service: Inspectable): Promise<void> {
  await evaluateIn(service, 'forgetCosts()');
}
