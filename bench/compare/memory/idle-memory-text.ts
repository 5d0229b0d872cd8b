import type { EdgeMemory } from '../arena/edge-memory.ts';
import { median } from '../figures/ratio.ts';
import { formatNumber, formatRatio, formatTable } from '../figures/table.ts';
import { AT_MOST_LARGER, failuresOf, judge, type Verdict } from '../figures/verdict.ts';
import {
  bytesEach,
  IDLE_KINDS,
  type IdleDifference,
  type IdleKind,
  type IdleResult,
  type IdleRun,
} from './idle-memory.ts';

/** The goal for an idle connection, in bytes of PSS. */
const GOAL_BYTES = 9_000;

const MEGABYTE = 1e6;

const KIND_LABELS: Readonly<Record<IdleKind, string>> = {
  untouched: 'left alone',
  collected: 'collected before both readings',
};

/** The result as lines for people. */
export function describeIdle(result: IdleResult): string {
  const { shape, base, servers, idleSeconds, sides, differences } = result;
  const rows = sides.flatMap(({ label, runs }) =>
    IDLE_KINDS.map((kind) => {
      const ofKind = runs.map((each) => each[kind]);
      const treated = KIND_LABELS[kind];
      return rowOf(sides.length === 1 ? treated : `${label}, ${treated}`, ofKind, shape.clients);
    }),
  );
  const restless = sides
    .flatMap(({ runs }) => runs.flatMap((each) => IDLE_KINDS.map((kind) => each[kind])))
    .flatMap(({ start, connected }) => [start, connected])
    .filter(({ settled }) => !settled).length;
  const header = [
    '',
    'start MB',
    'then MB',
    'PSS each',
    'range',
    'anonymous',
    'heap each',
    'external each',
  ];
  return [
    `Idle: ${shape.clients} clients on ${shape.channels} channel, ${idleSeconds} s without a publication`,
    `medians over ${servers} fresh edges; bytes above the start; at most ${formatNumber(GOAL_BYTES)} each is the goal`,
    '',
    formatTable(header, rows),
    ...(restless === 0 ? [] : ['', `PSS had not come to rest in ${restless} readings`]),
    ...(differences.length === 0
      ? []
      : [
          '',
          `anonymous bytes each of ${base.label} less the other's, by pairs; above 0 ${base.label} takes more`,
        ]),
    ...differences.flatMap((difference) => [
      formatRatio(
        `${base.label} - ${difference.opponent}, ${KIND_LABELS[difference.kind]}`,
        difference.anonymousBytesEach,
        0,
      ),
      verdictOn(difference).line,
    ]),
  ].join('\n');
}

/** The verdicts that failed. */
export function idleFailures({ differences }: IdleResult): readonly string[] {
  return failuresOf(differences.map(verdictOn));
}

function verdictOn({ kind, anonymousBytesEach }: IdleDifference): Verdict {
  return judge(`a connection, ${KIND_LABELS[kind]}`, anonymousBytesEach, AT_MOST_LARGER);
}

function rowOf(label: string, runs: readonly IdleRun[], clients: number): string[] {
  const each = (bytes: (memory: EdgeMemory) => number): number[] =>
    runs.map((run) => bytesEach(run, clients, bytes));
  const pss = each(({ pssBytes }) => pssBytes);
  return [
    label,
    formatNumber(median(runs.map(({ start }) => start.pssBytes / MEGABYTE))),
    formatNumber(median(runs.map(({ connected }) => connected.pssBytes / MEGABYTE))),
    formatNumber(median(pss)),
    `${formatNumber(Math.min(...pss))} to ${formatNumber(Math.max(...pss))}`,
    formatNumber(median(each(({ anonymousBytes }) => anonymousBytes))),
    formatNumber(median(each(({ heapBytes }) => heapBytes))),
    formatNumber(median(each(({ externalBytes }) => externalBytes))),
  ];
}
