import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { LatencyHistogram, type Percentiles } from '@tradewind/dev';
import { INSPECTABLE } from '../../../test/support/services/inspector.ts';
import { type Load, startLoad } from '../../load/clients/load.ts';
import type { Reasons } from '../../load/clients/load-plan.ts';
import { startPublisher } from '../../load/publishing/publisher.ts';
import { channelNames, connectClients, type LoadShape, startClients } from '../arena/arena.ts';
import { contenderOf, startContender } from '../arena/contenders.ts';
import { watchCores } from '../arena/core-usage.ts';
import { LOAD_CORE, SERVER_CORE } from '../arena/cores.ts';
import { measuredEdge } from '../arena/edge-memory.ts';
import { formatNumber, formatShare, formatTable } from '../figures/table.ts';
import { identified, withIdentity } from './identity.ts';
import { type Turns, watchTurns } from './turns.ts';

/** Clients with tokens that connect at once, as after the end of another node, and clients that were connected before. */
export interface StormPlan {
  readonly clients: number;
  readonly present: LoadShape;
  readonly publicationsPerSecond: number;
  /** How long those who are there are measured alone, in s. */
  readonly seconds: number;
}

/** One stretch of time, as those who are there and the edge have it. */
interface Stretch {
  readonly seconds: number;
  readonly latency: Percentiles | undefined;
  /** Of the edge's busiest thread, in ms. */
  readonly loopLagP99Ms: number;
  /** Without what other processes took from the machine. */
  readonly turns: Turns;
  readonly serverCore: number;
  readonly loadCore: number;
}

export interface StormResult extends StormPlan {
  readonly calm: Stretch;
  readonly storm: Stretch;
  /** Until the last of them was subscribed, in s; undefined if that took too long. */
  readonly backAfterSeconds: number | undefined;
  /** Attempts that failed, by reason; each was repeated. */
  readonly refused: Reasons;
  /** Of those who were there, those who were disconnected. */
  readonly disconnected: number;
}

/** Issue 18 set these. */
const LONGEST_RETURN_SECONDS = 60;
const LONGEST_LOOP_LAG_MS = 100;
const MOST_P99_RATIO = 1.5;

/** When the storm is given up, in s. */
const GIVE_UP_SECONDS = 120;

/** More than any number of clients: all at once. */
const AT_ONCE = 1_000_000;

/** Nothing is published on it: what those who come cost is their coming. */
const QUIET_CHANNEL = 'quiet.trade';

const LOOP_LAG = 'tradewind_edge_event_loop_lag_p99_seconds';

/**
 * The priority of those who are there and of the publisher, as `nice` counts it. On the load's core they must not wait for those who
 * come: what they notice must be the edge's doing.
 */
const AHEAD = -10;

