import type { Percentiles } from '@tradewind/dev';

/** Phases of a run, in this order. */
export type Phase = 'connecting' | 'resting' | 'publishing' | 'draining';

/** Measurements of one interval of about a second. Rates are per second. */
export interface TimelinePoint {
  /** End of the interval, in s since the start. */
  readonly seconds: number;
  readonly phase: Phase;
  readonly openConnections: number;
  readonly failedConnections: number;
  readonly publishedRate: number;
  readonly deliveredRate: number;
  readonly receivedBytesRate: number;
  /** Of steady clients, publish to receive; undefined if nothing was received. */
  readonly latency: Percentiles | undefined;
  /** Busy cores; the server's are undefined if it runs elsewhere. */
  readonly serverCores: number | undefined;
  readonly loadCores: number;
  readonly machineCores: number;
  /** Proportional set size of all edges, in bytes; undefined if it was not read in this interval. */
  readonly serverMemoryBytes: number | undefined;
  /** Of the busiest load process. */
  readonly loadUtilization: number;
  readonly loadDelayMs: number;
  /** The highest delay of the publisher, in ms; 0 while it does not publish. */
  readonly publisherBehindMs: number;
}

/** A load process that is busy for more than this share of its time has no reserve: it delays what it measures. */
const FULL_UTILIZATION = 0.9;

/** A load process or publisher that is later than this, in ms, adds the delay to the latencies that it measures. */
const LATE_MS = 100;

/** If a larger share of the machine's cores is busy, all its processes wait for each other. */
const FULL_MACHINE = 0.95;

/** The share of seconds in which a bottleneck is tolerated. More of them shape the result. */
const TOLERATED_SHARE = 0.05;

/** Returns sentences that say where the load side, and not the server, may have set the limit. */
export function findBottlenecks(timeline: readonly TimelinePoint[], cores: number): string[] {
  const points = timeline.filter(({ phase }) => phase === 'publishing');
  const found: string[] = [];
  function look(what: string, isBad: (point: TimelinePoint) => boolean): void {
    const bad = points.filter(isBad).length;
    if (bad === 0 || bad / points.length <= TOLERATED_SHARE) return;
    found.push(`${what} in ${bad} of ${points.length} s`);
  }
  look(
    `a load process was busy for more than ${FULL_UTILIZATION * 100} % of the time`,
    ({ loadUtilization }) => loadUtilization > FULL_UTILIZATION,
  );
  look(`a load process was late by more than ${LATE_MS} ms`, ({ loadDelayMs }) => {
    return loadDelayMs > LATE_MS;
  });
  look(`the publisher was late by more than ${LATE_MS} ms`, ({ publisherBehindMs }) => {
    return publisherBehindMs > LATE_MS;
  });
  look(
    `this machine's ${cores} cores were busy for more than ${FULL_MACHINE * 100} %`,
    ({ machineCores }) => machineCores > FULL_MACHINE * cores,
  );
  return found;
}
