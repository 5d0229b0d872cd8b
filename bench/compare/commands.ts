import type { LoadShape, Subject } from './arena/arena.ts';
import { type BenchArguments, CONSOLE_PHASES, UsageError } from './arguments.ts';
import { consoleFailures, describeConsole, measureConsole } from './cost/console-cost.ts';
import {
  benchmarkHotPath,
  benchmarkIndex,
  describeHotPath,
  describeIndexCosts,
} from './cost/microbenchmarks.ts';
import { describeSdkCost, runSdkCost, sdkCostFailures } from './cost/sdk-cost.ts';
import { describeWireSizes, measureWireSizes, wireSizeFailures } from './cost/wire-size.ts';
import { measureIdle } from './memory/idle-memory.ts';
import { describeIdle, idleFailures } from './memory/idle-memory-text.ts';
import { LONGEST_STALLED_SECONDS, measureStalled } from './memory/stalled-memory.ts';
import { describeStalled } from './memory/stalled-memory-text.ts';
import {
  meetsCheckout,
  opponentsOf,
  pairsOf,
  QUICK,
  SHORT,
  searchOf,
  secondsOf,
  serversOf,
  shapeOf,
} from './run-size.ts';
import { describeEncode, encodeFailures, measureEncode } from './speed/encode.ts';
import {
  compareAtFixedRate,
  describeFixedRate,
  type FixedRateResult,
  fixedRateFailures,
  WARM_UP_SECONDS,
} from './speed/fixed-rate.ts';
import { describeHeartbeats, heartbeatsFailures, measureHeartbeats } from './speed/heartbeats.ts';
import { describeIdentity, measureIdentity, withIdentity } from './speed/identity.ts';
import { describeLatest, latestFailures, measureLatest } from './speed/latest.ts';
import { describeOverload, measureOverload, overloadFailures } from './speed/overload.ts';
import { describeSafety, measureSafety, type SafetyPlan, safetyFailures } from './speed/safety.ts';
import { compareSaturation, describeSaturation, saturationFailures } from './speed/saturation.ts';
import { describeStorm, measureStorm, stormFailures } from './speed/storm.ts';
import {
  CALM_RATE,
  CROWD,
  CROWD_RATE,
  EDGE_THROUGH_STREAMS,
  EDGE_WITH_PINGS,
  EDGE_WITHOUT_PINGS,
  ENCODED_PUBLICATIONS,
  edgeWithWorkers,
  GATHERED,
  GATHERED_PUBLICATIONS,
  IDLE,
  LATEST,
  MANY_CHANNELS,
  PARTLY_STALLED,
  PREDECESSOR,
  PREDECESSOR_BURST_RATE,
  PREDECESSOR_RATE,
  SPREAD,
  SPREAD_PUBLICATIONS,
  STORM,
  subjectOf,
  USUAL_HISTORY,
  WIDE,
  WIDE_RATE,
} from './speed/subjects.ts';

/** The result of a command: lines for a person, and all measurements. */
export interface BenchOutcome {
  readonly text: string;
  readonly result: unknown;
  /** Conditions that were not met. If there are any, the exit code is 1. */
  readonly failures?: readonly string[];
}

const DEFAULT_PAIRS = 5;
const PREDECESSOR_PAIRS = 15;
const DEFAULT_WORKERS = 2;
/** Long enough that a core that sends 10 MiB to each of 5,000 clients is less than half busy. */
const STALLED_SECONDS = 120;
const CONSOLE = { nodes: 100, channels: 10_000, viewers: 20 };
const CONSOLE_SECONDS = 60;
/** Long enough for an edge to ping every client once, at its default of 25 s. */
const IDLE_SECONDS = 40;
const HEARTBEATS_SECONDS = 60;
const HEARTBEATS_PAIRS = 3;
/** Enough for an interval. */
const IDENTITY_PAIRS = 6;
const LATEST_SECONDS = 10;
const ENCODE_SECONDS = 10;
const ENCODE_PAIRS = 3;
const STORM_SECONDS = 15;
/** The fewest clients of which one stalls. */
const LEAST_STALLED_CLIENTS = 5;
/** The fewest pairs that give a verdict. */
const SAFETY_PAIRS = 6;

