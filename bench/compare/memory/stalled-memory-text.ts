import type { EdgeMemory } from '../arena/edge-memory.ts';
import { median, type RatioSummary, summarizeRatios } from '../figures/ratio.ts';
import { formatNumber, formatRatio, formatShare, formatTable } from '../figures/table.ts';
import { BACK_FOR_SECONDS } from './return-watch.ts';
import {
  BACK_BYTES,
  GOAL_BYTES,
  type StalledResult,
  type StalledRound,
  type StalledRun,
} from './stalled-memory.ts';

const KILOBYTE = 1e3;
const MEGABYTE = 1e6;

/** The most that the p99 of other clients may grow by, as a ratio. */
const GOAL_P99_RATIO = 1.1;

/** The result as lines for people. */
export function describeStalled(result: StalledResult): string {
  const { shape, seconds, steadyClients, stalledClients, roundsMeasured } = result;
  const { tcpWmem, tcpWmemFailure } = result;
  const sides = [
    ['without them', ({ without }: StalledRound) => without],
    ['stalled', ({ stalled }: StalledRound) => stalled],
    ['all reading', ({ reading }: StalledRound) => reading],
  ] as const;
  const rows = sides.map(([label, side]) => rowOf(label, roundsMeasured.map(side)));
  const header = [
    '',
    'whole runs',
    'refusals',
    'slow',
    'p50 ms',
    'p99 ms',
    'PSS MB',
    'collected',
    'heap + ext.',
    'after they left',
    'server core',
    'load core',
  ];
  const least = Math.min(...roundsMeasured.map(({ stalled }) => stalled.bytesTowardsEach));
  return [
    `Stalled: ${steadyClients} clients that read and ${stalledClients} that do not, ` +
      `${shape.channels} channel, ${shape.payloadBytes} bytes`,
    `at least ${formatNumber(least / MEGABYTE)} MB towards each in ${seconds} s; medians over ` +
      `${roundsMeasured.length} rounds; memory in MB, after publishing`,
    tcpWmemFailure === undefined
      ? `kernel send buffers bounded: net.ipv4.tcp_wmem ${tcpWmem}`
      : `kernel send buffers NOT bounded: net.ipv4.tcp_wmem ${tcpWmem} (${tcpWmemFailure})`,
    '',
    formatTable(header, rows),
    '',
    ...memoryLines(roundsMeasured, stalledClients),
    '',
    `p99 of clients that read; at most ${GOAL_P99_RATIO} is the goal`,
    formatRatio(
      '  stalled / all reading',
      over(roundsMeasured, (r) => p99(r.stalled) / p99(r.reading)),
    ),
    formatRatio(
      '  stalled / without them',
      over(roundsMeasured, (r) => p99(r.stalled) / p99(r.without)),
    ),
  ].join('\n');
}

function rowOf(label: string, runs: readonly StalledRun[]): string[] {
  const middle = (quantity: (run: StalledRun) => number): string =>
    formatNumber(median(runs.map(quantity)));
  return [
    label,
    `${runs.filter(({ trial }) => trial.whole).length} of ${runs.length}`,
    middle(({ refusals }) => refusals),
    middle(({ slowDisconnects }) => slowDisconnects),
    middle(({ trial }) => trial.latency?.p50 ?? Number.NaN),
    middle(p99),
    middle(({ published }) => published.pssBytes / MEGABYTE),
    middle(({ publishedCollected }) => publishedCollected.pssBytes / MEGABYTE),
    middle(({ publishedCollected }) => inUse(publishedCollected) / MEGABYTE),
    middle(({ leftCollected }) => leftCollected.pssBytes / MEGABYTE),
    formatShare(median(runs.map(({ trial }) => trial.serverCore))),
    formatShare(median(runs.map(({ trial }) => trial.loadCore))),
  ];
}

