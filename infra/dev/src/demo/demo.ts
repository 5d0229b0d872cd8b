import { setTimeout as sleep } from 'node:timers/promises';
import { type BroughtRedis, bringRedis, type Report } from '../processes/bring-redis.ts';
import { findPortFrom } from '../processes/free-port.ts';
import { DemoSubscriber, type SubscriberOptions } from './clients/demo-subscriber.ts';
import { Latency, type ShownPercentiles } from './clients/latency.ts';
import { MoveReport } from './clients/move-report.ts';
import { type OwnChannel, OwnChannels } from './clients/own-channels.ts';
import { DemoActions } from './demo-actions.ts';
import { type DemoEvent, EventLog } from './event-log.ts';
import { type Cluster, startCluster } from './nodes/cluster.ts';
import type { EdgeCondition } from './nodes/demo-edge.ts';
import { EdgeMonitor, type EdgeReading } from './nodes/edge-monitor.ts';
import { nodeChoice } from './nodes/node-choice.ts';
import { mustHaveFreePorts } from './ports.ts';
import { RateHistory } from './rate-history.ts';
import type { StartSettings } from './settings.ts';
import { type Summary, subscriberSummary, summarize } from './summary.ts';
import { recordedTrades } from './trades/recorded-trades.ts';
import { syntheticTrades } from './trades/synthetic-trades.ts';
import { channelOf, TradeFeed } from './trades/trade-feed.ts';
import { TradeLedger } from './trades/trade-ledger.ts';
import type { TradeSource } from './trades/trade-source.ts';

/** How long the last trades may take to arrive after the feed has ended, in ms. */
const SETTLE_DEADLINE_MS = 5_000;

/** The interval at which their arrival is checked, in ms. */
const SETTLE_INTERVAL_MS = 20;

/** The ports that are tried first for a Redis that is started here: 6390 and the next nine. */
const FIRST_REDIS_PORT = 6_390;
const REDIS_PORTS = 10;

/** How long after an edge came back its clients return to it, in ms: long enough to see that it has none. */
const RETURN_AFTER_MS = 3_000;

/** What a view shows of one edge. */
export interface EdgeState extends EdgeReading, ShownPercentiles {
  readonly name: string;
  readonly wsUrl: string;
  readonly condition: EdgeCondition;
}

/** Everything that a view shows at one moment. */
export interface DemoState {
  readonly redis: Pick<BroughtRedis, 'url' | 'origin' | 'cli'> & { readonly isFrozen: boolean };
  readonly trades: string;
  readonly ingestUrl: string;
  readonly consoleUrl: string;
  /** The page for people; undefined if there is none. */
  readonly demoUrl: string | undefined;
  /** How long the feed has run, in s. */
  readonly seconds: number;
  readonly published: number;
  readonly edges: readonly EdgeState[];
  readonly channels: readonly { readonly name: string; readonly price: string | undefined }[];
  /** Channels that the user published to. */
  readonly ownChannels: readonly OwnChannel[];
  /** The demo's own clients. */
  readonly clients: number;
  readonly delivered: number;
  /** Deliveries to the demo's own clients in each of the last seconds, oldest first. */
  readonly deliveryRates: readonly number[];
  readonly outOfOrder: number;
  readonly duplicates: number;
  readonly missing: number;
  readonly moves: number;
  readonly recovered: number;
  /** Live, oldest first. */
  readonly events: readonly DemoEvent[];
  /** The faults of this moment; undefined if there is none. */
  readonly problem: string | undefined;
}

/** A small tier through which trades flow: `npm start` shows it. */
export interface Demo extends AsyncDisposable {
  readonly actions: DemoActions;
  state(): DemoState;
  /** Shows a line among what happened. */
  note(text: string): void;
  /** Resolves after the feed's last trade; rejects if a process ends unasked. */
  readonly ended: Promise<void>;
  /** Ends the feed, waits for trades in flight, and sums up. Must be called once only. */
  finish(failure: string | undefined): Promise<Summary>;
}

/**
 * Starts Redis, ingest, two edges and three subscribers on each, and feeds them trades. If a part cannot be started, it ends
 * all of them and rejects.
 *
 * @param demoUrl the page that edges point people to; undefined for none.
 */
