import { PERCENT_UNIT, type Row } from '../dashboard.ts';
import { EDGE, INGEST, RATE } from './selectors.ts';

/** What edges send to clients: publications, gaps and other control frames. */
export const CLIENT_ROWS: readonly Row[] = [
  {
    title: 'Overview',
    panels: [
      {
        title: 'Nodes that answer, and that are ready',
        unit: 'short',
        queries: [
          { expr: 'sum by (job) (up{job=~"tradewind-.+"})', legend: '{{job}} answer' },
          { expr: `sum(tradewind_edge_ready{${EDGE}})`, legend: 'edges ready' },
          { expr: `sum(tradewind_edge_degraded{${EDGE}})`, legend: 'edges cut off from Redis' },
        ],
      },
      {
        title: 'Connections',
        unit: 'short',
        queries: [
          { expr: `tradewind_edge_connections{${EDGE}}`, legend: '{{instance}}' },
          { expr: `sum(tradewind_edge_connections_limit{${EDGE}})`, legend: 'limit, all nodes' },
        ],
      },
      {
        title: 'Deliveries',
        unit: 'ops',
        queries: [
          {
            expr: `instance:tradewind_edge_deliveries:rate1m{${EDGE}}`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        title: 'From `ts` to the sockets',
        unit: 's',
        queries: [
          {
            expr: `instance:tradewind_edge_publish_to_socket_seconds:p50_5m{${EDGE}}`,
            legend: '{{instance}} p50',
          },
          {
            expr: `instance:tradewind_edge_publish_to_socket_seconds:p99_5m{${EDGE}}`,
            legend: '{{instance}} p99',
          },
        ],
      },
      {
        title: 'Handshakes',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (outcome) (rate(tradewind_edge_handshakes_total{${EDGE}}${RATE}))`,
            legend: '{{outcome}}',
          },
        ],
      },
      {
        title: 'Disconnects',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (reason) (rate(tradewind_edge_disconnects_total{${EDGE}}${RATE}))`,
            legend: '{{reason}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Fan-out',
    panels: [
      {
        title: 'Subscribers that deliveries went over, and index lookups',
        unit: 'ops',
        queries: [
          { expr: `ws_broadcast_iterations_per_sec{${EDGE}}`, legend: '{{instance}} subscribers' },
          {
            expr: `ws_subscription_index_lookups_per_sec{${EDGE}}`,
            legend: '{{instance}} lookups',
          },
        ],
      },
      {
        title: 'Bytes to clients',
        unit: 'Bps',
        queries: [
          { expr: `instance:tradewind_edge_bytes_out:rate1m{${EDGE}}`, legend: '{{instance}}' },
        ],
      },
      {
        title: 'Subscriptions',
        unit: 'short',
        queries: [
          {
            expr: `ws_subscription_index_total_subscribers{${EDGE}}`,
            legend: '{{instance}} subscriptions',
          },
          { expr: `ws_subscription_index_channels{${EDGE}}`, legend: '{{instance}} channels' },
          {
            expr: `tradewind_edge_latest_subscriptions{${EDGE}}`,
            legend: '{{instance}} subscriptions to the latest',
          },
        ],
      },
      {
        title: 'Left out for who wants the latest',
        unit: 'ops',
        queries: [
          { expr: `rate(tradewind_edge_skipped_total{${EDGE}}${RATE})`, legend: '{{instance}}' },
        ],
      },
      {
        title: 'Fullest queue',
        unit: 'short',
        queries: [
          { expr: `tradewind_edge_queue_depth_max{${EDGE}}`, legend: '{{instance}} publications' },
        ],
      },
      {
        title: 'Largest queue',
        unit: 'bytes',
        queries: [{ expr: `tradewind_edge_queue_bytes_max{${EDGE}}`, legend: '{{instance}}' }],
      },
      {
        title: 'Refused by full queues, and caught up',
        unit: 'ops',
        queries: [
          {
            expr: `rate(tradewind_edge_refusals_total{${EDGE}}${RATE})`,
            legend: '{{instance}} refused',
          },
          {
            expr: `rate(tradewind_edge_caught_up_total{${EDGE}}${RATE})`,
            legend: '{{instance}} caught up',
          },
        ],
      },
      {
        title: 'Slow disconnects in 5 minutes, of all connections',
        unit: PERCENT_UNIT,
        queries: [
          {
            expr: `instance:tradewind_edge_slow_disconnects:ratio5m{${EDGE}}`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        title: 'Requests answered with an error',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (code) (rate(tradewind_edge_requests_rejected_total{${EDGE}}${RATE}))`,
            legend: '{{code}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Recovery',
    panels: [
      {
        title: 'Gaps told to clients',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (reason) (rate(tradewind_edge_gaps_total{${EDGE}}${RATE}))`,
            legend: '{{reason}}',
          },
        ],
      },
      {
        title: 'Repairs from history',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (outcome) (rate(tradewind_edge_repairs_total{${EDGE}}${RATE}))`,
            legend: '{{outcome}}',
          },
        ],
      },
      {
        title: 'Clients that resumed',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (outcome) (rate(tradewind_edge_recoveries_total{${EDGE}}${RATE}))`,
            legend: '{{outcome}}',
          },
        ],
      },
      {
        title: 'Reads of history',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (cause) (rate(tradewind_edge_history_reads_total{${EDGE}}${RATE}))`,
            legend: '{{cause}}',
          },
        ],
      },
      {
        title: 'New epochs',
        unit: 'ops',
        queries: [
          {
            expr: `rate(tradewind_edge_resyncs_total{${EDGE}}${RATE})`,
            legend: '{{instance}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Identity',
    panels: [
      {
        title: 'Tokens',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (outcome) (rate(tradewind_edge_authentications_total{${EDGE}}${RATE}))`,
            legend: '{{outcome}}',
          },
        ],
      },
      {
        title: 'Age of the keys from EDGE_JWKS_URL',
        unit: 's',
        queries: [{ expr: `tradewind_edge_jwks_age_seconds{${EDGE}}`, legend: '{{instance}}' }],
      },
      {
        title: 'Fetches of keys',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (outcome) (rate(tradewind_edge_jwks_fetches_total{${EDGE}}${RATE}))`,
            legend: '{{outcome}}',
          },
        ],
      },
      {
        title: 'Revocations: known, lacking, made, and connections closed for them',
        unit: 'short',
        queries: [
          { expr: `tradewind_edge_revocations{${EDGE}}`, legend: '{{instance}} knows' },
          {
            expr: `sum(tradewind_edge_revocations_unread{${EDGE}})`,
            legend: 'nodes that may lack some',
          },
          {
            expr: `sum(increase(tradewind_ingest_revocations_total{${INGEST}}${RATE}))`,
            legend: 'made',
          },
          {
            expr: `sum(increase(tradewind_edge_sessions_revoked_total{${EDGE}}${RATE}))`,
            legend: 'connections closed',
          },
        ],
      },
    ],
  },
];
