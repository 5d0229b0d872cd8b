# Ingest: a small regional group behind a balancer, within the network or from everywhere.

locals {
  port        = 8081
  admin_port  = 9081
  is_internal = var.balancer.exposure == "internal"

  # Requests are short: what is in flight when the balancer has noticed has the rest of it.
  drain_seconds = 30
  environment   = merge(var.environment, { DRAIN_SECONDS = tostring(local.drain_seconds) })
}

module "vms" {
  source = "../vm_group"

  name             = var.name
  service          = "ingest"
  project_id       = var.project_id
  region           = var.region
  zones            = var.zones
  network          = { network_id = var.network.network_id, subnetwork_id = var.network.subnetwork_id, project_id = var.network.project_id }
  machine          = var.machine
  port             = local.port
  admin            = { port = local.admin_port, token_secret_id = var.admin_token_secret_id }
  redis            = var.redis
  release          = var.release
  environment      = local.environment
  secret_variables = { INGEST_TOKENS = var.tokens_secret_id }
  target_size      = var.ingest_count
}

# ---- external: as the edges', for HTTPS ------------------------------------------------------------

module "balancer" {
  source = "../balancer"
  count  = local.is_internal ? 0 : 1

  name           = var.name
  project_id     = var.project_id
  kind           = "application"
  certificate    = var.balancer.certificate
  timeout_sec    = var.balancer.timeout_sec
  throttle       = var.balancer.throttle
  instance_group = module.vms.instance_group
  port           = local.port
}

# ---- internal: HTTP on port 80, from within the network --------------------------------------------

resource "google_compute_region_health_check" "ready" {
  count = local.is_internal ? 1 : 0

  project             = var.project_id
  region              = var.region
  name                = "${var.name}-ready"
  check_interval_sec  = 5
  timeout_sec         = 4
  healthy_threshold   = 1
  unhealthy_threshold = 2

  http_health_check {
    port         = local.port
    request_path = "/readyz"
  }
}

resource "google_compute_region_backend_service" "internal" {
  count = local.is_internal ? 1 : 0

  project                         = var.project_id
  region                          = var.region
  name                            = var.name
  load_balancing_scheme           = "INTERNAL_MANAGED"
  protocol                        = "HTTP"
  port_name                       = "http"
  timeout_sec                     = var.balancer.timeout_sec
  connection_draining_timeout_sec = 30
  health_checks                   = google_compute_region_health_check.ready[*].id
  session_affinity                = "NONE"
  locality_lb_policy              = "LEAST_REQUEST"

  backend {
    group           = module.vms.instance_group
    balancing_mode  = "UTILIZATION"
    max_utilization = 0.8
    capacity_scaler = 1
  }
}

resource "google_compute_region_url_map" "internal" {
  count = local.is_internal ? 1 : 0

  project         = var.project_id
  region          = var.region
  name            = var.name
  default_service = google_compute_region_backend_service.internal[0].id
}

resource "google_compute_region_target_http_proxy" "internal" {
  count = local.is_internal ? 1 : 0

  project = var.project_id
  region  = var.region
  name    = var.name
  url_map = google_compute_region_url_map.internal[0].id
}

resource "google_compute_forwarding_rule" "internal" {
  count = local.is_internal ? 1 : 0

  project               = var.project_id
  region                = var.region
  name                  = var.name
  load_balancing_scheme = "INTERNAL_MANAGED"
  network               = var.network.network_id
  subnetwork            = var.network.subnetwork_id
  ip_protocol           = "TCP"
  port_range            = "80"
  target                = google_compute_region_target_http_proxy.internal[0].id

  lifecycle {
    precondition {
      condition     = var.network.proxy_subnetwork_id != null && var.network.proxy_subnet_cidr != null
      error_message = "An internal balancer needs a subnetwork for its proxies: network.proxy_subnetwork_id and network.proxy_subnet_cidr."
    }
  }
}

resource "google_compute_firewall" "proxies" {
  count = local.is_internal ? 1 : 0

  project                 = coalesce(var.network.project_id, var.project_id)
  name                    = "${var.name}-from-proxies"
  network                 = var.network.network_id
  direction               = "INGRESS"
  source_ranges           = [var.network.proxy_subnet_cidr]
  target_service_accounts = [module.vms.service_account_email]

  allow {
    protocol = "tcp"
    ports    = [tostring(local.port)]
  }
}
