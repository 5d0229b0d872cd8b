mock_provider "google" {}

variables {
  name       = "tw"
  project_id = "a-project"
  region     = "europe-west1"
}

run "network" {
  command = plan

  assert {
    condition     = google_compute_subnetwork.vms[0].private_ip_google_access && !google_compute_network.main[0].auto_create_subnetworks
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

run "existing" {
  command = plan

  variables {
    uses_existing          = true
    existing_network_id    = "projects/host/global/networks/shared"
    existing_subnetwork_id = "projects/host/regions/europe-west1/subnetworks/backends"
  }

  assert {
    condition     = length(google_compute_network.main) == 0 && length(google_compute_subnetwork.vms) == 0 && length(google_service_networking_connection.managed) == 0
    error_message = "what is there is taken, its peering too"
  }

  assert {
    condition     = output.network_project_id == "host" && google_compute_firewall.iap_ssh[0].project == "host" && output.managed_peering == "there"
    error_message = "firewall rules of a Shared VPC are its host project's"
  }
}

run "existing_without_a_peering" {
  command = plan

  variables {
    proxy_subnet_cidr            = "10.20.8.0/24"
    uses_existing                = true
    existing_network_id          = "projects/host/global/networks/shared"
    existing_subnetwork_id       = "projects/host/regions/europe-west1/subnetworks/backends"
    existing_proxy_subnetwork_id = "projects/host/regions/europe-west1/subnetworks/proxies"
    makes_peering                = true
  }

  assert {
    condition     = google_compute_global_address.managed[0].project == "host" && length(google_service_networking_connection.managed) == 1
    error_message = "the peering is the network's"
  }

  assert {
    condition     = output.proxy_subnetwork_id == "projects/host/regions/europe-west1/subnetworks/proxies" && length(google_compute_subnetwork.proxies) == 0
    error_message = "a network has one subnetwork for proxies in a region"
  }
}

run "nat" {
  command = plan

  variables {
    nat = true
  }

  assert {
    condition     = length(google_compute_router_nat.nat) == 1
    error_message = "backends in this network reach the internet"
  }
}

run "refuses_nat_of_an_existing_network" {
  command = plan

  variables {
    nat                    = true
    uses_existing          = true
    existing_network_id    = "projects/host/global/networks/shared"
    existing_subnetwork_id = "projects/host/regions/europe-west1/subnetworks/backends"
  }

  expect_failures = [var.nat]
}

run "refuses_a_name_for_a_network" {
  command = plan

  variables {
    uses_existing          = true
    existing_network_id    = "shared"
    existing_subnetwork_id = "projects/host/regions/europe-west1/subnetworks/backends"
  }

  expect_failures = [var.existing_network_id]
}

run "refuses_a_subnetwork_elsewhere" {
  command = plan

  variables {
    uses_existing          = true
    existing_network_id    = "projects/host/global/networks/shared"
    existing_subnetwork_id = "projects/host/regions/europe-west4/subnetworks/backends"
  }

  expect_failures = [var.existing_subnetwork_id]
}
