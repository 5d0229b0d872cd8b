import { evaluateIn, INSPECTABLE, type Inspectable } from '../support/inspector.ts';
import type { ServiceEnvironment } from '../support/service.ts';

/** CPU time that one callback of the event loop, or one message within it, took. */
export interface Cost {
  readonly cpuMs: number;
  /** What the event loop called: `TCP`, `Timeout` and so on; or `message`. */
  readonly kind: string;
  /** Messages of clients that were handled in it. */
  readonly messages: number;
  /** Their bytes. */
  readonly bytes: number;
  /** The beginning of the first of them. */
  readonly text: string;
}

/** What a service's main thread has used. */
export interface Costs {
  /** The most expensive callbacks since the last look, with their microtasks; the worst first. */
  readonly callbacks: readonly Cost[];
  /** The most expensive messages since the last look, without what is left to later; the worst first. */
  readonly messages: readonly Cost[];
  /** Since the start. */
  readonly callbackCount: number;
  readonly messageCount: number;
  readonly messageBytes: number;
  readonly threadCpuMs: number;
  /** Of the heap and of buffers, in bytes; not collected before. */
  readonly memoryBytes: number;
}

const METER = new URL('callback-meter.ts', import.meta.url).href;

/** Settings of a service under which {@link takeCosts} can be asked of it. */
export const METERED: ServiceEnvironment = {
  NODE_OPTIONS: `${INSPECTABLE.NODE_OPTIONS} --import=${METER}`,
};

/** What a service that was started with {@link METERED} has used; the costliest since the last call. */
export async function takeCosts(service: Inspectable): Promise<Costs> {
  return JSON.parse(String(await evaluateIn(service, 'takeCosts()'))) as Costs;
}

/** Charges nothing with what it has used up to now: to be called when it was made to collect its garbage. */
export async function forgetCosts(service: Inspectable): Promise<void> {
  await evaluateIn(service, 'forgetCosts()');
}
