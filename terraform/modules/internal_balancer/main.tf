# A regional internal balancer in front of one instance group: HTTP on port 80, from within the network.

resource "google_compute_region_health_check" "ready" {
  project             = var.project_id
  region              = var.region
  name                = "${var.name}-ready"
  check_interval_sec  = 5
  timeout_sec         = 4
  healthy_threshold   = 1
  unhealthy_threshold = 2

  http_health_check {
    port         = var.port
    request_path = "/readyz"
  }
}

resource "google_compute_region_backend_service" "internal" {
  project                         = var.project_id
  region                          = var.region
  name                            = var.name
  load_balancing_scheme           = "INTERNAL_MANAGED"
  protocol                        = "HTTP"
  port_name                       = "http"
  timeout_sec                     = var.timeout_sec
  connection_draining_timeout_sec = 30
  health_checks                   = [google_compute_region_health_check.ready.id]
  session_affinity                = "NONE"
  locality_lb_policy              = "LEAST_REQUEST"

  backend {
    group           = var.instance_group
    balancing_mode  = "UTILIZATION"
    max_utilization = 0.8
    capacity_scaler = 1
  }
}

resource "google_compute_region_url_map" "internal" {
  project         = var.project_id
  region          = var.region
  name            = var.name
  default_service = google_compute_region_backend_service.internal.id
}

resource "google_compute_region_target_http_proxy" "internal" {
  project = var.project_id
  region  = var.region
  name    = var.name
  url_map = google_compute_region_url_map.internal.id
}

resource "google_compute_forwarding_rule" "internal" {
  project               = var.project_id
  region                = var.region
  name                  = var.name
  load_balancing_scheme = "INTERNAL_MANAGED"
  network               = var.network_id
  subnetwork            = var.subnetwork_id
  ip_protocol           = "TCP"
  port_range            = "80"
  target                = google_compute_region_target_http_proxy.internal.id

  lifecycle {
    precondition {
      condition     = var.proxy_subnetwork_id != null && var.proxy_subnet_cidr != null
      error_message = "An internal balancer needs a subnetwork for its proxies, and its range: network.proxy_subnet_cidr."
    }
  }
}

resource "google_compute_firewall" "proxies" {
  project                 = var.network_project_id
  name                    = "${var.name}-from-proxies"
  network                 = var.network_id
  direction               = "INGRESS"
  source_ranges           = [var.proxy_subnet_cidr]
  target_service_accounts = [var.service_account_email]

  allow {
    protocol = "tcp"
    ports    = [tostring(var.port)]
  }
}
