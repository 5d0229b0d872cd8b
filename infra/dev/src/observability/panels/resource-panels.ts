import { PERCENT_UNIT, type Row } from '../dashboard.ts';
import { EDGE, RATE } from './selectors.ts';

/** What the processes use of their machines. */
export const RESOURCE_ROWS: readonly Row[] = [
  {
    title: 'Memory and CPU of each node',
    panels: [
      {
        title: 'CPU of each thread',
        unit: PERCENT_UNIT,
        queries: [
          {
            expr: `rate(tradewind_edge_thread_cpu_seconds_total{${EDGE}}${RATE})`,
            legend: '{{instance}} {{thread}}',
          },
          {
            expr: `instance:tradewind_edge_busiest_thread_cpu:ratio2m{${EDGE}}`,
            legend: '{{instance}} busiest, 2 minutes',
          },
        ],
      },
      {
        title: 'CPU of the process',
        unit: PERCENT_UNIT,
        queries: [
          {
            expr: `rate(process_cpu_seconds_total{job=~"tradewind-.+"}${RATE})`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        title: 'Event loop: share of time busy',
        unit: PERCENT_UNIT,
        queries: [
          { expr: `tradewind_edge_event_loop_utilization{${EDGE}}`, legend: '{{instance}}' },
        ],
      },
      {
        title: 'Event loop: lag, p99',
        unit: 's',
        queries: [
          { expr: `tradewind_edge_event_loop_lag_p99_seconds{${EDGE}}`, legend: '{{instance}}' },
        ],
      },
      {
        title: 'Memory',
        unit: 'bytes',
        queries: [
          { expr: `ws_total_memory_bytes{${EDGE}}`, legend: '{{instance}}' },
          { expr: `tradewind_edge_memory_limit_bytes{${EDGE}}`, legend: '{{instance}} limit' },
        ],
      },
      {
        title: 'Memory, of the limit',
        unit: PERCENT_UNIT,
        queries: [
          { expr: `instance:tradewind_edge_memory:ratio{${EDGE}}`, legend: '{{instance}}' },
        ],
      },
      {
        title: 'Memory per connection',
        unit: 'bytes',
        queries: [{ expr: `ws_memory_per_connection_bytes{${EDGE}}`, legend: '{{instance}}' }],
      },
      {
        title: 'File descriptors, of the limit',
        unit: PERCENT_UNIT,
        queries: [{ expr: 'instance:tradewind_open_fds:ratio', legend: '{{instance}}' }],
      },
      {
        title: 'Workers lost in an hour',
        unit: 'short',
        queries: [
          {
            expr: `increase(tradewind_edge_workers_lost_total{${EDGE}}[1h])`,
            legend: '{{instance}}',
          },
        ],
      },
    ],
  },
];
