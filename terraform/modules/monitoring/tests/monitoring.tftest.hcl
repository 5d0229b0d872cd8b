mock_provider "google" {}

variables {
  name       = "tw"
  project_id = "a-project"
  zones      = ["europe-west1-b", "europe-west1-c"]
  groups     = { edge = { name = "tw-edge", admin_port = 9080 }, ingest = { name = "tw-ingest", admin_port = 9081 } }
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
    condition     = length(google_monitoring_alert_policy.redis_memory) == 0 && !strcontains(local.agent_settings["edge"], "credentials_file")
    error_message = "no Memorystore and no token unless there are some"
  }
}

run "agent_has_the_token" {
  command = plan

  variables {
    admin_token_file = "/etc/tradewind/admin-token"
  }

  assert {
    condition     = yamldecode(local.agent_settings["ingest"]).metrics.receivers.tradewind.config.scrape_configs[0].authorization.credentials_file == "/etc/tradewind/admin-token"
    error_message = "the admin port tells its metrics to who has the token"
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

run "logs" {
  command = plan

  assert {
    condition     = yamldecode(google_os_config_os_policy_assignment.ops_agent["edge-europe-west1-b"].os_policies[0].resource_groups[0].resources[2].file[0].content).logging.service.pipelines.tradewind.processors == ["tradewind_json", "tradewind_severity"]
    error_message = "what the services log goes to Cloud Logging as JSON with its severity"
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
