mock_provider "google" {
  mock_data "google_compute_lb_ip_ranges" {
    defaults = { http_ssl_tcp_internal = ["35.191.0.0/16", "130.211.0.0/22"] }
  }
}

variables {
  name           = "tw-edge"
  project_id     = "a-project"
  port           = 8080
  timeout_sec    = 86400
  instance_group = "projects/a-project/regions/europe-west1/instanceGroups/tw-edge"

  certificate_domains   = ["stream.example.com"]
  throttle_requests     = 6000
  throttle_interval_sec = 60
}

run "application" {
  command = plan

  assert {
    condition     = google_compute_backend_service.application[0].load_balancing_scheme == "EXTERNAL_MANAGED" && google_compute_global_forwarding_rule.application[0].load_balancing_scheme == "EXTERNAL_MANAGED"
    error_message = "the scheme is that of the global external Application Load Balancer, not the provider's default"
  }

  assert {
    condition     = google_compute_backend_service.application[0].timeout_sec == 86400 && google_compute_backend_service.application[0].connection_draining_timeout_sec == 60
    error_message = "timeouts are explicit"
  }

  assert {
    condition     = google_compute_health_check.ready.http_health_check[0].request_path == "/readyz"
    error_message = "clients go to VMs that are ready"
  }

  assert {
    condition     = one([for rule in google_compute_security_policy.throttle[0].rule : rule if rule.action == "throttle"]).rate_limit_options[0].rate_limit_threshold[0].count == 6000
    error_message = "one address may send 6000 requests a minute"
  }

  assert {
    condition     = length(google_compute_backend_service.connections) == 0 && length(google_compute_target_ssl_proxy.connections) == 0
    error_message = "one balancer, not two"
  }
}

run "throttle_is_tried_first" {
  command = plan

  variables {
    throttle_preview = true
  }

  assert {
    condition     = one([for rule in google_compute_security_policy.throttle[0].rule : rule if rule.action == "throttle"]).preview
    error_message = "what would be refused is logged only"
  }
}

run "connections" {
  command = plan

  variables {
    kind             = "connections"
    connection_limit = 40000
  }

  assert {
    condition     = one(google_compute_backend_service.connections[0].backend).balancing_mode == "CONNECTION" && one(google_compute_backend_service.connections[0].backend).max_connections_per_instance == 40000
    error_message = "clients are spread by connections, up to what a VM may hold"
  }

  assert {
    condition     = google_compute_target_ssl_proxy.connections[0].proxy_header == "PROXY_V1"
    error_message = "the edge learns who the client is"
  }

  assert {
    condition     = google_compute_global_forwarding_rule.connections[0].load_balancing_scheme == "EXTERNAL_MANAGED"
    error_message = "a global external balancer"
  }

  assert {
    condition     = length(google_compute_backend_service.application) == 0 && length(google_compute_security_policy.throttle) == 0
    error_message = "one balancer, not two"
  }
}

run "connections_without_a_header" {
  command = plan

  variables {
    kind             = "connections"
    connection_limit = 40000
    proxy_protocol   = false
  }

  assert {
    condition     = google_compute_target_ssl_proxy.connections[0].proxy_header == "NONE"
    error_message = "VMs that do not expect it are not sent it"
  }
}

run "own_certificate" {
  command = plan

  variables {
    certificate_domains    = []
    certificate_self_links = ["projects/a-project/global/sslCertificates/mine"]
  }

  assert {
    condition     = length(google_certificate_manager_certificate.domain) == 0 && google_compute_target_https_proxy.application[0].certificate_map == null && google_compute_target_https_proxy.application[0].ssl_certificates == tolist(["projects/a-project/global/sslCertificates/mine"])
    error_message = "a certificate of one's own is used as it is"
  }
}

run "needs_a_limit" {
  command = plan

  variables {
    kind = "connections"
  }

  expect_failures = [google_compute_backend_service.connections]
}

run "refuses_no_certificate" {
  command = plan

  variables {
    certificate_domains = []
  }

  expect_failures = [var.certificate_self_links]
}

run "refuses_two_kinds_of_certificate" {
  command = plan

  variables {
    certificate_self_links = ["x"]
  }

  expect_failures = [var.certificate_self_links]
}

run "refuses_wildcard" {
  command = plan

  variables {
    certificate_domains = ["*.example.com"]
  }

  expect_failures = [var.certificate_domains]
}

run "refuses_kind" {
  command = plan

  variables {
    kind = "classic"
  }

  expect_failures = [var.kind]
}

run "refuses_long_timeout" {
  command = plan

  variables {
    timeout_sec = 86401
  }

  expect_failures = [var.timeout_sec]
}

run "refuses_long_draining" {
  command = plan

  variables {
    draining_timeout_sec = 3601
  }

  expect_failures = [var.draining_timeout_sec]
}

run "refuses_throttle" {
  command = plan

  variables {
    throttle_requests = 0
  }

  expect_failures = [var.throttle_requests]
}

run "refuses_throttle_interval" {
  command = plan

  variables {
    throttle_interval_sec = 45
  }

  expect_failures = [var.throttle_interval_sec]
}

run "is_there" {
  assert {
    condition     = terraform_data.kind[0].output == "application"
    error_message = "the kind that there is is remembered"
  }
}

# The second domain's certificate takes its time; clients of the first notice nothing.
run "another_domain_leaves_the_first_as_it_is" {
  variables {
    certificate_domains = ["stream.example.com", "live.example.com"]
  }

  assert {
    condition     = google_certificate_manager_certificate.domain["stream.example.com"].id == run.is_there.certificate_ids["stream.example.com"] && length(google_certificate_manager_certificate_map_entry.domain) == 2
    error_message = "a domain more is a certificate more"
  }
}

run "refuses_another_kind_in_one_apply" {
  command = plan

  variables {
    kind             = "connections"
    connection_limit = 40000
  }

  expect_failures = [terraform_data.kind[0]]
}

run "none_between_two_kinds" {
  variables {
    kind = "none"
  }

  assert {
    condition     = output.backend_service == null && output.ip_address == run.is_there.ip_address && length(google_certificate_manager_certificate.domain) == 1
    error_message = "the address and the certificate stay"
  }
}

run "then_the_other_kind" {
  variables {
    kind             = "connections"
    connection_limit = 40000
  }

  assert {
    condition     = output.backend_service == "tw-edge-connections"
    error_message = "the second apply makes the other balancer"
  }
}
