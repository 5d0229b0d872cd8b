import type { Delivered, Reasons } from '../load/load-plan.ts';
import { bytesText, countText, msText, shortText } from './number-text.ts';
import type { Outcome } from './outcome.ts';

/** A heading, and the pairs of name and value below it. */
export interface Section {
  readonly heading: string;
  readonly rows: readonly (readonly [name: string, value: string])[];
}

/** Summarizes a run for people: the same in the terminal and in the report. */
export function summarize(outcome: Outcome): readonly Section[] {
  return [
    setUp(outcome),
    connections(outcome),
    deliveries(outcome),
    ...weakClients(outcome),
    ...server(outcome),
    loadSide(outcome),
  ];
}

function setUp({ settings, machine, target }: Outcome): Section {
  const { cpu, cores, memoryBytes, system, node } = machine;
  const perClient = settings.mode === 'random' ? ` ${settings.channelsPerClient}` : '';
  return {
    heading: 'Setup',
    rows: [
      ['preset', settings.name],
      ['machine', `${cpu}, ${cores} cores, ${bytesText(memoryBytes)}, ${system}, Node ${node}`],
      ['target', target],
      ['subscriptions', `${settings.mode}${perClient} of ${countText(settings.channels)} channels`],
      [
        'publications',
        `${countText(settings.publishRate)}/s of ${settings.payloadBytes} bytes for ${settings.duration} s, ` +
          (settings.historySize === 0
            ? 'without offsets (plain PUBLISH)'
            : `with offsets, ${countText(settings.historySize)} a channel kept`),
      ],
    ],
  };
}

function connections({ settings, totals, connectSeconds }: Outcome): Section {
  const share = (100 * totals.subscribed) / settings.connections;
  return {
    heading: 'Connections',
    rows: [
      [
        'subscribed',
        `${countText(totals.subscribed)} of ${countText(settings.connections)} (${shortText(share)} %)`,
      ],
      [
        'connected within',
        `${shortText(connectSeconds)} s, ${countText(totals.subscribed / connectSeconds)}/s`,
      ],
      ['failed', reasonsText(totals.failed)],
      ['disconnected, by close code', reasonsText(totals.disconnected)],
      ['asked to reconnect elsewhere', countText(totals.reconnectNotices)],
    ],
  };
}

function deliveries(outcome: Outcome): Section {
  const { published, verdict, latency, settings, totals } = outcome;
  const { steady } = verdict;
  return {
    heading: 'Deliveries',
    rows: [
      [
        'published',
        `${countText(published.total)} (${shortText(published.total / published.seconds)}/s)`,
      ],
      [
        'delivered',
        `${countText(outcome.deliveries)} (${countText(outcome.deliveries / published.seconds)}/s)`,
      ],
      [
        'clients that received exactly all',
        `${countText(steady.exact)} of ${countText(steady.connections)}`,
      ],
      [
        'expected and received by them',
        `${countText(steady.expected)}, ${countText(steady.received)}`,
      ],
      [
        'numbers left out, out of order',
        `${countText(steady.missing)}, ${countText(steady.disordered)}`,
      ],
      [
        'gap notices, publications in them',
        `${countText(totals.gaps)}, ${countText(totals.gapLost)}`,
      ],
      ['latency p50, p90', `${msText(latency?.p50)}, ${msText(latency?.p90)}`],
      [
        'latency p99, p99.9, max',
        `${msText(latency?.p99)}, ${msText(latency?.p999)}, ${msText(latency?.max)}`,
      ],
      ['latencies measured', `${countText(latency?.samples)}, one in ${settings.sampleEvery}`],
    ],
  };
}

function weakClients({ settings, released, totals }: Outcome): readonly Section[] {
  if (released === undefined) return [];
  const { slow, stalled } = released;
  const noticed = slow.ended + stalled.ended + slow.told + stalled.told > 0;
  const slowRate = `read ${bytesText(settings.slowBytesPerSecond)}/s`;
  return [
    {
      heading: 'Clients that do not keep up',
      rows: [
        [`slow (${slowRate})`, weakText(slow)],
        ['stalled', weakText(stalled)],
        ['disconnected, by close code', reasonsText(totals.weakDisconnected)],
        [
          'did queues of the edge fill',
          noticed
            ? 'yes: a stalled client cannot read its close code, 4008, and sees 1006'
            : 'no: buffers of the kernel held it all; publish more, or larger payloads',
        ],
      ],
    },
  ];
}

function weakText({ connections, ended, exact, told, short }: Delivered): string {
  const untold = short - told;
  return `${countText(connections)} stayed: ${countText(exact)} received all, ${countText(told)} were told exactly what they missed, ${countText(untold)} were not; ${countText(ended)} were disconnected`;
}

function server({ server: cost, deliveries: delivered, totals }: Outcome): readonly Section[] {
  if (cost === undefined) return [];
  const { startMemoryBytes, idleMemoryBytes, endMemoryBytes, cpuSeconds } = cost;
  const each = (bytes: number): string =>
    bytesText(totals.subscribed === 0 ? undefined : (bytes - startMemoryBytes) / totals.subscribed);
  const micros = delivered === 0 ? undefined : (cpuSeconds * 1e6) / delivered;
  return [
    {
      heading: 'Server (edges only; PSS)',
      rows: [
        ['memory at the start', bytesText(startMemoryBytes)],
        [
          'with all clients, quiet',
          `${bytesText(idleMemoryBytes)}: ${each(idleMemoryBytes)} a client`,
        ],
        ['after publishing', `${bytesText(endMemoryBytes)}: ${each(endMemoryBytes)} a client`],
        ['CPU time', `${shortText(cpuSeconds)} s: ${shortText(micros)} µs a delivery`],
      ],
    },
  ];
}

function loadSide({ timeline, published, bottlenecks }: Outcome): Section {
  const points = timeline.filter(({ phase }) => phase === 'publishing');
  const most = (pick: (point: (typeof points)[number]) => number): number =>
    Math.max(0, ...points.map(pick));
  const utilization = 100 * most((point) => point.loadUtilization);
  return {
    heading: 'Load side',
    rows: [
      ['busiest load process, worst second', `${shortText(utilization)} %`],
      ['latest load process', msText(most((point) => point.loadDelayMs))],
      ['latest publication', msText(published.maxBehindMs)],
      [
        'was it the bottleneck',
        bottlenecks.length === 0 ? 'no' : `it may have been: ${bottlenecks.join('; ')}`,
      ],
    ],
  };
}

/** Lists reasons with their counts, the most frequent first. */
export function reasonsText(reasons: Reasons): string {
  const parts = Object.entries(reasons)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${countText(count)} × ${reason}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}