type Report = (line: string) => void;

/** Runs a command. `redisUrl` is called only by commands that need a Redis. */
export async function runCommand(
  asked: BenchArguments,
  redisUrl: () => Promise<string>,
  report: Report,
): Promise<BenchOutcome> {
  switch (asked.command) {
    case 'index': {
      const costs = await benchmarkIndex(asked.quick);
      return { text: describeIndexCosts(costs), result: costs };
    }
    case 'hot-path': {
      const payloadBytes = asked.payloadBytes ?? CROWD.payloadBytes;
      const rows = await benchmarkHotPath(payloadBytes, asked.quick);
      return { text: describeHotPath(rows, payloadBytes), result: rows };
    }
    case 'sdk': {
      const cost = await runSdkCost(asked.quick, asked.payloadBytes);
      const text = describeSdkCost(cost, asked.payloadBytes);
      return { text, result: cost, failures: sdkCostFailures(cost) };
    }
    case 'console': {
      const plan = {
        ...(asked.quick ? { ...CONSOLE, nodes: 10, viewers: 2 } : CONSOLE),
        seconds: secondsOf(asked, CONSOLE_SECONDS),
        phases: asked.phases ?? CONSOLE_PHASES,
      };
      const cost = await measureConsole(plan, await redisUrl(), report);
      return { text: describeConsole(cost), result: cost, failures: consoleFailures(cost) };
    }
    case 'wire-size': {
      const sizes = await measureWireSizes(asked.quick);
      return { text: describeWireSizes(sizes), result: sizes, failures: wireSizeFailures(sizes) };
    }
    case 'saturation': {
      const plan = {
        shape: shapeOf(CROWD, asked),
        base: subjectOf('edge'),
        opponents: opponentsOf(asked, ['bun', 'ws-shared', 'ws-per-client', 'socket.io']),
        pairs: asked.short ? (asked.pairs ?? SHORT.saturationPairs) : pairsOf(asked, DEFAULT_PAIRS),
        seconds: asked.short ? (asked.seconds ?? SHORT.saturatedSeconds) : secondsOf(asked),
        search: searchOf(asked),
      };
      const result = await compareSaturation(plan, await redisUrl(), report);
      return { text: describeSaturation(result), result, failures: saturationFailures(result) };
    }
    case 'overload': {
      const shape = shapeOf(CROWD, asked);
      const edge = subjectOf('edge');
      const url = await redisUrl();
      const result = await measureOverload(edge, shape, secondsOf(asked), url, report);
      return { text: describeOverload(result), result, failures: overloadFailures(result) };
    }
    case 'heartbeats': {
      const plan = {
        base: EDGE_WITH_PINGS,
        opponent: EDGE_WITHOUT_PINGS,
        shape: shapeOf(GATHERED, asked),
        publicationsPerSecond: GATHERED_PUBLICATIONS,
        pairs: pairsOf(asked, HEARTBEATS_PAIRS),
        seconds: secondsOf(asked, HEARTBEATS_SECONDS),
        idleSeconds: asked.quick ? QUICK.idleSeconds : IDLE_SECONDS,
        warmUpSeconds: asked.quick ? QUICK.seconds : WARM_UP_SECONDS,
      };
      const result = await measureHeartbeats(plan, await redisUrl(), report);
      return { text: describeHeartbeats(result), result, failures: heartbeatsFailures(result) };
    }
    case 'identity':
      return await runIdentity(asked, await redisUrl(), report);
    case 'storm': {
      const clients = asked.clients ?? (asked.quick ? QUICK.clients : STORM.clients);
      const plan = { ...STORM, clients, seconds: secondsOf(asked, STORM_SECONDS) };
      const result = await measureStorm(plan, await redisUrl(), report);
      return { text: describeStorm(result), result, failures: stormFailures(result) };
    }
    case 'latest': {
      const plan = {
        ...LATEST,
        shape: shapeOf(CROWD, asked),
        pairs: pairsOf(asked, DEFAULT_PAIRS),
        seconds: secondsOf(asked, LATEST_SECONDS),
        warmUpSeconds: asked.quick ? QUICK.seconds : WARM_UP_SECONDS,
      };
      const result = await measureLatest(plan, await redisUrl(), report);
      return { text: describeLatest(result), result, failures: latestFailures(result) };
    }
    case 'encode': {
      const plan = {
        text: edgeWithWorkers(DEFAULT_WORKERS),
        binary: edgeWithWorkers(DEFAULT_WORKERS, 'edge.v2'),
        shape: shapeOf(MANY_CHANNELS, asked),
        publicationsPerSecond: ENCODED_PUBLICATIONS,
        pairs: pairsOf(asked, ENCODE_PAIRS),
        seconds: secondsOf(asked, ENCODE_SECONDS),
        warmUpSeconds: asked.quick ? QUICK.seconds : WARM_UP_SECONDS,
      };
      const result = await measureEncode(plan, await redisUrl(), report);
      return { text: describeEncode(result), result, failures: encodeFailures(result) };
    }
    case 'predecessor':
      return await runFixedRates(asked, await redisUrl(), report, PREDECESSOR_PAIRS, [
        {
          title: 'The predecessor’s load',
          shape: PREDECESSOR,
          deliveriesPerSecond: PREDECESSOR_RATE,
          base: subjectOf('edge'),
          opponents: opponentsOf(asked, ['ws-per-client', 'bun']),
        },
        {
          title: 'The predecessor’s clients, with thirteen times the load',
          shape: PREDECESSOR,
          deliveriesPerSecond: PREDECESSOR_BURST_RATE,
          base: subjectOf('edge'),
          opponents: opponentsOf(asked, ['bun']),
        },
      ]);
    case 'wide':
      return await runFixedRates(asked, await redisUrl(), report, DEFAULT_PAIRS, [
        {
          title: 'Wide: each client on 20 of 2,000 channels',
          shape: WIDE,
          deliveriesPerSecond: WIDE_RATE,
          base: subjectOf('edge'),
          opponents: opponentsOf(asked, ['bun']),
        },
      ]);
    case 'memory':
      return await measureMemory(asked, redisUrl, report);
    case 'safety': {
      const result = await measureSafety(safetyPlan(asked), await redisUrl(), report);
      return { text: describeSafety(result), result, failures: safetyFailures(result) };
    }
    case 'writes':
      return await runFixedRates(asked, await redisUrl(), report, DEFAULT_PAIRS, [
        {
          title: 'send against streams, each client on five channels',
          shape: PREDECESSOR,
          deliveriesPerSecond: PREDECESSOR_RATE,
          base: subjectOf('edge'),
          opponents: [EDGE_THROUGH_STREAMS],
        },
        {
          title: 'send against streams, each client on 20 of 2,000 channels',
          shape: WIDE,
          deliveriesPerSecond: CALM_RATE,
          base: subjectOf('edge'),
          opponents: [EDGE_THROUGH_STREAMS],
        },
        {
          title: 'send against streams, each client on one channel',
          shape: CROWD,
          deliveriesPerSecond: CALM_RATE,
          base: subjectOf('edge'),
          opponents: [EDGE_THROUGH_STREAMS],
        },
      ]);
    case 'workers': {
      const workers = asked.workers ?? DEFAULT_WORKERS;
      const base = edgeWithWorkers(workers);
      const opponents = asked.against?.map((name) => edgeWithWorkers(workers, name)) ?? [
        edgeWithWorkers(1),
      ];
      return await runFixedRates(asked, await redisUrl(), report, DEFAULT_PAIRS, [
        {
          title: 'Worker threads on one core, everybody on one channel',
          shape: CROWD,
          deliveriesPerSecond: CROWD_RATE,
          base,
          opponents,
        },
        {
          title: 'Worker threads on one core, the predecessor’s load',
          shape: PREDECESSOR,
          deliveriesPerSecond: PREDECESSOR_RATE,
          base,
          opponents,
        },
      ]);
    }
  }
}

