import { setTimeout as sleep } from 'node:timers/promises';
import { type BroughtRedis, bringRedis, type Report } from '../processes/bring-redis.ts';
import { type Cluster, type Edge, startCluster } from './cluster.ts';
import { DemoSubscriber } from './demo-subscriber.ts';
import { EdgeMonitor, type EdgeReading } from './edge-monitor.ts';
import { Latency, type ShownPercentiles } from './latency.ts';
import { mustHaveFreePorts } from './ports.ts';
import { recordedTrades } from './recorded-trades.ts';
import type { StartSettings } from './settings.ts';
import { type Summary, subscriberSummary, summarize } from './summary.ts';
import { syntheticTrades } from './synthetic-trades.ts';
import { channelOf, TradeFeed } from './trade-feed.ts';
import { TradeLedger } from './trade-ledger.ts';
import type { TradeSource } from './trade-source.ts';

/** How long the last trades may take to arrive after the feed has ended, in ms. */
const SETTLE_DEADLINE_MS = 5_000;

/** The interval at which their arrival is checked, in ms. */
const SETTLE_INTERVAL_MS = 20;

/** Everything that a view shows at one moment. */
export interface DemoState {
  readonly redis: Pick<BroughtRedis, 'url' | 'origin' | 'cli'>;
  readonly trades: string;
  readonly ingestUrl: string;
  readonly consoleUrl: string;
  /** How long the feed has run, in s. */
  readonly seconds: number;
  readonly published: number;
  readonly edges: readonly (EdgeReading & ShownPercentiles & { name: string; wsUrl: string })[];
  readonly channels: readonly { readonly name: string; readonly price: string | undefined }[];
  readonly delivered: number;
  readonly outOfOrder: number;
  readonly duplicates: number;
  readonly missing: number;
  /** The faults of this moment; empty if there is none. */
  readonly problem: string | undefined;
}

/** A small tier through which trades flow: `npm start` shows it. */
export interface Demo extends AsyncDisposable {
  state(): DemoState;
  /** Resolves after the feed's last trade; rejects if a process ends unasked. */
  readonly ended: Promise<void>;
  /** Ends the feed, waits for trades in flight, and sums up. Must be called once only. */
  finish(failure: string | undefined): Promise<Summary>;
}

/**
 * Starts Redis, ingest, two edges and three subscribers on each, and feeds them trades. If a part cannot be started, it ends
 * all of them and rejects.
 */
export async function startDemo(settings: StartSettings, report: Report): Promise<Demo> {
  await mustHaveFreePorts(settings.ports);
  await using stack = new AsyncDisposableStack();
  const source = await openSource(settings);
  stack.defer(() => source.close());
  const redis = await bringRedis(report);
  stack.defer(() => redis.stop());
  const cluster = stack.use(await startCluster(settings.ports, redis.url));
  const edges = cluster.edges.map(({ wsUrl }) => wsUrl).join(' and ');
  report(`The console is at ${cluster.console.url}`);
  report(`Redis runs (${redis.cli}), ingest at ${cluster.ingest.url}, edges at ${edges}`);

  const ledger = new TradeLedger();
  const latencies = new Map(cluster.edges.map((edge) => [edge, new Latency(performance.now())]));
  const prices = new Map<string, string>();
  const subscribers = await startSubscribers(cluster, stack, (edge, name, channels) => ({
    name,
    edge,
    channels: channels(source.symbols).map(channelOf),
    ledger,
    latency: latencies.get(edge)!,
    onPrice: (channel, price) => prices.set(channel, price),
  }));
  const monitors = cluster.edges.map((edge) => new EdgeMonitor(edge));
  stack.defer(() => {
    for (const monitor of monitors) monitor.stop();
  });

  const feed = new TradeFeed(source, ledger, cluster.ingest.url);
  const stopFeed = new AbortController();
  const begun = performance.now();
  const running = feed.run(stopFeed.signal);
  stack.defer(() => stopFeed.abort());
  let problem: string | undefined;
  const ended = Promise.race([running, cluster.failed, redis.failed]);
  ended.catch((error: Error) => {
    problem = error.message;
  });

  const elapsedSeconds = (): number => (performance.now() - begun) / 1_000;
  function total(field: 'delivered' | 'outOfOrder' | 'duplicates' | 'missing'): number {
    return subscribers.reduce((sum, subscriber) => sum + subscriber.counts()[field], 0);
  }

  const owned = stack.move();
  return {
    ended,
    state() {
      const now = performance.now();
      return {
        redis,
        trades: feed.state.ended ? `${source.label}, at its end` : source.label,
        ingestUrl: cluster.ingest.url,
        consoleUrl: cluster.console.url,
        seconds: elapsedSeconds(),
        published: ledger.accepted,
        edges: monitors.map(({ edge, reading }) => ({
          name: edge.name,
          wsUrl: edge.wsUrl,
          ...reading,
          ...latencies.get(edge)!.recent(now),
        })),
        channels: source.symbols.map(channelOf).map((name) => ({ name, price: prices.get(name) })),
        delivered: total('delivered'),
        outOfOrder: total('outOfOrder'),
        duplicates: total('duplicates'),
        missing: total('missing'),
        problem: problem ?? feed.state.lastRefusal,
      };
    },
    async finish(failure) {
      const seconds = elapsedSeconds();
      stopFeed.abort();
      await running;
      await settle(subscribers);
      return summarize(
        {
          trades: source.label,
          redis: redis.origin,
          seconds: Math.round(seconds * 1_000) / 1_000,
          published: ledger.accepted,
          refused: ledger.refused,
          latencyMs: Latency.overall(latencies.values()),
          subscribers: subscribers.map(subscriberSummary),
        },
        failure,
      );
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openSource({ replay }: StartSettings): Promise<TradeSource> {
  return replay ? await recordedTrades(replay.file, replay.speed) : syntheticTrades();
}

/** Returns the symbols that a subscriber subscribes to. */
type Choice = (symbols: readonly string[]) => readonly string[];

const CHOICES: Readonly<Record<string, Choice>> = {
  all: (symbols) => symbols,
  first: (symbols) => symbols.slice(0, 1),
  rest: (symbols) => (symbols.length > 1 ? symbols.slice(1) : symbols),
};

/** One subscriber of each choice on every edge. */
async function startSubscribers(
  cluster: Cluster,
  stack: AsyncDisposableStack,
  optionsOf: (
    edge: Edge,
    name: string,
    choice: Choice,
  ) => Parameters<typeof DemoSubscriber.start>[0],
): Promise<DemoSubscriber[]> {
  const subscribers: DemoSubscriber[] = [];
  for (const edge of cluster.edges) {
    for (const [name, choice] of Object.entries(CHOICES)) {
      const subscriber = await DemoSubscriber.start(optionsOf(edge, name, choice));
      stack.defer(() => subscriber.stop());
      subscribers.push(subscriber);
    }
  }
  return subscribers;
}

async function settle(subscribers: readonly DemoSubscriber[]): Promise<void> {
  const deadline = performance.now() + SETTLE_DEADLINE_MS;
  while (subscribers.some((subscriber) => subscriber.pending() > 0)) {
    if (performance.now() >= deadline) return;
    await sleep(SETTLE_INTERVAL_MS);
  }
}
