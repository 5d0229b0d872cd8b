import { PERCENT_UNIT, type Row } from './dashboard.ts';

const EDGE = 'instance=~"$edge"';
const INGEST = 'instance=~"$ingest"';
const RATE = '[$__rate_interval]';

/** What the dashboard shows, from what is looked at first to what is looked at when something is wrong. */
export const ROWS: readonly Row[] = [
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
  {
    title: 'Redis link',
    panels: [
      {
        title: 'Received from Redis',
        unit: 'ops',
        queries: [
          {
            expr: `rate(tradewind_edge_publications_received_total{${EDGE}}${RATE})`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        title: 'Bytes from Redis',
        unit: 'Bps',
        queries: [
          {
            expr: `rate(tradewind_edge_bytes_in_total{${EDGE}}${RATE})`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        title: 'Channels held in Redis',
        unit: 'short',
        queries: [{ expr: `tradewind_edge_channels{${EDGE}}`, legend: '{{instance}}' }],
      },
      {
        title: 'Shards of the Cluster',
        unit: 'short',
        queries: [
          {
            expr: `tradewind_edge_redis_shards_linked{${EDGE}}`,
            legend: '{{instance}} linked',
          },
          { expr: `max(tradewind_edge_redis_shards{${EDGE}})`, legend: 'masters with slots' },
        ],
      },
      {
        title: 'Age of the last probe that came back',
        unit: 's',
        queries: [{ expr: `tradewind_edge_probe_age_seconds{${EDGE}}`, legend: '{{instance}}' }],
      },
      {
        title: 'Links lost, and looks that found no data flowing',
        unit: 'short',
        queries: [
          {
            expr: `increase(tradewind_edge_redis_link_losses_total{${EDGE}}${RATE})`,
            legend: '{{instance}} lost',
          },
          {
            expr: `increase(tradewind_edge_probes_failed_total{${EDGE}}${RATE})`,
            legend: '{{instance}} probes failed',
          },
        ],
      },
      {
        title: 'Messages dropped, headers and channels refused',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (reason) (rate(tradewind_edge_publications_dropped_total{${EDGE}}${RATE}))`,
            legend: 'dropped: {{reason}}',
          },
          {
            expr: `sum by (reason) (rate(tradewind_edge_headers_rejected_total{${EDGE}}${RATE}))`,
            legend: 'header: {{reason}}',
          },
          {
            expr: `sum(rate(tradewind_edge_channels_refused_total{${EDGE}}${RATE}))`,
            legend: 'channels refused',
          },
        ],
      },
    ],
  },
  {
    title: 'Ingest',
    panels: [
      {
        title: 'Published',
        unit: 'ops',
        queries: [
          {
            expr: `instance:tradewind_ingest_publications:rate1m{${INGEST}}`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        title: 'Bytes published',
        unit: 'Bps',
        queries: [
          {
            expr: `sum by (route) (rate(tradewind_ingest_publication_bytes_total{${INGEST}}${RATE}))`,
            legend: '{{route}}',
          },
        ],
      },
      {
        title: 'Requests',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (status) (rate(tradewind_ingest_requests_total{${INGEST}}${RATE}))`,
            legend: '{{status}}',
          },
        ],
      },
      {
        title: 'Time of a request, p99',
        unit: 's',
        queries: [
          {
            expr: `histogram_quantile(0.99, sum by (route, le) (rate(tradewind_ingest_request_seconds_bucket{${INGEST}}${RATE})))`,
            legend: '{{route}}',
          },
        ],
      },
      {
        title: 'Not published',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (code) (rate(tradewind_ingest_publications_failed_total{${INGEST}}${RATE}))`,
            legend: '{{code}}',
          },
          {
            expr: `sum by (limit) (rate(tradewind_ingest_rate_limited_total{${INGEST}}${RATE}))`,
            legend: 'limit: {{limit}}',
          },
          {
            expr: `sum(rate(tradewind_ingest_unauthorized_total{${INGEST}}${RATE}))`,
            legend: 'unauthorized',
          },
        ],
      },
      {
        title: 'Redis, and requests in flight',
        unit: 'short',
        queries: [
          {
            expr: `tradewind_ingest_redis_available{${INGEST}}`,
            legend: '{{instance}} Redis answers',
          },
          {
            expr: `tradewind_ingest_requests_in_flight{${INGEST}}`,
            legend: '{{instance}} in flight',
          },
          {
            expr: `increase(tradewind_ingest_redis_outages_total{${INGEST}}${RATE})`,
            legend: '{{instance}} outages',
          },
        ],
      },
    ],
  },
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