async function runIdentity(
  asked: BenchArguments,
  redisUrl: string,
  report: Report,
): Promise<BenchOutcome> {
  const shape = { ...shapeOf(IDLE, asked), payloadBytes: IDLE.payloadBytes };
  return await withIdentity(shape.clients, async (base) => {
    const plan = {
      ...{ base, opponent: subjectOf('edge'), shape },
      pairs: pairsOf(asked, IDENTITY_PAIRS),
    };
    const connections = await measureIdentity(plan, redisUrl, report);
    const deliveries = await runFixedRates(asked, redisUrl, report, IDENTITY_PAIRS, [
      {
        title: 'Tokens against none, each client on five channels',
        shape: PREDECESSOR,
        deliveriesPerSecond: PREDECESSOR_RATE,
        base,
        opponents: [plan.opponent],
      },
    ]);
    const text = [describeIdentity(connections), deliveries.text].join('\n\n');
    return { text, result: { connections, deliveries: deliveries.result } };
  });
}

function safetyPlan(asked: BenchArguments): SafetyPlan {
  return {
    edge: subjectOf('edge'),
    shape: shapeOf(SPREAD, asked),
    sequenced: USUAL_HISTORY,
    publicationsPerSecond: SPREAD_PUBLICATIONS,
    pairs: pairsOf(asked, SAFETY_PAIRS),
    seconds: secondsOf(asked),
    warmUpSeconds: asked.quick ? QUICK.seconds : WARM_UP_SECONDS,
  };
}

