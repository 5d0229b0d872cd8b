import type { Delivered, Reasons } from '../load/clients/load-plan.ts';
import { bytesText, countText, msText, shortText } from './number-text.ts';
import type { Outcome } from './outcome.ts';
import { runAgainCommand } from './run-again.ts';

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
    latencies(outcome),
    ...weakClients(outcome),
    ...server(outcome),
    loadSide(outcome),
  ];
}

function setUp({ settings, machine, release, target, timeline }: Outcome): Section {
  const { cpu, cores, memoryBytes, system, node } = machine;
  const perClient = settings.mode === 'random' ? ` ${settings.channelsPerClient}` : '';
  return {
    heading: 'Setup',
    rows: [
      ['version of Tradewind', release],
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
      ['frames', settings.wire === 'v1' ? 'text (v1)' : 'binary (v2)'],
      ['phases', phasesText(timeline)],
      ['to run it again', runAgainCommand(settings)],
    ],
  };
}

/** The phases of the run, each with its length. */
function phasesText(timeline: Outcome['timeline']): string {
  const ends = new Map(timeline.map(({ phase, seconds }) => [phase, seconds]));
  let from = 0;
  const parts = Array.from(ends, ([phase, to]) => {
    const text = `${phase} ${shortText(to - from)} s`;
    from = to;
    return text;
  });
  return parts.length === 0 ? 'none' : parts.join(', ');
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
  const { published, verdict, totals } = outcome;
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
      ['deliveries that had to arrive', countText(steady.expected)],
      ['deliveries that arrived', countText(steady.received)],
      ['publications left out', countText(steady.missing)],
      ['publications out of order', countText(steady.disordered)],
      ['gaps that were told', countText(totals.gaps)],
      ['publications in these gaps', countText(totals.gapLost)],
    ],
  };
}

function latencies({ latency, settings }: Outcome): Section {
  return {
    heading: 'Latency, publish to receive',
    rows: [
      ['half within', msText(latency?.p50)],
      ['90 % within', msText(latency?.p90)],
      ['99 % within', msText(latency?.p99)],
      ['99.9 % within', msText(latency?.p999)],
      ['highest', msText(latency?.max)],
      ['measured', `${countText(latency?.samples)}, one in ${settings.sampleEvery} of a client`],
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
      heading: 'Edges: memory (PSS) and CPU',
      rows: [
        ['memory before the first client', bytesText(startMemoryBytes)],
        [
          'memory with all clients, quiet',
          `${bytesText(idleMemoryBytes)}: ${each(idleMemoryBytes)} a client`,
        ],
        [
          'memory after publishing',
          `${bytesText(endMemoryBytes)}: ${each(endMemoryBytes)} a client`,
        ],
        [
          'CPU time while publishing',
          `${shortText(cpuSeconds)} s: ${shortText(micros)} µs a delivery`,
        ],
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
      ['worst delay of a load process', msText(most((point) => point.loadDelayMs))],
      ['worst delay of a publication', msText(published.maxBehindMs)],
      [
        'did the load set the limit',
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
