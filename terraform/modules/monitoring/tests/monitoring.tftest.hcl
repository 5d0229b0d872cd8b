mock_provider "google" {}

variables {
  name            = "tw"
  project_id      = "a-project"
  zones           = ["europe-west1-b", "europe-west1-c"]
  groups          = { edge = { name = "tw-edge", admin_port = 9080 }, ingest = { name = "tw-ingest", admin_port = 9081 } }
  rules_directory = "tests/rules"
}

run "alerts" {
  command = plan

  assert {
    condition     = google_monitoring_alert_policy.rule["EdgeCpu-warning"].conditions[0].condition_prometheus_query_language[0].query == "(max by (job, instance) (rate(tradewind_edge_thread_cpu_seconds_total[2m]))) > 0.6"
    error_message = "an alert gets what a recording rule records"
  }

  assert {
    condition     = google_monitoring_alert_policy.rule["EdgeCpu-warning"].conditions[0].condition_prometheus_query_language[0].duration == "300s" && google_monitoring_alert_policy.rule["EdgeDegraded-critical"].conditions[0].condition_prometheus_query_language[0].duration == "0s"
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
    groups = { ingest = { name = "x", admin_port = 9081 } }
  }

  expect_failures = [var.groups]
}
