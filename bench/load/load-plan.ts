import type { LatencyCounts } from '@tradewind/dev';
import type { DialectChoice } from './dialect.ts';
import type { ReadingShares, SubscriptionMode } from './subscription-plan.ts';

/** What load to put on a server. */
export interface LoadPlan {
  /**
   * WebSocket URLs, over which the connections are spread in turn. Certificates of `wss:` ones are verified by
   * Node's rules: `NODE_EXTRA_CA_CERTS` of this process also counts for those that it starts.
   */
  readonly urls: readonly string[];
  readonly dialect: DialectChoice;
  readonly connections: number;
  /** Connections that are opened a second, over all processes. */
  readonly rampPerSecond: number;
  /** Names of the channels there are; the publisher numbers them in the same order. */
  readonly channels: readonly string[];
  readonly mode: SubscriptionMode;
  /** For the mode `random`. */
  readonly channelsPerClient: number;
  readonly seed: number;
  /** Of so many publications that a connection receives, the latency of one is measured. */
  readonly sampleEvery: number;
  readonly reading: ReadingShares;
  /** How fast a slow connection reads. */
  readonly slowBytesPerSecond: number;
  /** How long a stalled connection reads after it has subscribed, in ms. */
  readonly stallAfterMs: number;
  /** At most this many connections share a process; its limit of open files is above it. */
  readonly connectionsPerProcess: number;
  /** CPU cores to pin the processes to, in turn; empty for none. */
  readonly cores: readonly number[];
  /** Whether the processes do not sleep while data comes: see `Poller`. Only for a core that nobody else needs. */
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

/** Where a load process, or all of them together, stand. Counts only grow, unless said otherwise. */
export interface LoadSample {
  /** µs since the Unix epoch. */
  readonly at: number;
  readonly attempted: number;
  /** Connections that got all their subscriptions confirmed, whatever became of them. */
  readonly subscribed: number;
  /** Open and subscribed now. */
  readonly open: number;
  /** Connections that did not get that far, by reason. */
  readonly failed: Reasons;
  /**
   * Steady connections that were subscribed and that the server or the network ended: by close
   * code, or by the fault where there was no close frame (`ECONNRESET`; 1006 when there was none
   * either).
   */
  readonly disconnected: Reasons;
  /** The same for slow and stalled connections. A stalled one notices when it is released. */
  readonly weakDisconnected: Reasons;
  readonly publications: number;
  /** Bytes received, frame headers included, what TLS adds not. */
  readonly bytes: number;
  /** `seq` numbers passed over, and publications out of order. */
  readonly missing: number;
  readonly disordered: number;
  /** `gap` frames, and the losses that they told. */
  readonly gaps: number;
  readonly gapLost: number;
  readonly reconnectNotices: number;
  /** Latencies of steady connections since the sample before, in µs; one entry a process. */
  readonly latencies: readonly LatencyCounts[];
  /** How loaded the load side was since the sample before: one entry a process. */
  readonly effort: readonly LoadEffort[];
}

/** What the load side itself spent since the sample before. */
export interface LoadEffort {
  readonly pid: number;
  /** CPU time, user and system, as a share of one core. */
  readonly cpu: number;
  /** Share of the time in which its event loop was not idle. */
  readonly utilization: number;
  /** How late its event loop was at worst, in ms. */
  readonly maxDelayMs: number;
}

/** What connections of one kind should have received since the mark, and did. */
export interface Delivered {
  /** Connections that are still open. Those that ended are in no count but `ended`. */
  readonly connections: number;
  /** Connections that ended after they had subscribed. */
  readonly ended: number;
  /** Connections that received exactly as much as was published on their channels. */
  readonly exact: number;
  /** Connections that received less, and those that received more. */
  readonly short: number;
  readonly over: number;
  /** Of the short ones, those that were told (`gap`) exactly how much they missed. */
  readonly told: number;
  /** Of the short ones, those that were told no gap at all: they do not know that they miss something. */
  readonly untold: number;
  /** Of the short ones, those that were told of fewer losses than they have, and each with a number. */
  readonly undertold: number;
  readonly expected: number;
  readonly received: number;
  /** `seq` numbers passed over, and publications out of order, since they connected. */
  readonly missing: number;
  readonly disordered: number;
}

/** By how connections read. */
export interface Verdict {
  readonly steady: Delivered;
  readonly slow: Delivered;
  readonly stalled: Delivered;
}

/** What a load process can be asked. */
export type LoadCalls = {
  /** Opens its connections; answers when each is subscribed or has failed. */
  connect: { argument: ProcessPlan; result: undefined };
  sample: { argument: undefined; result: LoadSample };
  /** The CPU time, in ms, that went into polling in vain since it was asked last. */
  idleMs: { argument: undefined; result: number };
  /** Deliveries are counted from here. */
  mark: { argument: undefined; result: undefined };
  /** Compares with how many were published since the mark, by channel number. */
  verdict: { argument: readonly number[]; result: Verdict };
  /** Lets slow and stalled connections read all that waits for them. */
  release: { argument: undefined; result: undefined };
  /** Slow and stalled connections vanish; answers when they have ended. */
  dropWeak: { argument: undefined; result: undefined };
  /** Ends all connections; answers when they have ended. */
  close: { argument: undefined; result: undefined };
};
