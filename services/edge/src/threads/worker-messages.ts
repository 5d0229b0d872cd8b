import type { MetricObjects, Readiness } from '@tradewind/runtime';
import type { EdgeConfig } from '../config.ts';
import type { FanOutDescription } from '../telemetry/debug-index.ts';

/** What a worker thread is started with. */
export interface WorkerStart {
  readonly config: EdgeConfig;
  /** The TCP port that all workers share. */
  readonly port: number;
  /** The number of the worker, from 0. A replacement keeps the number. */
  readonly slot: number;
  /** For `ConnectionCount`. */
  readonly connectionMemory: SharedArrayBuffer;
}

/**
 * A change of a worker's interest. Without an offset, the worker declares the channel under a number, or drops it
 * (undefined). With an offset, it reads the history of a channel that it has declared, from that offset on. `others`:
 * see `Feed.declare`.
 */
export type InterestChange = readonly [
  channel: string,
  declaration: number | undefined,
  historyFrom?: number | undefined,
  others?: number | undefined,
];

/** From the hub's thread to a worker's. Feed and requests travel on one port, in order. */
export type ToWorker =
  | { readonly kind: 'feed'; readonly buffers: readonly Uint8Array<ArrayBuffer>[] }
  | { readonly kind: 'readiness'; readonly readiness: Readiness }
  | { readonly kind: 'drain'; readonly windowMs: number }
  | { readonly kind: 'hurry' }
  | { readonly kind: 'shed'; readonly count: number; readonly windowMs: number }
  | { readonly kind: 'stop' }
  | { readonly kind: 'request'; readonly request: number; readonly about: 'metrics' | 'index' };

/** From a worker's thread to the hub's. */
export type FromWorker =
  | { readonly kind: 'listening' }
  | {
      readonly kind: 'interest';
      readonly changes: readonly InterestChange[];
      /** Bytes of the feed that the worker has handled since its last message. */
      readonly consumedBytes: number;
    }
  | { readonly kind: 'alive' }
  | { readonly kind: 'drained' }
  | {
      readonly kind: 'answer';
      readonly request: number;
      readonly metrics: MetricObjects | undefined;
      readonly index: FanOutDescription | undefined;
    };
