mock_provider "google" {}

variables {
  name                  = "tw-ingest"
  project_id            = "a-project"
  region                = "europe-west1"
  port                  = 8081
  timeout_sec           = 30
  instance_group        = "projects/a-project/regions/europe-west1/instanceGroups/tw-ingest"
  service_account_email = "tw-ingest@a-project.iam.gserviceaccount.com"
  network_id            = "projects/a-project/global/networks/n"
  network_project_id    = "a-project"
  subnetwork_id         = "projects/a-project/regions/europe-west1/subnetworks/s"
  proxy_subnetwork_id   = "projects/a-project/regions/europe-west1/subnetworks/p"
  proxy_subnet_cidr     = "10.20.8.0/24"
}

run "internal" {
  command = plan

  assert {
    condition     = google_compute_region_backend_service.internal.load_balancing_scheme == "INTERNAL_MANAGED" && google_compute_forwarding_rule.internal.load_balancing_scheme == "INTERNAL_MANAGED"
    error_message = "reached from within the network only"
  }

  assert {
    condition     = google_compute_firewall.proxies.source_ranges == toset(["10.20.8.0/24"])
    error_message = "only the proxies reach the VMs"
  }

  assert {
    condition     = google_compute_region_health_check.ready.http_health_check[0].request_path == "/readyz"
    error_message = "requests go to VMs that are ready"
  }
}

run "needs_proxies" {
  command = plan

  variables {
    proxy_subnetwork_id = null
  }

  expect_failures = [google_compute_forwarding_rule.internal]
}
