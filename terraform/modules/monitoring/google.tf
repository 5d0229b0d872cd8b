# What only Google measures: groups, the balancer, the way from outside, Memorystore.

locals {
  channels = concat(var.notification_channels, google_monitoring_notification_channel.email[*].name)

  balancer = "loadbalancing_googleapis_com:https_request_count{monitored_resource=\"https_lb_rule\",url_map_name=\"${var.groups.edge.name}\""
  redis    = "{monitored_resource=\"redis_instance\",instance_id=\"${try(var.memorystore.id, "")}\"}"
  uptime   = one(google_monitoring_uptime_check_config.outside[*].uptime_check_id)

  google_alerts = merge(
    { for service, group in var.groups : "GroupTooSmall-${service}" => {
      severity = "CRITICAL", seconds = 900
      query    = "sum(compute_googleapis_com:instance_group_size{monitored_resource=\"instance_group\",instance_group_name=\"${group.name}\"}) < ${group.least}"
      text     = "The group ${group.name} has had fewer than ${group.least} VMs for 15 minutes: a quota, a stock-out, an image, a zone. `gcloud compute instance-groups managed list-errors ${group.name}` says which."
    } },
    # No agent, no series: also where an OS policy could not install it.
    { for service, group in var.groups : "VmsWithoutMetrics-${service}" => {
      severity = "WARNING", seconds = 1800
      query    = "(count(up{job=\"tradewind-${service}\",instance_group=\"${group.name}\"}) or vector(0)) < ${group.least}"
      text     = "Fewer than ${group.least} VMs of the group ${group.name} have sent metrics for 30 minutes, so that other alerts are blind for the rest. VM Manager has not installed the Ops Agent (`gcloud compute os-config os-policy-assignment-reports list --instance=VM --location=ZONE`; it knows Debian 12 only), or the agent refuses its settings (`journalctl -u google-cloud-ops-agent` on a VM)."
    } },
    { for service, group in var.groups : "AutoscalerAtItsMost-${service}" => {
      severity = "WARNING", seconds = 900
      query    = "sum(compute_googleapis_com:instance_group_size{monitored_resource=\"instance_group\",instance_group_name=\"${group.name}\"}) >= ${group.most}"
      text     = "The group ${group.name} has had ${group.most} VMs for 15 minutes, all that its autoscaler may make: more load finds no more VMs. Raise autoscaler.max_count, or remove VMs that are not needed with infra/roll."
    } if group.most != null },
    {
      BalancerErrors = {
        severity = "CRITICAL", seconds = 300
        query    = "sum(rate(${local.balancer},response_code_class=\"500\"}[5m])) / sum(rate(${local.balancer}}[5m])) > 0.05"
        text     = "More than 5 % of what clients ask for fails at the balancer or behind it (5xx). No edge is ready, edges are full (503), or they end connections. Look at the edges' alerts first."
      }
      BalancerThrottles = {
        severity = "WARNING", seconds = 300
        query    = "sum(rate(${local.balancer},response_code=\"429\"}[5m])) > 1"
        text     = "Cloud Armor has turned away more than one request a second for 5 minutes (429). An attack, or many clients behind one address that connect anew: raise edge.balancer.throttle.requests, or see with preview = true what would be turned away."
      }
    },
    local.has_outside ? {
      NotReachedFromOutside = {
        severity = "CRITICAL", seconds = 180
        query    = "sum(monitoring_googleapis_com:uptime_check_check_passed{monitored_resource=\"uptime_url\",check_id=\"${local.uptime}\"}) == 0"
        text     = "No place of Google's reaches https://${var.host}/healthz. The A record, the certificate (not issued, at its end), the balancer, or no edge is ready."
      }
      CertificateNearItsEnd = {
        severity = "WARNING", seconds = 3600
        query    = "min(monitoring_googleapis_com:uptime_check_time_until_ssl_cert_expires{monitored_resource=\"uptime_url\",check_id=\"${local.uptime}\"}) < 14"
        text     = "The certificate of ${var.host} ends within 14 days. Google renews its own 30 days before: look at its state, and at the domain's records."
      }
    } : {},
    var.memorystore == null ? {} : {
      RedisSystemMemory = {
        severity = "WARNING", seconds = 300
        query    = "max(redis_googleapis_com:stats_memory_system_memory_usage_ratio${local.redis}) > 0.8"
        text     = "Redis' machine uses more than 80 % of its memory, buffers included, above which Google's own advice is to add some: a failover or maintenance may fail. Raise memorystore.memory_size_gb."
      }
      RedisFailover = {
        severity = "WARNING", seconds = 0
        query    = "max(changes(redis_googleapis_com:replication_role${local.redis}[10m])) > 0"
        text     = "Redis changed its primary: links broke for seconds, and the last writes may be lost (epochs show it). Nothing to do if edges are linked again."
      }
      RedisReplicaBehind = {
        severity = "WARNING", seconds = 300
        query    = "max(redis_googleapis_com:replication_master_slaves_lag${local.redis}) > 30"
        text     = "Redis' replica has been more than 30 s behind for 5 minutes: a failover now loses what it has not got. Fewer or shorter publications, or more memory, which brings a larger machine."
      }
      RedisCpu = {
        severity = "WARNING", seconds = 300
        query    = "max(sum by (node_id) (rate(redis_googleapis_com:stats_cpu_utilization_main_thread${local.redis}[5m]))) > 0.8"
        text     = "Redis' main thread uses more than 80 % of its core. Fewer edges, fewer publications, or shorter ones; more memory brings a larger machine."
      }
    },
  )

  has_outside = var.host != null
}

resource "google_monitoring_notification_channel" "email" {
  count = var.email == null ? 0 : 1

  project      = var.project_id
  display_name = "${var.name}: operators"
  type         = "email"
  labels       = { email_address = var.email }
}

resource "google_monitoring_uptime_check_config" "outside" {
  count = local.has_outside ? 1 : 0

  project      = var.project_id
  display_name = "${var.name}: from outside"
  timeout      = "10s"
  period       = "60s"

  http_check {
    path         = "/healthz"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = var.host }
  }
}

resource "google_monitoring_alert_policy" "google" {
  for_each = local.google_alerts

  project               = var.project_id
  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  conditions {
    display_name = each.key

    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = "${each.value.seconds}s"
      evaluation_interval       = "30s"
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.text
  }

  alert_strategy {
    auto_close = "1800s"
  }
}

# A service that ended by an error that nobody caught.
resource "google_monitoring_alert_policy" "fatal" {
  project               = var.project_id
  display_name          = "${var.name}: FatalLog"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels

  conditions {
    display_name = "FatalLog"

    condition_matched_log {
      filter = "resource.type=\"gce_instance\" AND log_id(\"tradewind_journal\") AND severity=CRITICAL"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "A service ended by an error that nobody caught, and was started again. The log entry has it."
  }

  alert_strategy {
    auto_close = "1800s"

    notification_rate_limit {
      period = "300s"
    }
  }
}