export async function measureStorm(
  plan: StormPlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<StormResult> {
  return await withIdentity(plan.present.clients, async (subject) => {
    await using stack = new AsyncDisposableStack();
    const contender = contenderOf(subject.contender);
    const dialect = subject.dialect ?? contender.dialect;
    const settings = { ...subject.settings, ...INSPECTABLE };
    const server = stack.use(await startContender(contender, redisUrl, settings));
    const edge = measuredEdge(server);
    // Its output keeps the latest lines only, and a storm writes many.
    const inspectable = { output: [...server.output] };
    const channels = channelNames(plan.present);
    const publisher = stack.use(
      await startPublisher({ redisUrl, channels, core: LOAD_CORE, sequenced: undefined }),
    );
    const present = stack.use(await startClients(server, dialect, plan.present, channels));
    await connectClients(present, 'those who are there', plan.present.clients);
    for (const pid of [...present.pids, publisher.pid]) comeFirst(pid, report);
    const coming = stack.use(await startComing(plan, server.url));
    const ratePerSecond = plan.publicationsPerSecond;
    await publisher.start({ ratePerSecond, payloadBytes: plan.present.payloadBytes });

    const during = async (wait: () => Promise<unknown>): Promise<Stretch> => {
      await present.mark();
      await present.takeIdleMs();
      // A scrape begins the next stretch of the loop's lag.
      await edge.metrics();
      const endWatch = await watchCores();
      const endTurns = await watchTurns(inspectable);
      const startedAt = performance.now();
      await wait();
      const seconds = (performance.now() - startedAt) / 1_000;
      const turns = await endTurns();
      const cores = await endWatch();
      const lag = (await edge.metrics()).sum(LOOP_LAG) ?? Number.NaN;
      const idleMs = await present.takeIdleMs();
      return {
        seconds,
        latency: await latencyOf(present),
        loopLagP99Ms: lag * 1_000,
        turns,
        serverCore: cores(SERVER_CORE),
        loadCore: cores(LOAD_CORE) - idleMs / 1_000 / seconds,
      };
    };

    const calm = await during(() => sleep(plan.seconds * 1_000));
    report(`alone: p99 ${formatNumber(calm.latency?.p99)} ms`);
    let isBack = false;
    const storm = await during(async () => {
      const back = coming.connect().then(() => {
        isBack = true;
      });
      await Promise.race([back, sleep(GIVE_UP_SECONDS * 1_000, undefined, { ref: false })]);
    });
    report(`storm: ${isBack ? 'all are back' : 'NOT all are back'}`);
    await publisher.stop();
    const { failed } = await coming.sample();
    const { open } = await present.sample();
    return {
      ...plan,
      calm,
      storm,
      backAfterSeconds: isBack ? storm.seconds : undefined,
      refused: failed,
      disconnected: plan.present.clients - open,
    };
  });
}

/** Starts a process for those who come, without connecting them. */
async function startComing(plan: StormPlan, url: string): Promise<Load> {
  return await startLoad({
    ...{ urls: [url], dialect: identified(plan.clients), channels: [QUIET_CHANNEL] },
    ...{ connections: plan.clients, rampPerSecond: AT_ONCE },
    ...{ mode: 'all', channelsPerClient: 1, seed: 1, sampleEvery: 1_000 },
    ...{ reading: { slow: 0, stalled: 0 }, slowBytesPerSecond: 1, stallAfterMs: 0 },
    ...{ connectionsPerProcess: plan.clients, cores: [LOAD_CORE], polls: false, retries: true },
  });
}

/** Only root may do that; then a storm looks worse than it is. */
function comeFirst(pid: number, report: (line: string) => void): void {
  try {
    setPriority(pid, AHEAD);
  } catch (error) {
    report(`those who come are in the way of those who are there: ${(error as Error).message}`);
  }
}

async function latencyOf(load: Load): Promise<Percentiles | undefined> {
  const histogram = new LatencyHistogram();
  for (const counts of (await load.sample()).latencies) histogram.add(counts);
  return histogram.percentiles();
}

function p99Ratio({ calm, storm }: StormResult): number {
  return (storm.latency?.p99 ?? Number.NaN) / (calm.latency?.p99 ?? Number.NaN);
}

/** The conditions that were not met. */
export function stormFailures(result: StormResult): readonly string[] {
  const { backAfterSeconds = Number.POSITIVE_INFINITY, storm, disconnected } = result;
  const failures: string[] = [];
  if (!(backAfterSeconds <= LONGEST_RETURN_SECONDS))
    failures.push(`not everyone was back within ${LONGEST_RETURN_SECONDS} s`);
  if (!(storm.loopLagP99Ms < LONGEST_LOOP_LAG_MS))
    failures.push(`the event loop's p99 was ${formatNumber(storm.loopLagP99Ms)} ms`);
  if (!(p99Ratio(result) <= MOST_P99_RATIO))
    failures.push(
      `p99 of those who were there was ${formatNumber(p99Ratio(result))} times as long`,
    );
  if (disconnected > 0) failures.push(`${disconnected} of those who were there were disconnected`);
  return failures;
}

/** The result as lines for people. */
export function describeStorm(result: StormResult): string {
  const { clients, present, publicationsPerSecond, calm, storm, backAfterSeconds, refused } =
    result;
  const rowOf = (label: string, stretch: Stretch): string[] => [
    label,
    formatNumber(stretch.seconds),
    formatNumber(stretch.latency?.p50),
    formatNumber(stretch.latency?.p99),
    formatNumber(stretch.loopLagP99Ms),
    formatNumber(stretch.turns.p99Ms),
    formatNumber(stretch.turns.longestMs),
    formatShare(stretch.serverCore),
    formatShare(stretch.loadCore),
  ];
  const header = [
    ...['', 's', 'p50 ms', 'p99 ms', 'loop p99 ms'],
    ...['turns: CPU ms, p99', 'longest', 'server core', 'load core'],
  ];
  const failures = stormFailures(result);
  return [
    `Storm: ${clients} clients with tokens at once, beside ${present.clients} that get ${publicationsPerSecond} publications a second`,
    '',
    formatTable(header, [rowOf('alone', calm), rowOf('in the storm', storm)]),
    '',
    `all back after ${formatNumber(backAfterSeconds)} s; attempts that failed and were repeated: ${JSON.stringify(refused)}`,
    `p99 of those who were there, in the storm / alone: ${formatNumber(p99Ratio(result))}`,
    ...(failures.length === 0 ? ['', 'holds'] : ['', ...failures.map((text) => `FAILS: ${text}`)]),
  ].join('\n');
}
