import type { LatencyCounts } from '@tradewind/dev';
import type { DialectChoice } from '../wire/dialect.ts';
import type { ReadingShares, SubscriptionMode } from './subscription-plan.ts';

/** The load on a server. */
export interface LoadPlan {
  /**
   * WebSocket URLs, over which the connections are spread in turn. Certificates of `wss:` URLs are verified by Node's
   * rules: `NODE_EXTRA_CA_CERTS` of this process also counts for the processes that it starts.
   */
  readonly urls: readonly string[];
  readonly dialect: DialectChoice;
  readonly connections: number;
  /** Connections that are opened a second, over all processes. */
  readonly rampPerSecond: number;
  /** Names of all channels; the publisher numbers them in the same order. */
  readonly channels: readonly string[];
  readonly mode: SubscriptionMode;
  /** For the mode `random`. */
  readonly channelsPerClient: number;
  readonly seed: number;
  /** The latency of one in this many publications of a connection is measured. */
  readonly sampleEvery: number;
  readonly reading: ReadingShares;
  /** Bytes a second that a slow connection reads. */
  readonly slowBytesPerSecond: number;
  /** How long a stalled connection reads after it has subscribed, in ms. */
  readonly stallAfterMs: number;
  /** At most this many connections share a process; it must be below a process' limit of open files. */
  readonly connectionsPerProcess: number;
  /** CPU cores to pin the processes to, in turn; empty for none. */
  readonly cores: readonly number[];
  /**
   * Whether a connection that fails before it is subscribed is opened again, after a wait as docs/protocol.md has it. Then connecting
   * ends when all are subscribed, and each failure counts in `failed`.
   */
  readonly retries?: boolean;
  /** Whether the processes stay awake while data arrives: see `Poller`. Only for a core that nobody else needs. */
  readonly polls: boolean;
}

/** The part of a plan that one process carries out: connections `first`, `first + step`, … */
export interface ProcessPlan extends LoadPlan {
  readonly first: number;
  readonly step: number;
  /** Source addresses to use in turn; empty leaves the choice to the system. */
  readonly sources: readonly string[];
}

/** Counts by reason, e.g. `{ "http 503": 3, "ECONNREFUSED": 1, "CERT_HAS_EXPIRED": 2 }`. */
export type Reasons = Record<string, number>;

/** The state of one load process, or of all together. Counts only grow, unless stated otherwise. */
export interface LoadSample {
  /** µs since the Unix epoch. */
  readonly at: number;
  readonly attempted: number;
  /** Connections that got all their subscriptions confirmed, including those that ended later. */
  readonly subscribed: number;
  /** Open and subscribed now. */
  readonly open: number;
  /** Connections that never subscribed, by reason; those that were opened again too. */
  readonly failed: Reasons;
  /**
   * Steady connections that the server or the network ended after they had subscribed: by close code, or by the fault
   * if there was no close frame (`ECONNRESET`; 1006 if there was no fault either).
   */
  readonly disconnected: Reasons;
  /** The same for slow and stalled connections. A stalled one notices its end only when it is released. */
  readonly weakDisconnected: Reasons;
  readonly publications: number;
  /** Bytes received, with frame headers and without what TLS adds. */
  readonly bytes: number;
  /** `seq` numbers skipped, and publications out of order. */
  readonly missing: number;
  readonly disordered: number;
  /** `gap` frames, and the losses in them. */
  readonly gaps: number;
  readonly gapLost: number;
  readonly reconnectNotices: number;
  /** Latencies of steady connections since the sample before, in µs; one entry a process. */
  readonly latencies: readonly LatencyCounts[];
  /** How busy the load side was since the sample before: one entry a process. */
  readonly effort: readonly LoadEffort[];
}

/** The load side's own use of resources since the sample before. */
export interface LoadEffort {
  readonly pid: number;
  /** CPU time, user and system, as a share of one core. */
  readonly cpu: number;
  /** Share of the time in which its event loop was not idle. */
  readonly utilization: number;
  /** The highest delay of its event loop, in ms. */
  readonly maxDelayMs: number;
}

/** What connections of one kind should have received since the mark, and what they did receive. */
export interface Delivered {
  /** Connections that are still open. Those that ended count only in `ended`. */
  readonly connections: number;
  /** Connections that ended after they had subscribed. */
  readonly ended: number;
  /** Connections that received exactly the publications of their channels. */
  readonly exact: number;
  /** Connections that received less, and those that received more. */
  readonly short: number;
  readonly over: number;
  /** Of the short ones, those whose `gap` frames gave the exact number that they missed. */
  readonly told: number;
  /** Of the short ones, those that received no `gap` frame: they do not know that they miss something. */
  readonly untold: number;
  /** Of the short ones, those whose `gap` frames all had a number, and whose sum is below what they missed. */
  readonly undertold: number;
  readonly expected: number;
  readonly received: number;
  /** `seq` numbers skipped, and publications out of order, since they connected. */
  readonly missing: number;
  readonly disordered: number;
}

/** By how connections read. */
export interface Verdict {
  readonly steady: Delivered;
  readonly slow: Delivered;
  readonly stalled: Delivered;
}

/** The calls that a load process answers. */
export type LoadCalls = {
  /** Opens its connections; answers after each has subscribed or failed. */
  connect: { argument: ProcessPlan; result: undefined };
  sample: { argument: undefined; result: LoadSample };
  /** The CPU time, in ms, spent on polling in vain since the last call. */
  idleMs: { argument: undefined; result: number };
  /** Counts deliveries from here. */
  mark: { argument: undefined; result: undefined };
  /** Compares with the number of publications since the mark, by channel number. */
  verdict: { argument: readonly number[]; result: Verdict };
  /** Lets slow and stalled connections read everything that is queued for them. */
  release: { argument: undefined; result: undefined };
  /** Drops slow and stalled connections without a close frame; answers after they have ended. */
  dropWeak: { argument: undefined; result: undefined };
  /** Ends all connections; answers after they have ended. */
  close: { argument: undefined; result: undefined };
};
