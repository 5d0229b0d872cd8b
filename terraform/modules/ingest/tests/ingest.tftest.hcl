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
  name             = "tw-ingest"
  tokens_secret_id = "ingest-tokens"
  project_id       = "a-project"
  region           = "europe-west1"
  zones            = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]
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

  network = {
    network_id          = "projects/a-project/global/networks/n"
    subnetwork_id       = "projects/a-project/regions/europe-west1/subnetworks/s"
    proxy_subnetwork_id = "projects/a-project/regions/europe-west1/subnetworks/p"
    proxy_subnet_cidr   = "10.20.8.0/24"
  }
}

run "internal" {
  command = plan

  assert {
    condition     = google_compute_region_backend_service.internal[0].load_balancing_scheme == "INTERNAL_MANAGED" && google_compute_forwarding_rule.internal[0].load_balancing_scheme == "INTERNAL_MANAGED"
    error_message = "reached from within the network only"
  }

  assert {
    condition     = google_compute_firewall.proxies[0].source_ranges == toset(["10.20.8.0/24"])
    error_message = "only the proxies reach the VMs"
  }

  assert {
    condition     = google_compute_region_health_check.ready[0].http_health_check[0].request_path == "/readyz" && length(module.balancer) == 0
    error_message = "requests go to VMs that are ready; no public balancer"
  }

  assert {
    condition     = tonumber(module.vms.environment["DRAIN_ACCEPT_SECONDS"]) < tonumber(module.vms.environment["DRAIN_SECONDS"]) && tonumber(module.vms.environment["DRAIN_SECONDS"]) <= 60
    error_message = "a drain outlasts the balancer's noticing, and fits the unit"
  }

  assert {
    condition     = module.vms.target_size == 2
    error_message = "two VMs"
  }
}

run "external" {
  command = plan

  variables {
    balancer = { exposure = "external", certificate = { domains = ["ingest.example.com"] } }
  }

  assert {
    condition     = output.url == "https://ingest.example.com" && length(google_compute_forwarding_rule.internal) == 0
    error_message = "HTTPS from everywhere, and nothing inside"
  }
}

run "own_certificate" {
  command = plan

  variables {
    balancer = { exposure = "external", host = "ingest.example.com", certificate = { self_links = ["x"] } }
  }

  assert {
    condition     = output.url == "https://ingest.example.com"
    error_message = "publishers ask for the host that the certificate is for"
  }
}

run "refuses_own_certificate_without_host" {
  command = plan

  variables {
    balancer = { exposure = "external", certificate = { self_links = ["x"] } }
  }

  expect_failures = [var.balancer]
}

run "needs_proxies" {
  command = plan

  variables {
    network = { network_id = "n", subnetwork_id = "s" }
  }

  expect_failures = [google_compute_forwarding_rule.internal]
}

run "refuses_exposure" {
  command = plan

  variables {
    balancer = { exposure = "public" }
  }

  expect_failures = [var.balancer]
}

run "refuses_external_without_certificate" {
  command = plan

  variables {
    balancer = { exposure = "external" }
  }

  expect_failures = [var.balancer]
}

run "refuses_timeout" {
  command = plan

  variables {
    balancer = { timeout_sec = 1 }
  }

  expect_failures = [var.balancer]
}

run "refuses_no_vms" {
  command = plan

  variables {
    ingest_count = 0
  }

  expect_failures = [var.ingest_count]
}

run "refuses_too_many" {
  command = plan

  variables {
    ingest_count = 21
  }

  expect_failures = [var.ingest_count]
}

run "refuses_own_variable" {
  command = plan

  variables {
    environment = { HOST = "127.0.0.1" }
  }

  expect_failures = [var.environment]
}
