import type { Row } from '../dashboard.ts';
import { EDGE, INGEST, RATE } from './selectors.ts';

/** What edges receive from Redis, and what ingest publishes. */
export const INBOUND_ROWS: readonly Row[] = [
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
];
