import { setTimeout as sleep } from 'node:timers/promises';
import type { Percentiles } from '@tradewind/dev';
import { startCalledChild } from '../../load/processes/child-calls.ts';
import { startPublisher } from '../../load/publishing/publisher.ts';
import {
  channelNames,
  type LoadShape,
  openArena,
  type Subject,
  type Trial,
} from '../arena/arena.ts';
import { LOAD_CORE } from '../arena/cores.ts';
import { median } from '../figures/ratio.ts';
import { formatNumber, formatTable } from '../figures/table.ts';

/** Clients that want the latest of a channel beside others that want all of it. */
export interface LatestPlan {
  readonly subject: Subject;
  /** Of those who want all; as many others want the latest. It has one channel. */
  readonly shape: LoadShape;
  readonly everyMs: number;
  readonly publicationsPerSecond: number;
  readonly pairs: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** What all clients of the child process subscribe to. */
export interface LatestSubscription {
  readonly channel: string;
  /** Undefined: they want all of the channel. */
  readonly everyMs: number | undefined;
}

/** What clients of the latest were sent since they subscribed. */
export interface LatestReceived {
  /** Publications of the client that was sent the fewest, and the most. */
  readonly least: number;
  readonly most: number;
  /** The same with what was skipped. */
  readonly leastAccounted: number;
  readonly mostAccounted: number;
  readonly disordered: number;
  /** How old publications were when they were read, in ms. The newest are seldom older than the flush that sends them. */
  readonly age: Percentiles | undefined;
}

/** The calls of `latest-clients-process.ts`. */
export type LatestCalls = {
  readonly connect: {
    readonly argument: { readonly url: string; readonly count: number };
    readonly result: undefined;
  };
  readonly subscribe: { readonly argument: LatestSubscription; readonly result: undefined };
  readonly unsubscribe: { readonly argument: LatestSubscription; readonly result: undefined };
  readonly received: { readonly argument: undefined; readonly result: LatestReceived };
};

export interface LatestRun {
  /**
   * CPU of the server in cores: with those who want all alone; with those who want the latest beside them; and with as many others
   * beside them who want all of a channel that has one publication in each interval.
   */
  readonly alone: number;
  readonly beside: number;
  readonly sparse: number;
  /** In the same order. */
  readonly trials: readonly Trial[];
  /** What was published while those who want the latest were there. */
  readonly published: number;
  readonly seconds: number;
  readonly received: LatestReceived;
}

export interface LatestResult extends LatestPlan {
  readonly runs: readonly LatestRun[];
  /** What the clients of the latest cost of what the others cost; the median of the runs. */
  readonly share: number;
  /** What as many clients of a channel cost that has no more than that: one write a client and interval, and nothing else. */
  readonly sparseShare: number;
}

/** The channel that has one publication in each interval. */
const SPARSE_CHANNEL = 'SPARSE.trade';

/** The most that those who want the latest may cost of what the others cost. */
const MOST_SHARE = 0.02;

/** A publication that is not the newest is half an interval old on average. */
const MOST_MEDIAN_AGE = 0.25;

/**
 * How many more or fewer than one in each window are no fault: the first and the last window are cut, and a publisher that is
 * late on a busy machine publishes for longer.
 */
const TOLERANCE = 4;

/** Time for what subscribing left to do, and for the last window, in ms. */
const SETTLE_MS = 1_000;

/** What the child's clients have during a trial. */
const CONDITIONS = ['alone', 'beside', 'sparse'] as const;
type Condition = (typeof CONDITIONS)[number];

interface Measured {
  readonly trial: Trial;
  /** What the child's clients were sent, if they had something. */
  readonly received?: LatestReceived;
}

/**
 * Measures the server with one half of the clients and with both, in turns. All clients stay connected; the half that wants the
 * latest subscribes and unsubscribes. In each run it also gets as many frames by a channel without conflation: conflation cannot save
 * what those writes cost. The runs begin with each of the three in turn, so that a drift of the machine falls on all of them.
 */
export async function measureLatest(
  plan: LatestPlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<LatestResult> {
  const { subject, shape, everyMs, seconds, publicationsPerSecond } = plan;
  await using arena = await openArena(subject, shape, redisUrl);
  await using child = await startCalledChild<LatestCalls>(
    new URL('latest-clients-process.ts', import.meta.url),
    LOAD_CORE,
  );
  await using sparse = await startPublisher({
    ...{ redisUrl, channels: [SPARSE_CHANNEL], core: LOAD_CORE, sequenced: undefined },
  });
  const [channel = ''] = channelNames(shape);
  const sparsely = { channel: SPARSE_CHANNEL, everyMs: undefined };
  const measure = (): Promise<Trial> => arena.trial(publicationsPerSecond, seconds);
  const measureWith = async (subscription: LatestSubscription): Promise<Measured> => {
    await child.call('subscribe', subscription);
    await sleep(SETTLE_MS);
    const trial = await measure();
    await sleep(everyMs + SETTLE_MS);
    const received = await child.call('received', undefined);
    await child.call('unsubscribe', subscription);
    await sleep(SETTLE_MS);
    return { trial, received };
  };
  const conditions: Record<Condition, () => Promise<Measured>> = {
    alone: async () => ({ trial: await measure() }),
    beside: () => measureWith({ channel, everyMs }),
    async sparse() {
      await sparse.start({ ratePerSecond: 1_000 / everyMs, payloadBytes: shape.payloadBytes });
      const measured = await measureWith(sparsely);
      await sparse.stop();
      return measured;
    },
  };
  await child.call('connect', { url: arena.server.url, count: shape.clients });
  // The server closes a client that never asks for anything.
  await child.call('subscribe', sparsely);
  await child.call('unsubscribe', sparsely);
  await arena.trial(publicationsPerSecond, plan.warmUpSeconds);
  const runs: LatestRun[] = [];
  for (let i = 0; i < plan.pairs; i += 1) {
    const run = await measureRun(i, conditions);
    report(
      `${formatNumber(run.alone)} cores alone, ${formatNumber(run.beside)} with the latest, ` +
        `${formatNumber(run.sparse)} with a sparse channel; ${run.received.least} to ${run.received.most} publications each, ` +
        `p50 ${formatNumber(run.received.age?.p50)} ms old`,
    );
    runs.push(run);
  }
  const share = median(runs.map(({ alone, beside }) => (beside - alone) / alone));
  const sparseShare = median(runs.map((run) => (run.sparse - run.alone) / run.alone));
  return { ...plan, runs, share, sparseShare };
}

/** Measures the three conditions, beginning with another one than the run before. */
async function measureRun(
  number: number,
  conditions: Record<Condition, () => Promise<Measured>>,
): Promise<LatestRun> {
  const first = number % CONDITIONS.length;
  const measured = new Map<Condition, Measured>();
  for (const condition of [...CONDITIONS.slice(first), ...CONDITIONS.slice(0, first)]) {
    measured.set(condition, await conditions[condition]());
  }
  const trials = CONDITIONS.map((condition) => (measured.get(condition) as Measured).trial);
  const [alone, beside, sparse] = trials as [Trial, Trial, Trial];
  return {
    ...{ alone: coresOf(alone), beside: coresOf(beside), sparse: coresOf(sparse), trials },
    ...{ published: beside.published, seconds: beside.seconds },
    received: measured.get('beside')?.received as LatestReceived,
  };
}

function coresOf({ cpuMicrosPerDelivery, received, seconds }: Trial): number {
  return (cpuMicrosPerDelivery * received) / 1e6 / seconds;
}

/** The conditions that were not met. */
export function latestFailures({ runs, share, everyMs }: LatestResult): readonly string[] {
  const failures: string[] = [];
  const broken = runs.flatMap(({ trials }) => trials).filter(({ whole }) => !whole).length;
  if (broken > 0) failures.push(`${broken} runs were not whole for those who want all`);
  for (const { published, seconds, received } of runs) {
    const { least, most, leastAccounted, mostAccounted, disordered, age } = received;
    const due = (seconds * 1_000) / everyMs;
    if (least < due - TOLERANCE || most > due + TOLERANCE)
      failures.push(
        `${least} to ${most} publications were sent where ${formatNumber(due)} are due`,
      );
    if (leastAccounted !== published || mostAccounted !== published)
      failures.push(`sent and skipped are ${leastAccounted} to ${mostAccounted} of ${published}`);
    if (disordered > 0) failures.push(`${disordered} publications came out of order`);
    if (!((age?.p50 ?? Number.NaN) <= everyMs * MOST_MEDIAN_AGE))
      failures.push(`publications were ${formatNumber(age?.p50)} ms old, and not the newest`);
  }
  if (!(share <= MOST_SHARE))
    failures.push(`those who want the latest cost ${percent(share)} of what the others cost`);
  return failures;
}

/** The result as lines for people. */
export function describeLatest(result: LatestResult): string {
  const { shape, everyMs, publicationsPerSecond, seconds, runs, share, sparseShare } = result;
  const rows = runs.map(({ alone, beside, sparse, received, trials, published }, i) => [
    String(i + 1),
    formatNumber(alone),
    formatNumber(beside),
    percent((beside - alone) / alone),
    percent((sparse - alone) / alone),
    `${received.least} to ${received.most}`,
    `${received.leastAccounted} to ${received.mostAccounted} of ${published}`,
    formatNumber(received.age?.p50),
    formatNumber(received.age?.p99),
    trials.every(({ whole }) => whole) ? 'yes' : 'NO',
    trials.map(({ latency }) => formatNumber(latency?.p99)).join(', '),
  ]);
  const header = [
    ...['run', 'alone, cores', 'with both', 'the latest cost', 'sparse cost'],
    ...['sent to each', 'sent and skipped'],
    ...['p50 age ms', 'p99', 'others whole', 'their p99 ms alone, beside, sparse'],
  ];
  const failures = latestFailures(result);
  return [
    `Latest: ${shape.clients} clients want all of one channel, as many the latest every ${everyMs} ms; ` +
      `${publicationsPerSecond} publications a second of ${shape.payloadBytes} bytes, runs of ${seconds} s`,
    '',
    formatTable(header, rows),
    '',
    `Those who want the latest cost ${percent(share)} of what the others cost (median); as many clients of a channel that has no more, ${percent(sparseShare)}`,
    ...(failures.length === 0 ? ['holds'] : failures.map((failure) => `FAILS: ${failure}`)),
  ].join('\n');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
