# How operators, and infra/roll on their behalf, reach the admin ports: a token, and firewall
# rules for few addresses. The traffic is HTTP within the network; nothing public leads there.

locals {
  # What Google's Identity-Aware Proxy forwards TCP from.
  iap_range = "35.235.240.0/20"

  services = values(var.services)
  ports    = [for service in local.services : tostring(service.port)]
  accounts = [for service in local.services : service.service_account_email]
}

resource "google_secret_manager_secret" "token" {
  project   = var.project_id
  secret_id = "${var.name}-admin-token"

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "token" {
  secret = google_secret_manager_secret.token.id

  # Written and forgotten: it is in no plan and in no state. Another version number writes it anew.
  secret_data_wo         = var.token
  secret_data_wo_version = tostring(var.token_version)

  # The version before stays readable: VMs that were not rolled yet know that one, and infra/roll tries both.
  deletion_policy = "ABANDON"

  lifecycle {
    create_before_destroy = true
  }
}

# VMs get theirs from vm_group.
resource "google_secret_manager_secret_iam_member" "operators" {
  for_each = toset(var.operators)

  project   = var.project_id
  secret_id = google_secret_manager_secret.token.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}

resource "google_compute_firewall" "operators" {
  count = length(var.source_ranges) > 0 ? 1 : 0

  project                 = var.network_project_id
  name                    = "${var.name}-admin-from-operators"
  network                 = var.network_id
  direction               = "INGRESS"
  source_ranges           = var.source_ranges
  target_service_accounts = local.accounts

  allow {
    protocol = "tcp"
    ports    = local.ports
  }
}

# gcloud compute start-iap-tunnel: who may open one is IAM's business (roles/iap.tunnelResourceAccessor).
resource "google_compute_firewall" "iap" {
  count = var.iap_tunnels ? 1 : 0

  project                 = var.network_project_id
  name                    = "${var.name}-admin-from-iap"
  network                 = var.network_id
  direction               = "INGRESS"
  source_ranges           = [local.iap_range]
  target_service_accounts = local.accounts

  allow {
    protocol = "tcp"
    ports    = local.ports
  }
}
