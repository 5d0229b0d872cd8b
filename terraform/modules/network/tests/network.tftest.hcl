mock_provider "google" {}

variables {
  name       = "tw"
  project_id = "a-project"
  region     = "europe-west1"
}

run "network" {
  command = plan

  assert {
    condition     = google_compute_subnetwork.vms.private_ip_google_access && !google_compute_network.main.auto_create_subnetworks
    error_message = "VMs without a public address reach Google's services"
  }

  assert {
    condition     = google_compute_firewall.iap_ssh[0].source_ranges == toset(["35.235.240.0/20"])
    error_message = "SSH comes through Identity-Aware Proxy only"
  }

  assert {
    condition     = length(google_service_networking_connection.managed) == 1 && length(google_compute_subnetwork.proxies) == 0
    error_message = "a peering for Memorystore, no proxies unless asked for"
  }
}

run "bare" {
  command = plan

  variables {
    iap_ssh           = false
    managed_redis     = false
    proxy_subnet_cidr = "10.20.8.0/24"
  }

  assert {
    condition     = length(google_compute_firewall.iap_ssh) == 0 && length(google_service_networking_connection.managed) == 0 && google_compute_subnetwork.proxies[0].purpose == "REGIONAL_MANAGED_PROXY"
    error_message = "what is not asked for is not there"
  }
}

run "refuses_small_subnet" {
  command = plan

  variables {
    subnet_cidr = "10.20.0.0/25"
  }

  expect_failures = [var.subnet_cidr]
}

run "refuses_no_range" {
  command = plan

  variables {
    subnet_cidr = "10.20.0.0"
  }

  expect_failures = [var.subnet_cidr]
}

run "refuses_small_proxy_subnet" {
  command = plan

  variables {
    proxy_subnet_cidr = "10.20.8.0/27"
  }

  expect_failures = [var.proxy_subnet_cidr]
}

run "refuses_name" {
  command = plan

  variables {
    name = "Tradewind"
  }

  expect_failures = [var.name]
}
