# A network of its own, or one that is there. VMs in it have no public address and reach Google's services privately; there is
# no NAT unless asked for, since nothing is installed at boot. The module that serves traffic says what may come in.

# What Google's Identity-Aware Proxy forwards TCP from.
locals {
  iap_range = "35.235.240.0/20"

  # A Shared VPC is in its host project, and so are its firewall rules and its peering.
  network_project_id = var.uses_existing ? split("/", var.existing_network_id)[1] : var.project_id
  network_id         = var.uses_existing ? var.existing_network_id : google_compute_network.main[0].id
  subnetwork_id      = var.uses_existing ? var.existing_subnetwork_id : google_compute_subnetwork.vms[0].id
  makes_peering      = var.managed_redis && (!var.uses_existing || var.makes_peering)
}

resource "google_compute_network" "main" {
  # checkov:skip=CKV2_GCP_18: the firewall rules are in the modules whose VMs they let in
  count = var.uses_existing ? 0 : 1

  project                 = var.project_id
  name                    = var.name
  auto_create_subnetworks = false
  routing_mode            = "REGIONAL"
}

resource "google_compute_subnetwork" "vms" {
  # checkov:skip=CKV_GCP_26: flow logs of tens of thousands of clients cost more than they tell
  count = var.uses_existing ? 0 : 1

  project                  = var.project_id
  region                   = var.region
  name                     = var.name
  network                  = google_compute_network.main[0].id
  ip_cidr_range            = var.subnet_cidr
  private_ip_google_access = true
}

resource "google_compute_subnetwork" "proxies" {
  count = var.proxy_subnet_cidr == null || var.existing_proxy_subnetwork_id != null ? 0 : 1

  project       = local.network_project_id
  region        = var.region
  name          = "${var.name}-proxies"
  network       = local.network_id
  ip_cidr_range = var.proxy_subnet_cidr
  purpose       = "REGIONAL_MANAGED_PROXY"
  role          = "ACTIVE"
}

resource "google_compute_firewall" "iap_ssh" {
  count = var.iap_ssh ? 1 : 0

  project       = local.network_project_id
  name          = "${var.name}-iap-ssh"
  network       = local.network_id
  direction     = "INGRESS"
  source_ranges = [local.iap_range]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}

resource "google_compute_global_address" "managed" {
  count = local.makes_peering ? 1 : 0

  project       = local.network_project_id
  name          = "${var.name}-managed"
  network       = local.network_id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "managed" {
  count = local.makes_peering ? 1 : 0

  network                 = local.network_id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = google_compute_global_address.managed[*].name

  # Google keeps it for days after the last Redis is gone, and refuses its end meanwhile: README.md, "Take it down".
  deletion_policy = "ABANDON"

  # A peering that a lost answer left behind is taken over.
  update_on_creation_fail = true
}

# A way out, for backends that live in this network; the tier needs none.
resource "google_compute_router" "nat" {
  count = var.nat ? 1 : 0

  project = var.project_id
  region  = var.region
  name    = "${var.name}-nat"
  network = local.network_id
}

resource "google_compute_router_nat" "nat" {
  count = var.nat ? 1 : 0

  project                            = var.project_id
  region                             = var.region
  name                               = "${var.name}-nat"
  router                             = google_compute_router.nat[0].name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = local.subnetwork_id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}
