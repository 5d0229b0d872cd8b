import { setTimeout as sleep } from 'node:timers/promises';
import { parseMetrics } from '@tradewind/dev';
import { type LoadShape, openArena, type Subject, type Trial } from '../arena/arena.ts';
import { median } from '../figures/ratio.ts';
import { formatNumber, formatShare, formatTable } from '../figures/table.ts';

/** Publications on many channels, for clients of both formats in turn, while the hub has a thread of its own. */
export interface EncodePlan {
  /** With clients of text frames, and with clients of binary ones. */
  readonly text: Subject;
  readonly binary: Subject;
  readonly shape: LoadShape;
  readonly publicationsPerSecond: number;
  readonly pairs: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** What an edge's metrics say of one run. */
export interface EncodeRun {
  /** CPU time of the hub's thread, in cores. */
  readonly hub: number;
  /** Time that it spent on deflating, in cores. It is a part of `hub`. */
  readonly deflating: number;
  /** Publications that were deflated, and those that went raw although somebody wanted them deflated. */
  readonly deflated: number;
  readonly raw: number;
  /** Of the raw ones those for which there was no time. */
  readonly withoutTime: number;
  readonly bytesOut: number;
  readonly trial: Trial;
}

export interface EncodeResult extends EncodePlan {
  readonly runs: readonly { readonly text: EncodeRun; readonly binary: EncodeRun }[];
}

/** The most that the hub may use of a core unless it steps back, and the least share that must leave deflated. */
const MOST_HUB = 0.6;
const LEAST_DEFLATED = 0.5;

/** How long the edge's counters may be behind: each scrape asks the workers. */
const SETTLE_MS = 500;

/** Measures the hub's thread, with a fresh edge for each run. */
export async function measureEncode(
  plan: EncodePlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<EncodeResult> {
  const runs: { text: EncodeRun; binary: EncodeRun }[] = [];
  for (let i = 0; i < plan.pairs; i += 1) {
    const text = await measureRun(plan, plan.text, redisUrl);
    const binary = await measureRun(plan, plan.binary, redisUrl);
    runs.push({ text, binary });
    report(
      `hub ${formatNumber(text.hub)} cores with text frames, ${formatNumber(binary.hub)} with binary ones, ` +
        `${formatShare(deflatedShare(binary))} of the publications deflated`,
    );
  }
  return { ...plan, runs };
}

async function measureRun(
  plan: EncodePlan,
  subject: Subject,
  redisUrl: string,
): Promise<EncodeRun> {
  const { shape, publicationsPerSecond, seconds, warmUpSeconds } = plan;
  await using arena = await openArena(subject, shape, redisUrl);
  const { adminUrl } = arena.server;
  if (adminUrl === undefined) throw new Error(`${subject.label} has no admin port`);
  await arena.trial(publicationsPerSecond, warmUpSeconds);
  const before = await readCounters(adminUrl);
  const trial = await arena.trial(publicationsPerSecond, seconds);
  await sleep(SETTLE_MS);
  const after = await readCounters(adminUrl);
  const grown = (name: keyof Counters): number => after[name] - before[name];
  return {
    // What came later than the run's end was published within it.
    hub: grown('hubSeconds') / trial.seconds,
    deflating: grown('deflateSeconds') / trial.seconds,
    deflated: grown('deflated'),
    raw: grown('raw'),
    withoutTime: grown('withoutTime'),
    bytesOut: grown('bytesOut'),
    trial,
  };
}

interface Counters {
  readonly hubSeconds: number;
  readonly deflateSeconds: number;
  readonly deflated: number;
  readonly raw: number;
  readonly withoutTime: number;
  readonly bytesOut: number;
}

async function readCounters(adminUrl: string): Promise<Counters> {
  const metrics = parseMetrics(await (await fetch(`${adminUrl}/metrics`)).text());
  const sum = (name: string, labels = {}): number =>
    metrics.sum(`tradewind_edge_${name}_total`, labels) ?? 0;
  return {
    hubSeconds: sum('thread_cpu_seconds', { thread: 'main' }),
    deflateSeconds: sum('deflate_seconds'),
    deflated: sum('deflated'),
    raw: sum('deflate_raw'),
    withoutTime: sum('deflate_raw', { reason: 'budget' }),
    bytesOut: sum('bytes_out'),
  };
}

function deflatedShare({ deflated, raw }: EncodeRun): number {
  return deflated / (deflated + raw);
}

/** The conditions that were not met. */
export function encodeFailures({ runs }: Pick<EncodeResult, 'runs'>): readonly string[] {
  const failures: string[] = [];
  for (const { text, binary } of runs) {
    const { hub, withoutTime, trial } = binary;
    if (!text.trial.whole || !trial.whole) failures.push('not everything was delivered');
    if (hub > MOST_HUB && withoutTime === 0) {
      failures.push(`the hub took ${formatNumber(hub)} cores and did not step back`);
    }
    const share = deflatedShare(binary);
    if (!(share >= LEAST_DEFLATED)) {
      failures.push(`only ${formatShare(share)} of the publications left deflated`);
    }
  }
  return failures;
}

/** The result as lines for people. */
export function describeEncode(result: EncodeResult): string {
  const { shape, publicationsPerSecond, seconds, runs } = result;
  const rows = runs.flatMap(({ text, binary }, i) =>
    [text, binary].map((run) => [
      `${i + 1}, ${run === text ? 'text' : 'binary'}`,
      formatNumber(run.hub),
      formatNumber(run.deflating),
      run === text ? '' : formatShare(deflatedShare(run)),
      run === text ? '' : formatNumber(run.withoutTime),
      formatNumber(run.bytesOut / run.trial.received),
      run.trial.whole ? 'yes' : 'NO',
    ]),
  );
  const header = [
    ...['run, frames', 'hub, cores', 'deflating', 'deflated', 'raw for want of time'],
    ...['bytes a delivery', 'whole'],
  ];
  const failures = encodeFailures(result);
  const ratio = median(runs.map(({ text, binary }) => binary.bytesOut / text.bytesOut));
  return [
    `Encode: ${formatNumber(publicationsPerSecond)} publications/s of ${shape.payloadBytes} bytes over ` +
      `${shape.channels} channels, ${shape.clients} clients on ${shape.channelsPerClient} each, runs of ${seconds} s`,
    '',
    formatTable(header, rows),
    '',
    `binary frames are ${formatShare(ratio)} of the bytes of text frames (median)`,
    ...(failures.length === 0 ? ['holds'] : failures.map((failure) => `FAILS: ${failure}`)),
  ].join('\n');
}
