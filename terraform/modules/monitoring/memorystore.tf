# Redis full means publications refused (noeviction). Google measures Memorystore; edges and ingest do not ask it.

locals {
  memory_thresholds = var.memorystore == null ? {} : { warning = 0.8, critical = 0.9 }
}

resource "google_monitoring_alert_policy" "redis_memory" {
  for_each = local.memory_thresholds

  project               = var.project_id
  display_name          = "${var.name}: RedisMemory (${each.key})"
  combiner              = "OR"
  severity              = upper(each.key)
  notification_channels = local.channels

  conditions {
    display_name = "RedisMemory"

    condition_threshold {
      filter          = "resource.type = \"redis_instance\" AND resource.labels.instance_id = \"${var.memorystore.id}\" AND metric.type = \"redis.googleapis.com/stats/memory/usage_ratio\""
      comparison      = "COMPARISON_GT"
      threshold_value = each.value
      duration        = "300s"

      # The fuller one of primary and replica.
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_MAX"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "Redis uses more than ${each.value * 100} % of its memory. When it is full it refuses sequenced publications (OOM); plain ones pass. Raise memorystore.memory_size_gb, or let publishers keep less: shorter histories (INGEST_HISTORY_SIZE, INGEST_HISTORY_SECONDS), shorter idempotency windows, fewer channels. docs/publishing.md, Memory, has the sizes."
  }

  alert_strategy {
    auto_close = "1800s"
  }
}