function memoryLines(rounds: readonly StalledRound[], clients: number): string[] {
  const line = (label: string, bytes: (round: StalledRound) => number): string =>
    formatRatio(
      `  ${label}`,
      over(rounds, (round) => bytes(round) / clients / KILOBYTE),
    );
  return [
    `KB for each client that stalls; at most ${GOAL_BYTES / KILOBYTE} is the goal`,
    line('PSS, above a client that reads', ({ stalled, reading }) =>
      difference(stalled.published, reading.published, pss),
    ),
    line('PSS, above no client', ({ stalled, without }) =>
      difference(stalled.published, without.published, pss),
    ),
    line('PSS collected, above a client that reads', ({ stalled, reading }) =>
      difference(stalled.publishedCollected, reading.publishedCollected, pss),
    ),
    line('PSS collected, above no client', ({ stalled, without }) =>
      difference(stalled.publishedCollected, without.publishedCollected, pss),
    ),
    line('heap + external, above a client that reads', ({ stalled, reading }) =>
      difference(stalled.publishedCollected, reading.publishedCollected, inUse),
    ),
    line('heap + external, above no client', ({ stalled, without }) =>
      difference(stalled.publishedCollected, without.publishedCollected, inUse),
    ),
    ...leavingLines(rounds, line),
    'KB for each client that stalled, after they left and a forced collection; 0 is all returned',
    line('PSS collected, above no client', ({ stalled, without }) =>
      difference(stalled.leftCollected, without.leftCollected, pss),
    ),
    line('heap + external, above no client', ({ stalled, without }) =>
      difference(stalled.leftCollected, without.leftCollected, inUse),
    ),
  ];
}

/** The lines about memory that was returned without a collection; `line` gives bytes in KB for each stalled client. */
function leavingLines(
  rounds: readonly StalledRound[],
  line: (label: string, bytes: (round: StalledRound) => number) => string,
): string[] {
  const back = rounds.filter(({ leaving }) => leaving.left.isBack);
  const seconds = formatNumber(median(rounds.map(({ leaving }) => leaving.left.seconds)));
  const whole = rounds.filter(({ leaving }) => leaving.trial.whole).length;
  const most = (quantity: (round: StalledRound) => number): string =>
    formatNumber(Math.max(...rounds.map(quantity)));
  const slow = most(({ leaving }) => leaving.slowDisconnects);
  const refusals = formatNumber(median(rounds.map(({ leaving }) => leaving.refusals)));
  return [
    'KB for each client that stalled, on edges without a forced collection, while publishing continued',
    line('PSS before they left, above no client', ({ leaving, without }) => {
      return leaving.publishedPssBytes - pss(without.published);
    }),
    line(`PSS held since ${seconds} s after they left, above no client`, (round) => {
      return round.leaving.left.pssBytes - round.withoutPublishingPssBytes;
    }),
    line('PSS collected afterwards, above no client', ({ leaving, without }) =>
      difference(leaving.leftCollected, without.leftCollected, pss),
    ),
    `  back, which is at most ${BACK_BYTES / KILOBYTE} for ${BACK_FOR_SECONDS} s, in ${back.length} of ` +
      `${rounds.length} rounds; ${whole} of ${rounds.length} runs were whole, ${refusals} refusals, ${slow} disconnected as slow`,
  ];
}

function difference(
  more: EdgeMemory,
  less: EdgeMemory,
  bytes: (memory: EdgeMemory) => number,
): number {
  return bytes(more) - bytes(less);
}

function pss({ pssBytes }: EdgeMemory): number {
  return pssBytes;
}

/** Bytes that V8 reports as used. */
function inUse({ heapBytes, externalBytes }: EdgeMemory): number {
  return heapBytes + externalBytes;
}

function p99({ trial }: StalledRun): number {
  return trial.latency?.p99 ?? Number.NaN;
}

function over(
  rounds: readonly StalledRound[],
  quantity: (round: StalledRound) => number,
): RatioSummary {
  return summarizeRatios(rounds.map(quantity));
}
