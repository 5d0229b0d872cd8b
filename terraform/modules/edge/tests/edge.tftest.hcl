mock_provider "google" {
  mock_data "google_compute_lb_ip_ranges" {
    defaults = { http_ssl_tcp_internal = ["35.191.0.0/16", "130.211.0.0/22"] }
  }

  # The provider judges an IAM member, and an invented value is none.
  mock_resource "google_service_account" {
    defaults = {
      email  = "vm@a-project.iam.gserviceaccount.com"
      member = "serviceAccount:vm@a-project.iam.gserviceaccount.com"
    }
  }

  mock_data "google_compute_region_instance_group" {
    defaults = { size = 1 }
  }
}

variables {
  name       = "tw-edge"
  edge_count = 3
  balancer   = { certificate = { domains = ["stream.example.com"] } }
  project_id = "a-project"
  region     = "europe-west1"
  zones      = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]
  network    = { network_id = "projects/a-project/global/networks/n", subnetwork_id = "projects/a-project/regions/europe-west1/subnetworks/s" }
  redis = {
    url                = "rediss://10.0.0.5:6378"
    ca_pem             = "a certificate"
    password_secret_id = "redis-auth"
  }
  release = {
    bucket  = "releases"
    version = "1.2.3"
    sha256  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
}

run "edges_1" {
  command = plan

  variables {
    edge_count = 1
  }

  assert {
    condition     = output.target_size == 1 && length(google_compute_region_autoscaler.scale_out) == 0
    error_message = "edge_count is the size"
  }
}

run "edges_3" {
  command = plan

  variables {
    edge_count = 3
  }

  assert {
    condition     = output.target_size == 3 && length(google_compute_region_autoscaler.scale_out) == 0
    error_message = "edge_count is the size"
  }
}

run "edges_10" {
  command = plan

  variables {
    edge_count = 10
  }

  assert {
    condition     = output.target_size == 10 && length(google_compute_region_autoscaler.scale_out) == 0
    error_message = "edge_count is the size"
  }
}

run "drain" {
  command = plan

  variables {
    drain_seconds = 20
  }

  assert {
    condition     = module.vms.environment["DRAIN_SECONDS"] == "20" && tonumber(module.vms.environment["DRAIN_ACCEPT_SECONDS"]) + 2 < 20
    error_message = "the shortest drain leaves time for the clients, or no edge would start"
  }
}

run "admin_open" {
  command = plan

  variables {
    admin_token_secret_id = "tw-admin-token"
  }

  assert {
    condition     = module.vms.environment["ADMIN_HOST"] == "0.0.0.0" && module.vms.environment["ADMIN_PORT"] == "9080" && output.admin_port == 9080
    error_message = "infra/roll reaches the admin port"
  }
}

run "autoscaled" {
  command = plan

  variables {
    autoscaler = { max_count = 10 }
  }

  assert {
    condition     = output.target_size == null
    error_message = "a size of Terraform's would fight the autoscaler"
  }

  assert {
    condition     = google_compute_region_autoscaler.scale_out[0].autoscaling_policy[0].mode == "ONLY_SCALE_OUT"
    error_message = "an autoscaler must not cut clients"
  }

  assert {
    condition     = google_compute_region_autoscaler.scale_out[0].autoscaling_policy[0].min_replicas == 3 && google_compute_region_autoscaler.scale_out[0].autoscaling_policy[0].max_replicas == 10
    error_message = "from edge_count to max_count"
  }

  assert {
    condition     = google_compute_region_autoscaler.scale_out[0].autoscaling_policy[0].metric[0].single_instance_assignment == 28000
    error_message = "an edge is to hold 70 % of its 40,000 clients"
  }
}

run "balanced_by_connections" {
  command = plan

  variables {
    balancer = { kind = "connections", certificate = { domains = ["stream.example.com"] } }
  }

  assert {
    condition     = output.websocket_url == "wss://stream.example.com/ws"
    error_message = "the URL does not depend on the balancer"
  }
}

# The group is made with one size, then handed to an autoscaler, then back: it must be the same group.
run "made" {}

run "handed_over" {
  variables {
    autoscaler = { max_count = 10 }
  }

  assert {
    condition     = output.group_id == run.made.group_id && output.autoscaled
    error_message = "switching the autoscaler on must not rebuild the group"
  }
}

run "handed_back" {
  variables {
    edge_count = 7
  }

  assert {
    condition     = output.group_id == run.made.group_id && output.target_size == 7 && !output.autoscaled
    error_message = "switching it off must not rebuild the group"
  }
}

run "own_certificate" {
  command = plan

  variables {
    balancer = { host = "stream.example.com", certificate = { self_links = ["projects/a-project/global/sslCertificates/mine"] } }
  }

  assert {
    condition     = output.websocket_url == "wss://stream.example.com/ws"
    error_message = "clients ask for the host that the certificate is for"
  }
}

run "refuses_own_certificate_without_host" {
  command = plan

  variables {
    balancer = { certificate = { self_links = ["projects/a-project/global/sslCertificates/mine"] } }
  }

  expect_failures = [var.balancer]
}

run "refuses_address_for_host" {
  command = plan

  variables {
    balancer = { host = "203.0.113.7", certificate = { domains = ["stream.example.com"] } }
  }

  expect_failures = [var.balancer]
}

run "refuses_no_edges" {
  command = plan

  variables {
    edge_count = 0
  }

  expect_failures = [var.edge_count]
}

run "refuses_too_many_edges" {
  command = plan

  variables {
    edge_count = 101
  }

  expect_failures = [var.edge_count]
}

run "refuses_half_an_edge" {
  command = plan

  variables {
    edge_count = 2.5
  }

  expect_failures = [var.edge_count]
}

run "refuses_greatest_below_least" {
  command = plan

  variables {
    autoscaler = { max_count = 2 }
  }

  expect_failures = [var.autoscaler]
}

run "refuses_too_large_greatest" {
  command = plan

  variables {
    autoscaler = { max_count = 101 }
  }

  expect_failures = [var.autoscaler]
}

run "refuses_cpu_target" {
  command = plan

  variables {
    autoscaler = { max_count = 5, cpu_target = 0.95 }
  }

  expect_failures = [var.autoscaler]
}

run "refuses_connections_target" {
  command = plan

  variables {
    autoscaler = { max_count = 5, connections_target = 1 }
  }

  expect_failures = [var.autoscaler]
}

run "refuses_cooldown" {
  command = plan

  variables {
    autoscaler = { max_count = 5, cooldown_sec = 5 }
  }

  expect_failures = [var.autoscaler]
}

run "refuses_long_drain" {
  command = plan

  variables {
    drain_seconds = 61
  }

  expect_failures = [var.drain_seconds]
}

# It would be valid for Terraform and stop every edge: less than what is accepted for, and kept back.
run "refuses_short_drain" {
  command = plan

  variables {
    drain_seconds = 19
  }

  expect_failures = [var.drain_seconds]
}

run "refuses_too_many_connections" {
  command = plan

  variables {
    max_connections = 500001
  }

  expect_failures = [var.max_connections]
}

run "refuses_own_variable" {
  command = plan

  variables {
    environment = { REDIS_URL = "redis://elsewhere" }
  }

  expect_failures = [var.environment]
}

run "refuses_balancer_kind" {
  command = plan

  variables {
    balancer = { kind = "classic", certificate = { domains = ["a.example.com"] } }
  }

  expect_failures = [var.balancer]
}

run "refuses_short_timeout" {
  command = plan

  variables {
    balancer = { timeout_sec = 30, certificate = { domains = ["a.example.com"] } }
  }

  expect_failures = [var.balancer]
}
