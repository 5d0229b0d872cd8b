import type { BusyResult, BusyRun, ChecksSide, QuietResult, TierUsage } from './checks-cost.ts';
import { median } from './ratio.ts';
import { callsOf } from './redis-usage.ts';
import { formatNumber, formatRatio, formatShare, formatTable } from './table.ts';

/** The lines that a person reads. */
export function describeBusy({ plan, sides, ratios }: BusyResult): string {
  const { shape, publicationsPerSecond, seconds } = plan;
  const rows = sides.map(({ label, runs }) => {
    const middle = (quantity: (run: BusyRun) => number): string =>
      formatNumber(median(runs.map(quantity)));
    const share = (quantity: (run: BusyRun) => number): string =>
      formatShare(median(runs.map(quantity)));
    return [
      label,
      `${runs.filter(({ trial }) => trial.whole).length} of ${runs.length}`,
      middle(({ trial }) => trial.deliveriesPerSecond),
      middle(({ trial }) => trial.cpuMicrosPerDelivery),
      middle(({ trial, usage }) => usage.heapBytes / trial.received),
      middle(({ usage }) => usage.collections / usage.seconds),
      middle(({ trial, usage }) => (usage.redis.cpuSeconds * 1e6) / trial.published),
      middle(({ trial }) => trial.latency?.p50 ?? Number.NaN),
      middle(({ trial }) => trial.latency?.p99 ?? Number.NaN),
      share(({ trial }) => trial.serverCore),
      share(({ trial }) => trial.loadCore),
    ];
  });
  const header = [
    ...['', 'whole runs', 'deliveries/s', 'CPU µs', 'heap bytes', 'collections/s'],
    ...['Redis µs/publication', 'p50 ms', 'p99 ms', 'server core', 'load core'],
  ];
  return [
    'Checks on and off, under publications with offsets',
    `${shape.clients} clients, each on ${shape.channelsPerClient} of ${shape.channels} channels, ` +
      `${formatNumber(publicationsPerSecond)} publications/s of ${shape.payloadBytes} bytes, ` +
      `runs of ${seconds} s; medians; CPU and heap of the edge per delivery`,
    '',
    formatTable(header, rows),
    '',
    formatCommands(sides, ({ usage }) => usage, { 'per delivery': ({ trial }) => trial.received }),
    '',
    ...ratios.map(({ of, ratio }) => formatRatio(`${of}, ${onOff(sides)}`, ratio)),
  ].join('\n');
}

/** The lines that a person reads. */
export function describeQuiet({ plan, sides, ratios }: QuietResult): string {
  const { shape, settleSeconds, seconds } = plan;
  const rows = sides.map(({ label, runs }) => {
    const perSecond = (quantity: (usage: TierUsage) => number): string =>
      formatNumber(median(runs.map((usage) => quantity(usage) / usage.seconds)));
    return [
      label,
      perSecond(({ edgeCpuSeconds }) => edgeCpuSeconds * 1_000),
      perSecond(({ heapBytes }) => heapBytes / 1_000),
      perSecond(({ redis }) => callsOf(redis)),
      perSecond(({ redis }) => redis.cpuSeconds * 1_000),
    ];
  });
  const header = ['per second', 'CPU ms', 'heap KB', 'Redis commands', 'Redis ms'];
  return [
    'Checks on and off, while nothing is published',
    `${formatNumber(shape.channels)} channels that were published to once, ${seconds} s, ` +
      `after ${settleSeconds} s of quiet; medians over ${sides[0].runs.length} fresh edges each`,
    '',
    formatTable(header, rows),
    '',
    formatCommands(sides, (usage) => usage, {}),
    '',
    ...ratios.map(({ of, ratio }) => formatRatio(`${of}, ${onOff(sides)}`, ratio)),
  ].join('\n');
}

function onOff([checked, unchecked]: readonly [{ label: string }, { label: string }]): string {
  return `${checked.label} / ${unchecked.label}`;
}

/**
 * What Redis executed, by command: a second, and by what else there is to divide by. What only publishing
 * takes is the same on both sides.
 */
function formatCommands<Run>(
  sides: readonly ChecksSide<Run>[],
  usageOf: (run: Run) => TierUsage,
  divisors: Readonly<Record<string, (run: Run) => number>>,
): string {
  const units = { 'per second': (run: Run) => usageOf(run).seconds, ...divisors };
  const columns = Object.entries(units).flatMap(([unit, divisor]) =>
    sides.map(({ label, runs }) => ({
      header: `${label} ${unit}`,
      of: (count: (usage: TierUsage) => number): number =>
        median(runs.map((run) => count(usageOf(run)) / divisor(run))),
    })),
  );
  const usages = sides.flatMap(({ runs }) => runs.map(usageOf));
  const names = [...new Set(usages.flatMap(({ redis }) => Object.keys(redis.calls)))];
  const rows = names.map((name) => ({
    name,
    values: columns.map(({ of }) => of(({ redis }) => redis.calls[name] ?? 0)),
  }));
  rows.sort((a, b) => (b.values[0] ?? 0) - (a.values[0] ?? 0) || a.name.localeCompare(b.name));
  const all = { name: 'all', values: columns.map(({ of }) => of(({ redis }) => callsOf(redis))) };
  return formatTable(
    ['Redis commands', ...columns.map(({ header }) => header)],
    [...rows, all].map(({ name, values }) => [name, ...values.map(formatNumber)]),
  );
}
