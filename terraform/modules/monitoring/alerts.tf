# The alerts of infra/prometheus, one policy each. Managed Prometheus evaluates no recording rules here, so an
# alert gets the expression that a rule records instead of the rule's name.

locals {
  rules_directory = coalesce(var.rules_directory, "${path.module}/../../../infra/prometheus")
  has_rules       = fileexists("${local.rules_directory}/alerts.yml") && fileexists("${local.rules_directory}/recording-rules.yml")
  alert_groups    = yamldecode(local.has_rules ? file("${local.rules_directory}/alerts.yml") : "groups: []").groups
  recording       = yamldecode(local.has_rules ? file("${local.rules_directory}/recording-rules.yml") : "groups: []").groups

  recorded = merge([
    for group in local.recording : { for rule in group.rules : rule.record => trimspace(rule.expr) }
  ]...)

  # One name at two severities is two policies.
  alerts = merge([
    for group in local.alert_groups : {
      for rule in group.rules : "${rule.alert}-${rule.labels.severity}" => {
        group    = group.name
        alert    = rule.alert
        severity = rule.labels.severity
        expr     = trimspace(rule.expr)
        records  = [for name in keys(local.recorded) : name if strcontains(rule.expr, name)]
        duration = try(rule.for, "0s")
        summary  = replace(replace(rule.annotations.summary, "{{ $labels.instance }}", "A VM"), "/\\{\\{[^}]*\\}\\}/", "…")
        runbook  = rule.annotations.runbook
      }
    }
  ]...)

  # An alert names one recording rule at most; a second one would be left over, which the policy refuses.
  queries = {
    for key, alert in local.alerts : key => length(alert.records) == 0 ? alert.expr : replace(alert.expr, alert.records[0], "(${local.recorded[alert.records[0]]})")
  }
  seconds = {
    for key, alert in local.alerts : key => tonumber(regex("^[0-9]+", alert.duration)) * { s = 1, m = 60, h = 3600 }[regex("[smh]$", alert.duration)]
  }
}

resource "google_monitoring_alert_policy" "rule" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "${var.name}: ${each.value.alert} (${each.value.severity})"
  combiner              = "OR"
  severity              = upper(each.value.severity)
  notification_channels = local.channels

  conditions {
    display_name = each.value.alert

    condition_prometheus_query_language {
      query               = local.queries[each.key]
      duration            = "${local.seconds[each.key]}s"
      evaluation_interval = "30s"
      rule_group          = each.value.group
      alert_rule          = each.value.alert

      # Metrics exist from the first VM on, which may come after the policy.
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.summary}\n\nRunbook: ${each.value.runbook}"
  }

  alert_strategy {
    auto_close = "1800s"
  }

  lifecycle {
    precondition {
      condition     = length([for name in keys(local.recorded) : name if strcontains(local.queries[each.key], name)]) == 0
      error_message = "${each.key} names more than one recording rule; Managed Prometheus would find no such metric."
    }
  }
}
