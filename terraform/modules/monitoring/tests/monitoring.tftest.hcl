mock_provider "google" {}

variables {
  name       = "tw"
  project_id = "a-project"
  zones      = ["europe-west1-b", "europe-west1-c"]
  groups     = { edge = { name = "tw-edge", least = 3, most = 10 }, ingest = { name = "tw-ingest", least = 2, most = null } }
}

run "alerts" {
  command = plan

  # As the rules' own files count them, not as the module reads them.
  assert {
    condition     = length(google_monitoring_alert_policy.rule) == length(regexall("(?m)^ *- alert: ", file("${path.module}/../../../infra/prometheus/alerts.yml"))) && length(google_monitoring_alert_policy.rule) > 15
    error_message = "every alert of infra/prometheus is a policy"
  }

  assert {
    condition = alltrue([
      for policy in google_monitoring_alert_policy.rule :
      length(regexall("instance:|ws_[a-z_]+_per_sec", policy.conditions[0].condition_prometheus_query_language[0].query)) == 0
    ])
    error_message = "no query names what a recording rule would have to record"
  }

  assert {
    condition     = google_monitoring_alert_policy.rule["EdgeCpu-warning"].conditions[0].condition_prometheus_query_language[0].query == "(max by (job, instance) (rate(tradewind_edge_thread_cpu_seconds_total[2m]))) > 0.6"
    error_message = "an alert gets what a recording rule records"
  }

  assert {
    condition     = google_monitoring_alert_policy.rule["EdgeCpu-warning"].conditions[0].condition_prometheus_query_language[0].duration == "300s" && google_monitoring_alert_policy.rule["EdgeLinkLosses-warning"].conditions[0].condition_prometheus_query_language[0].duration == "0s"
    error_message = "durations are in seconds"
  }

  assert {
    condition     = google_monitoring_alert_policy.rule["EdgeDegraded-critical"].severity == "CRITICAL" && strcontains(google_monitoring_alert_policy.rule["EdgeDegraded-critical"].documentation[0].content, "A VM is cut off from Redis")
    error_message = "severity and text are those of the rule"
  }

  assert {
    condition     = length(google_os_config_os_policy_assignment.ops_agent) == 4
    error_message = "an agent for each service in each zone"
  }

  assert {
    condition     = length(google_monitoring_alert_policy.redis_memory) == 0
    error_message = "no Memorystore unless there is one"
  }
}

run "memorystore" {
  command = plan

  variables {
    memorystore = { id = "projects/a-project/locations/europe-west1/instances/tw-redis" }
  }

  assert {
    condition     = google_monitoring_alert_policy.redis_memory["warning"].conditions[0].condition_threshold[0].threshold_value == 0.8 && google_monitoring_alert_policy.redis_memory["critical"].conditions[0].condition_threshold[0].threshold_value == 0.9
    error_message = "Redis' memory is alerted on before it is full"
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.redis_memory["critical"].conditions[0].condition_threshold[0].filter, "instance_id = \"projects/a-project/locations/europe-west1/instances/tw-redis\" AND metric.type = \"redis.googleapis.com/stats/memory/usage_ratio\"")
    error_message = "of this Redis, and as Google measures it"
  }
}

run "agent_is_there" {
  command = plan

  variables {
    install_ops_agent = false
  }

  assert {
    condition     = length(google_os_config_os_policy_assignment.ops_agent) == 0
    error_message = "nothing is installed where the image has it"
  }
}

run "dashboard_without_a_permanent_difference" {
  command = plan

  assert {
    condition     = !can(regex("\"[xy]Pos\":0[,}]", google_monitoring_dashboard.tier.dashboard_json))
    error_message = "the API leaves a position of 0 out, so each plan would show a change"
  }

  assert {
    condition     = length(regexall("\"xPos\":24", google_monitoring_dashboard.tier.dashboard_json)) == 5
    error_message = "the charts stand in two columns"
  }
}

run "no_rules" {
  command = plan

  variables {
    rules_directory = "tests"
  }

  expect_failures = [google_monitoring_dashboard.tier]
}

run "refuses_channel" {
  command = plan

  variables {
    notification_channels = ["me@example.com"]
  }

  expect_failures = [var.notification_channels]
}

run "refuses_groups" {
  command = plan

  variables {
    groups = { ingest = { name = "x", least = 2, most = null } }
  }

  expect_failures = [var.groups]
}

run "a_roll_pages_nobody" {
  command = plan

  assert {
    condition     = google_monitoring_alert_policy.rule["TargetDown-critical"].conditions[0].condition_prometheus_query_language[0].duration == "300s"
    error_message = "a VM that is replaced may be silent for its drain, the balancer's and its stop"
  }

  assert {
    condition     = google_monitoring_alert_policy.google["GroupTooSmall-edge"].conditions[0].condition_prometheus_query_language[0].duration == "900s" && endswith(google_monitoring_alert_policy.google["GroupTooSmall-edge"].conditions[0].condition_prometheus_query_language[0].query, "< 3")
    error_message = "a group that stays too small is told of"
  }

  assert {
    condition     = endswith(google_monitoring_alert_policy.google["AutoscalerAtItsMost-edge"].conditions[0].condition_prometheus_query_language[0].query, ">= 10") && !contains(keys(google_monitoring_alert_policy.google), "AutoscalerAtItsMost-ingest")
    error_message = "an autoscaler that may make no more VMs is told of, where there is one"
  }
}

run "what_google_measures" {
  command = plan

  variables {
    host        = "stream.example.com"
    email       = "ops@example.com"
    memorystore = { id = "projects/a-project/locations/europe-west1/instances/tw-redis" }
  }

  override_resource {
    target          = google_monitoring_uptime_check_config.outside
    override_during = plan
    values          = { uptime_check_id = "tw" }
  }

  assert {
    condition     = length(setsubtract(["GroupTooSmall-edge", "GroupTooSmall-ingest", "BalancerErrors", "BalancerThrottles", "NotReachedFromOutside", "CertificateNearItsEnd", "RedisSystemMemory", "RedisFailover", "RedisReplicaBehind", "RedisCpu", "VmsWithoutMetrics-edge", "VmsWithoutMetrics-ingest"], keys(google_monitoring_alert_policy.google))) == 0
    error_message = "groups, balancer, certificate, the way from outside and Redis are alerted on"
  }

  assert {
    condition     = google_monitoring_uptime_check_config.outside[0].http_check[0].validate_ssl && google_monitoring_uptime_check_config.outside[0].monitored_resource[0].labels.host == "stream.example.com"
    error_message = "a certificate that is not there fails the check from outside"
  }

  assert {
    condition     = google_monitoring_notification_channel.email[0].labels.email_address == "ops@example.com"
    error_message = "somebody is told"
  }
}

run "refuses_a_name_for_an_address" {
  command = plan

  variables {
    email = "ops"
  }

  expect_failures = [var.email]
}