export async function startDemo(
  settings: StartSettings,
  report: Report,
  demoUrl: string | undefined,
): Promise<Demo> {
  await mustHaveFreePorts(settings.ports);
  await using stack = new AsyncDisposableStack();
  const source = await openSource(settings);
  stack.defer(() => source.close());
  const redis = await bringRedis(report, () => findPortFrom(FIRST_REDIS_PORT, REDIS_PORTS));
  stack.defer(() => redis.stop());
  let begun = performance.now();
  const elapsedSeconds = (): number => (performance.now() - begun) / 1_000;
  const log = new EventLog(elapsedSeconds);
  const subscribers: DemoSubscriber[] = [];
  const timers = new Set<NodeJS.Timeout>();
  stack.defer(() => {
    for (const timer of timers) clearTimeout(timer);
  });
  function onEdge(edge: string, condition: EdgeCondition, why: string): void {
    const tone = condition === 'ready' ? 'good' : condition === 'down' ? 'bad' : 'plain';
    log.add(tone, `${edge} ${why}`);
    if (condition !== 'ready') return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      for (const subscriber of subscribers) if (subscriber.home === edge) subscriber.goHome();
    }, RETURN_AFTER_MS);
    timers.add(timer);
  }
  const cluster = stack.use(
    await startCluster({ ports: settings.ports, redisUrl: redis.url, demoUrl, onEdge }),
  );
  const addresses = cluster.edges.map(({ wsUrl }) => wsUrl).join(' and ');
  report(`The console is at ${cluster.console.url}`);
  report(`Redis runs (${redis.cli}), ingest at ${cluster.ingest.url}, edges at ${addresses}`);

  const ledger = new TradeLedger();
  const latencies = new Map(
    cluster.edges.map(({ name }) => [name, new Latency(performance.now())]),
  );
  const prices = new Map<string, string>();
  type Count = 'delivered' | 'outOfOrder' | 'duplicates' | 'missing' | 'moves' | 'recovered';
  function total(field: Count): number {
    return subscribers.reduce((sum, subscriber) => sum + subscriber.counts()[field], 0);
  }
  const moves = stack.use(
    new MoveReport(
      () => ({ recovered: total('recovered'), missing: total('missing') }),
      (tone, text) => log.add(tone, text),
    ),
  );
  await startSubscribers(cluster, stack, subscribers, (home, name, choice) => ({
    name,
    home,
    nextUrl: nodeChoice(() => cluster.edges, home),
    channels: choice(source.symbols).map(channelOf),
    ledger,
    latencyOf: (node) => latencies.get(node),
    onPrice: (channel, price) => prices.set(channel, price),
    onMove: (move) => moves.take(move),
  }));
  const known = source.symbols.map(channelOf);
  // A Redis that somebody else runs may carry anything, and more than this process can hear.
  const own =
    redis.origin === 'environment'
      ? undefined
      : new OwnChannels(
          redis.url,
          known,
          nodeChoice(() => cluster.edges, ''),
        );
  stack.defer(() => own?.stop());
  const monitors = cluster.edges.map((edge) => new EdgeMonitor(edge));
  stack.defer(() => {
    for (const monitor of monitors) monitor.stop();
  });
  const actions = stack.use(new DemoActions(cluster.edges, redis, source, log));

  const feed = new TradeFeed(source, ledger, cluster.ingest.url);
  const stopFeed = new AbortController();
  begun = performance.now();
  const running = feed.run(stopFeed.signal);
  stack.defer(() => stopFeed.abort());
  const deliveryRates = stack.use(new RateHistory(() => total('delivered')));
  let problem: string | undefined;
  Promise.race([cluster.lost, redis.failed]).catch((error: Error) => {
    problem = error.message;
    log.add('bad', error.message);
  });
  const ended = Promise.race([running, cluster.failed, redis.failed]);
  ended.catch(() => {});

  const owned = stack.move();
  return {
    actions,
    ended,
    note: (text) => log.add('plain', text),
    state() {
      const now = performance.now();
      return {
        redis: { ...redis, isFrozen: actions.isFrozen },
        trades: feed.state.ended ? `${source.label}, at its end` : source.label,
        ingestUrl: cluster.ingest.url,
        consoleUrl: cluster.console.url,
        demoUrl,
        seconds: elapsedSeconds(),
        published: ledger.accepted,
        edges: monitors.map(({ edge, reading }) => ({
          name: edge.name,
          wsUrl: edge.wsUrl,
          condition: edge.condition,
          ...reading,
          ...latencies.get(edge.name)!.recent(now),
        })),
        channels: known.map((name) => ({ name, price: prices.get(name) })),
        ownChannels: own?.channels ?? [],
        clients: subscribers.length,
        delivered: total('delivered'),
        deliveryRates: deliveryRates.rates,
        outOfOrder: total('outOfOrder'),
        duplicates: total('duplicates'),
        missing: total('missing'),
        moves: total('moves'),
        recovered: total('recovered'),
        events: log.events,
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

/** Starts one subscriber of each choice on every edge, and adds them to `subscribers`. */
async function startSubscribers(
  cluster: Cluster,
  stack: AsyncDisposableStack,
  subscribers: DemoSubscriber[],
  optionsOf: (home: string, name: string, choice: Choice) => SubscriberOptions,
): Promise<void> {
  for (const edge of cluster.edges) {
    for (const [name, choice] of Object.entries(CHOICES)) {
      const subscriber = await DemoSubscriber.start(optionsOf(edge.name, name, choice));
      stack.defer(() => subscriber.stop());
      subscribers.push(subscriber);
    }
  }
}

async function settle(subscribers: readonly DemoSubscriber[]): Promise<void> {
  const deadline = performance.now() + SETTLE_DEADLINE_MS;
  while (subscribers.some((subscriber) => subscriber.pending() > 0)) {
    if (performance.now() >= deadline) return;
    await sleep(SETTLE_INTERVAL_MS);
  }
}
