import type { MetricObjects, Readiness } from '@tradewind/runtime';
import type { EdgeConfig } from '../config.ts';
import type { FanOutDescription } from '../telemetry/debug-index.ts';

/** What a worker thread is started with. */
export interface WorkerStart {
  readonly config: EdgeConfig;
  /** The port that all workers share. */
  readonly port: number;
  /** Which worker this is, from 0; a replacement keeps the number. */
  readonly slot: number;
  /** For `ConnectionCount`. */
  readonly connectionMemory: SharedArrayBuffer;
}

/**
 * A change of what a worker wants: a channel, and its declaration's number, or undefined to drop it. With
 * an offset, the declaration stands already, and it wants the channel's history from there on. `others`: see `Feed.declare`.
 */
export type InterestChange = readonly [
  channel: string,
  declaration: number | undefined,
  historyFrom?: number | undefined,
  others?: number | undefined,
];

/** From the hub's thread to a worker's. Feed and questions travel on one port, in order. */
export type ToWorker =
  | { readonly kind: 'feed'; readonly buffers: readonly Uint8Array<ArrayBuffer>[] }
  | { readonly kind: 'readiness'; readonly readiness: Readiness }
  | { readonly kind: 'drain'; readonly windowMs: number }
  | { readonly kind: 'hurry' }
  | { readonly kind: 'shed'; readonly count: number; readonly windowMs: number }
  | { readonly kind: 'stop' }
  | { readonly kind: 'ask'; readonly question: number; readonly about: 'metrics' | 'index' };

/** From a worker's thread to the hub's. */
export type FromWorker =
  | { readonly kind: 'listening' }
  | {
      readonly kind: 'interest';
      readonly changes: readonly InterestChange[];
      /** Bytes of feed that were worked off since the last message. */
      readonly consumedBytes: number;
    }
  | { readonly kind: 'alive' }
  | { readonly kind: 'drained' }
  | {
      readonly kind: 'answer';
      readonly question: number;
      readonly metrics: MetricObjects | undefined;
      readonly index: FanOutDescription | undefined;
    };
