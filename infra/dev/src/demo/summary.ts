import type { DemoSubscriber, SubscriberCounts } from './clients/demo-subscriber.ts';
import type { ShownPercentiles } from './clients/latency.ts';

export interface SubscriberSummary extends SubscriberCounts {
  readonly name: string;
  /** The edge on which it began. */
  readonly edge: string;
  readonly channels: readonly string[];
}

/** How a run ended, as `npm start -- --seconds N` prints it. */
export interface Summary {
  /** Whether every subscriber received every trade of its channels once and in order. */
  readonly ok: boolean;
  /** The faults, in words; empty if `ok`. */
  readonly problems: readonly string[];
  readonly trades: string;
  readonly redis: string;
  /** How long trades were published, in s. */
  readonly seconds: number;
  /** Trades that ingest acknowledged. */
  readonly published: number;
  /** Trades that ingest refused. */
  readonly refused: number;
  readonly delivered: number;
  readonly outOfOrder: number;
  readonly duplicates: number;
  readonly missing: number;
  /** From handing a trade to ingest until a subscriber read it, in ms. */
  readonly latencyMs: ShownPercentiles;
  readonly subscribers: readonly SubscriberSummary[];
}

/** The counts of one subscriber at the end: every trade that has not arrived is missing. */
export function subscriberSummary(subscriber: DemoSubscriber): SubscriberSummary {
  const { name, home, channels } = subscriber;
  const counts = subscriber.counts();
  return {
    name,
    edge: home,
    channels,
    ...counts,
    missing: counts.missing + subscriber.pending(),
  };
}

/** Sums up and judges a run. A run without a publication is a failure, because it showed nothing. */
export function summarize(
  run: Pick<
    Summary,
    'trades' | 'redis' | 'seconds' | 'published' | 'refused' | 'latencyMs' | 'subscribers'
  >,
  failure: string | undefined,
): Summary {
  const sum = (field: keyof SubscriberCounts): number =>
    run.subscribers.reduce((total, subscriber) => total + subscriber[field], 0);
  const problems = [
    ...(failure === undefined ? [] : [failure]),
    ...(run.published === 0 ? ['nothing was published'] : []),
    ...complaint(run.refused, 'refused by ingest'),
    ...complaint(sum('missing'), 'missing'),
    ...complaint(sum('duplicates'), 'delivered twice'),
    ...complaint(sum('outOfOrder'), 'out of order'),
  ];
  const { subscribers, latencyMs, ...rest } = run;
  return {
    ok: problems.length === 0,
    problems,
    ...rest,
    delivered: sum('delivered'),
    outOfOrder: sum('outOfOrder'),
    duplicates: sum('duplicates'),
    missing: sum('missing'),
    latencyMs,
    subscribers,
  };
}

function complaint(count: number, what: string): string[] {
  return count === 0 ? [] : [`${count} trades ${what}`];
}
