# A network of its own. VMs in it have no public address and reach Google's services privately; there is no
# NAT, since nothing is installed at boot. What may come in is said by whoever serves it.

# What Google's Identity-Aware Proxy forwards TCP from.
locals {
  iap_range = "35.235.240.0/20"
}

resource "google_compute_network" "main" {
  project                 = var.project_id
  name                    = var.name
  auto_create_subnetworks = false
  routing_mode            = "REGIONAL"
}

resource "google_compute_subnetwork" "vms" {
  project                  = var.project_id
  region                   = var.region
  name                     = var.name
  network                  = google_compute_network.main.id
  ip_cidr_range            = var.subnet_cidr
  private_ip_google_access = true
}

resource "google_compute_subnetwork" "proxies" {
  count = var.proxy_subnet_cidr == null ? 0 : 1

  project       = var.project_id
  region        = var.region
  name          = "${var.name}-proxies"
  network       = google_compute_network.main.id
  ip_cidr_range = var.proxy_subnet_cidr
  purpose       = "REGIONAL_MANAGED_PROXY"
  role          = "ACTIVE"
}

resource "google_compute_firewall" "iap_ssh" {
  count = var.iap_ssh ? 1 : 0

  project       = var.project_id
  name          = "${var.name}-iap-ssh"
  network       = google_compute_network.main.id
  direction     = "INGRESS"
  source_ranges = [local.iap_range]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}

resource "google_compute_global_address" "managed" {
  count = var.managed_redis ? 1 : 0

  project       = var.project_id
  name          = "${var.name}-managed"
  network       = google_compute_network.main.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "managed" {
  count = var.managed_redis ? 1 : 0

  network                 = google_compute_network.main.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = google_compute_global_address.managed[*].name

  # Google keeps it for days after the last Redis is gone, and refuses its end meanwhile: README.md, "Take it down".
  deletion_policy = "ABANDON"

  # A peering that a lost answer left behind is taken over.
  update_on_creation_fail = true
}
