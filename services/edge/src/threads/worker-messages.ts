import type { MetricObjects, Readiness, TlsCredentials } from '@tradewind/runtime';
import type { IdentityUpdate } from '../auth/identity-update.ts';
import type { EdgeConfig } from '../config/edge-config.ts';
import type { ClientReading } from '../telemetry/client-reading.ts';
import type { FanOutDescription } from '../telemetry/debug-index.ts';
import type { SessionList } from '../telemetry/session-list.ts';
import type { ClientEnquiry, ClientEnquiryAnswer } from '../telemetry/watched-clients.ts';

/** The data that a worker thread is started with. */
export interface WorkerStart {
  readonly config: EdgeConfig;
  /** The latest certificate of the port. Undefined for a port without TLS. */
  readonly tls: TlsCredentials | undefined;
  /** The TCP port that all workers share. */
  readonly port: number;
  /** The number of the worker, from 0. A replacement keeps the number. */
  readonly slot: number;
  /** For `ConnectionCount`. */
  readonly connectionMemory: SharedArrayBuffer;
  /** The updates that the verifier must apply before it verifies the first token. Later updates come as messages. */
  readonly identity: readonly IdentityUpdate[];
}

/**
 * A call of a worker to its feed (see `Feed`). Each call that is answered has a number of its own, which the answer
 * carries. Numbers grow with each call of a worker.
 */
export type FeedCall =
  | {
      readonly kind: 'declare';
      readonly channel: string;
      readonly number: number;
      readonly others: number;
    }
  | { readonly kind: 'drop'; readonly channel: string }
  | { readonly kind: 'want-deflated'; readonly channel: string; readonly isWanted: boolean }
  | {
      readonly kind: 'read-history';
      readonly channel: string;
      readonly number: number;
      readonly from: number;
    }
  | { readonly kind: 'confirm-end'; readonly channel: string; readonly number: number };

/** What the main thread can ask a worker for: its metrics, its index, the sessions of a subject, or answers for pages of a console. */
export type Enquiry =
  | 'metrics'
  | 'index'
  | { readonly sessionsOf?: string; readonly forPages?: ClientEnquiry };

/** From the hub's thread to a worker's. Feed and requests travel on one port, in order. */
export type ToWorker =
  | { readonly kind: 'feed'; readonly buffers: readonly Uint8Array<ArrayBuffer>[] }
  | { readonly kind: 'readiness'; readonly readiness: Readiness }
  | { readonly kind: 'identity'; readonly update: IdentityUpdate }
  | { readonly kind: 'tls'; readonly credentials: TlsCredentials }
  | { readonly kind: 'drain'; readonly windowMs: number }
  | { readonly kind: 'hurry' }
  | { readonly kind: 'shed'; readonly count: number; readonly windowMs: number }
  | { readonly kind: 'stop' }
  | { readonly kind: 'request'; readonly request: number; readonly about: Enquiry };

/** From a worker's thread to the hub's. */
export type FromWorker =
  | { readonly kind: 'listening' }
  | {
      readonly kind: 'feed-calls';
      readonly calls: readonly FeedCall[];
      /** Bytes of the feed that the worker has handled since its last message. */
      readonly consumedBytes: number;
    }
  /** A sign of life, once a second. */
  | { readonly kind: 'alive'; readonly reading: ClientReading }
  /** A token named a key that the worker does not know. */
  | { readonly kind: 'unknown-key' }
  | { readonly kind: 'drained' }
  | {
      readonly kind: 'answer';
      readonly request: number;
      readonly metrics: MetricObjects | undefined;
      readonly index: FanOutDescription | undefined;
      readonly sessions: SessionList | undefined;
      readonly forPages: ClientEnquiryAnswer | undefined;
    };
