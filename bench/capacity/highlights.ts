import { bytesText, countText, msText, shortText } from './number-text.ts';
import type { Outcome } from './outcome.ts';

/** One of the numbers for which people open a report. */
export interface Highlight {
  readonly label: string;
  readonly value: string;
  /** What it is of. */
  readonly note: string;
  /** Whether it is good or bad; undefined if it is neither. */
  readonly isGood?: boolean;
}

/** The numbers that stand on top of the report, in order. */
export function highlightsOf(outcome: Outcome): readonly Highlight[] {
  const { settings, totals, published, deliveries, latency, verdict, server } = outcome;
  const { steady } = verdict;
  const faulty = steady.missing + steady.disordered + steady.over;
  return [
    {
      label: 'Clients',
      value: countText(totals.subscribed),
      note: `of ${countText(settings.connections)}, connected in ${shortText(outcome.connectSeconds)} s`,
    },
    {
      label: 'Deliveries a second',
      value: countText(deliveries / published.seconds),
      note: `from ${shortText(published.total / published.seconds)} publications a second`,
    },
    {
      label: 'Latency, 99 %',
      value: msText(latency?.p99),
      note: `half of them within ${msText(latency?.p50)}`,
    },
    {
      label: 'Lost, doubled or out of order',
      value: countText(faulty),
      note: `of ${countText(steady.expected)} that had to arrive`,
      isGood: faulty === 0 && steady.expected > 0,
    },
    ...(server === undefined || totals.subscribed === 0
      ? []
      : [
          {
            label: 'Memory a client',
            value: bytesText(
              (server.idleMemoryBytes - server.startMemoryBytes) / totals.subscribed,
            ),
            note: 'of the edges, while nothing is published',
          },
          {
            label: 'CPU a delivery',
            value:
              deliveries === 0 ? '–' : `${shortText((server.cpuSeconds * 1e6) / deliveries)} µs`,
            note: `of the edges, ${shortText(server.cpuSeconds)} s in all`,
          },
        ]),
  ];
}
