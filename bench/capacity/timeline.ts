import type { Percentiles } from '@tradewind/dev';

/** Sections of a run, in this order. */
export type Phase = 'connecting' | 'resting' | 'publishing' | 'draining';

/** What was seen in one interval of about a second. Rates are a second. */
export interface TimelinePoint {
  /** End of the interval, in s since the beginning. */
  readonly seconds: number;
  readonly phase: Phase;
  readonly openConnections: number;
  readonly failedConnections: number;
  readonly publishedRate: number;
  readonly deliveredRate: number;
  readonly receivedBytesRate: number;
  /** Of steady clients, publish to receive; undefined when nothing came. */
  readonly latency: Percentiles | undefined;
  /** Cores' worth of work; the server's is undefined when it runs elsewhere. */
  readonly serverCores: number | undefined;
  readonly loadCores: number;
  readonly machineCores: number;
  /** Proportional set size of all edges; undefined when not read in this interval. */
  readonly serverMemoryBytes: number | undefined;
  /** Of the load process that was worst. */
  readonly loadUtilization: number;
  readonly loadDelayMs: number;
  /** How late the publisher was at worst, in ms; 0 while it does not publish. */
  readonly publisherBehindMs: number;
}

/** A load process above this share of its time has no reserve: what waits for it, it made wait. */
const FULL_UTILIZATION = 0.9;

/** A load process, or the publisher, that is this late adds that to what it measures, in ms. */
const LATE_MS = 100;

/** Cores of the machine that are busy, as a share, above which all processes on it wait. */
const FULL_MACHINE = 0.95;

/** A full second now and then is the machine's affair; from this share on it shapes the result. */
const TOLERATED_SHARE = 0.05;

/** Sentences that say where the load side, and not the server, may have set the limit. */
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
