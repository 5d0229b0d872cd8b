import type { Percentiles } from '@tradewind/dev';
import type { LoadSample, Verdict } from '../load/clients/load-plan.ts';
import type { PublisherTotals } from '../load/publishing/publisher-plan.ts';
import type { LatencyBucket } from './latency-buckets.ts';
import type { Machine } from './machine.ts';
import { countText, msText } from './number-text.ts';
import type { CapacitySettings } from './settings.ts';
import type { TimelinePoint } from './timeline.ts';

/** Cost of the server's processes; known only if they run on this machine. */
export interface ServerCost {
  /** Proportional set size, in bytes, before the first client, and with all of them connected and quiet. */
  readonly startMemoryBytes: number;
  readonly idleMemoryBytes: number;
  /** Proportional set size, in bytes, after the last publication was delivered. */
  readonly endMemoryBytes: number;
  /** CPU time from the first publication to the last delivery, in s. */
  readonly cpuSeconds: number;
}

/** All results of a run. */
export interface Outcome {
  readonly settings: CapacitySettings;
  readonly machine: Machine;
  /** What ran: the version, and the commit where there is one. */
  readonly release: string;
  /** The servers under load, in one line. */
  readonly target: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** From the first connection attempt to the answer of the last one, in s. */
  readonly connectSeconds: number;
  readonly published: PublisherTotals;
  /** Counts at the end of the run. */
  readonly totals: LoadSample;
  /** Deliveries between the first publication and the last delivery, to all clients. */
  readonly deliveries: number;
  /** What clients had received after publishing and draining, before weak ones were released. */
  readonly verdict: Verdict;
  /** The same after slow and stalled clients had read everything that was queued for them. */
  readonly released: Verdict | undefined;
  readonly latency: Percentiles | undefined;
  /** How the latencies are distributed; empty if none was measured. */
  readonly latencyBuckets: readonly LatencyBucket[];
  readonly server: ServerCost | undefined;
  readonly timeline: readonly TimelinePoint[];
  /** Reasons why the result may describe the load side and not the server; empty if there are none. */
  readonly bottlenecks: readonly string[];
}

/** A condition that a run must meet, and its result. */
export interface Criterion {
  readonly name: string;
  readonly met: boolean;
  readonly found: string;
}

/** The code with which an edge closes a client that does not keep up. */
const SLOW_CLOSE_CODE = '4008';

/** Judges a run. Slow and stalled clients may fall behind and be disconnected; others may not. */
export function judge(outcome: Outcome): readonly Criterion[] {
  const { settings, totals, verdict, latency, published } = outcome;
  const { steady } = verdict;
  const successRate = totals.subscribed / settings.connections;
  const slow = totals.disconnected[SLOW_CLOSE_CODE] ?? 0;
  const lost = Object.values(totals.disconnected).reduce((total, count) => total + count, 0) - slow;
  const isWeak = settings.slowShare + settings.stalledShare > 0;
  const client = isWeak ? 'client that reads steadily' : 'client';
  return [
    {
      name: `at least ${percent(settings.minSuccessRate)} of the clients connected`,
      met: successRate >= settings.minSuccessRate,
      found: `${percent(successRate)} (${countText(totals.subscribed)} of ${countText(settings.connections)})`,
    },
    {
      name: 'Redis took every publication',
      met: published.refused === 0 && published.total > 0,
      found:
        published.refusal === undefined
          ? `${countText(published.total)} published`
          : `${published.refused} refused: ${published.refusal}`,
    },
    {
      name: `every ${client} received every publication of its channels, once`,
      met: steady.connections > 0 && steady.exact === steady.connections,
      found: `${countText(steady.exact)} of ${countText(steady.connections)} did; ${countText(steady.short)} received less, ${countText(steady.over)} more`,
    },
    {
      name: 'no number was left out or out of order',
      met: steady.missing === 0 && steady.disordered === 0,
      found: `${countText(steady.missing)} left out, ${countText(steady.disordered)} out of order`,
    },
    { name: `no ${client} was disconnected as slow`, met: slow === 0, found: `${slow} were` },
    { name: `no ${client} lost its connection otherwise`, met: lost === 0, found: `${lost} did` },
    {
      name: `the 99th percentile of the latency is at most ${countText(settings.maxP99Ms)} ms`,
      met: latency !== undefined && latency.p99 <= settings.maxP99Ms,
      found: latency === undefined ? 'nothing measured' : msText(latency.p99),
    },
  ];
}

function percent(share: number): string {
  return `${(Math.floor(share * 10_000) / 100).toString()} %`;
}