async function measureMemory(
  asked: BenchArguments,
  redisUrl: () => Promise<string>,
  report: Report,
): Promise<BenchOutcome> {
  const stalledPlan = {
    shape: shapeOf(PARTLY_STALLED, asked),
    seconds: secondsOf(asked, STALLED_SECONDS),
    rounds: pairsOf(asked, DEFAULT_PAIRS),
  };
  if (stalledPlan.seconds > LONGEST_STALLED_SECONDS) {
    throw new UsageError(`memory: --seconds is at most ${LONGEST_STALLED_SECONDS}`);
  }
  if (stalledPlan.shape.clients < LEAST_STALLED_CLIENTS) {
    throw new UsageError(`memory: --clients is at least ${LEAST_STALLED_CLIENTS}`);
  }
  const idlePlan = {
    shape: { ...shapeOf(IDLE, asked), payloadBytes: IDLE.payloadBytes },
    base: subjectOf('edge'),
    opponents: opponentsOf(asked, []),
    servers: serversOf(asked),
    idleSeconds: asked.quick ? QUICK.idleSeconds : IDLE_SECONDS,
  };
  const url = await redisUrl();
  const idle = await measureIdle(idlePlan, url, report);
  if (asked.short || meetsCheckout(asked)) {
    return { text: describeIdle(idle), result: { idle }, failures: idleFailures(idle) };
  }
  const stalled = await measureStalled(stalledPlan, url, report);
  const text = [describeIdle(idle), describeStalled(stalled)].join('\n\n');
  return { text, result: { idle, stalled } };
}

/** A comparison with the defaults of its command, before options are applied. */
interface FixedRateCase {
  readonly title: string;
  readonly shape: LoadShape;
  /** With the shape's number of clients; fewer clients receive the same rate each. */
  readonly deliveriesPerSecond: number;
  readonly base: Subject;
  readonly opponents: readonly Subject[];
}

async function runFixedRates(
  asked: BenchArguments,
  redisUrl: string,
  report: Report,
  defaultPairs: number,
  cases: readonly FixedRateCase[],
): Promise<BenchOutcome> {
  const results: FixedRateResult[] = [];
  for (const one of cases) {
    const shape = shapeOf(one.shape, asked);
    const share = shape.clients / one.shape.clients;
    const plan = {
      ...one,
      shape,
      deliveriesPerSecond: one.deliveriesPerSecond * share,
      pairs: pairsOf(asked, defaultPairs),
      seconds: secondsOf(asked),
      warmUpSeconds: asked.quick ? QUICK.seconds : WARM_UP_SECONDS,
    };
    report(one.title);
    results.push(await compareAtFixedRate(plan, redisUrl, report));
  }
  return {
    text: results.map(describeFixedRate).join('\n\n'),
    result: results,
    failures: results.flatMap(fixedRateFailures),
  };
}
