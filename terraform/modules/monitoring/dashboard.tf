locals {
  # What an operator looks at first, in this order; each is a title, a unit and lines of PromQL.
  charts = [
    { title = "Connections", unit = "1", queries = ["sum by (instance) (tradewind_edge_connections)"] },
    { title = "Deliveries a second", unit = "1/s", queries = ["sum by (instance) (rate(tradewind_edge_deliveries_total[1m]))"] },
    { title = "Bytes out a second", unit = "By/s", queries = ["sum by (instance) (rate(tradewind_edge_bytes_out_total[1m]))"] },
    { title = "Busiest thread, share of a core", unit = "10^2.%", queries = ["max by (instance) (rate(tradewind_edge_thread_cpu_seconds_total[2m]))"] },
    { title = "Memory", unit = "By", queries = ["sum by (instance) (ws_total_memory_bytes)"] },
    { title = "Publish to socket, p99", unit = "s", queries = ["histogram_quantile(0.99, sum by (instance, le) (rate(tradewind_edge_publish_to_socket_seconds_bucket[5m])))"] },
    { title = "Slow clients disconnected a second", unit = "1/s", queries = ["sum by (instance) (rate(tradewind_edge_disconnects_total{reason=\"slow\"}[5m]))"] },
    { title = "Cut off from Redis", unit = "1", queries = ["max by (instance) (tradewind_edge_degraded)"] },
    { title = "Published by ingest a second", unit = "1/s", queries = ["sum by (instance) (rate(tradewind_ingest_publications_total[1m]))"] },
    { title = "Ingest: publications that failed a second", unit = "1/s", queries = ["sum by (code) (rate(tradewind_ingest_publications_failed_total[5m]))"] },
  ]

  chart_width  = 24
  chart_height = 16
}

resource "google_monitoring_dashboard" "tier" {
  project = var.project_id

  dashboard_json = jsonencode({
    displayName = "Tradewind: ${var.name}"
    mosaicLayout = {
      columns = 48
      # The API does not give back a position of 0, so that saying it would be a difference in every plan.
      tiles = [for i, chart in local.charts : merge(
        i % 2 == 0 ? {} : { xPos = local.chart_width },
        i < 2 ? {} : { yPos = floor(i / 2) * local.chart_height },
        {
          width  = local.chart_width
          height = local.chart_height
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [for query in chart.queries : {
                plotType        = "LINE"
                timeSeriesQuery = { prometheusQuery = query, unitOverride = chart.unit }
              }]
            }
          }
      })]
    }
  })

  lifecycle {
    precondition {
      condition     = local.has_rules
      error_message = "${local.rules_directory} holds no alerts.yml and recording-rules.yml: there would be no alerts."
    }
  }
}
