# A global external balancer with TLS in front of one instance group. HTTPS only: there is no port 80.

locals {
  is_application = var.kind == "application"
  is_connections = var.kind == "connections"
  proxy_header   = local.is_connections && var.proxy_protocol ? "PROXY_V1" : "NONE"
  managed        = length(var.certificate_domains) > 0
  domains        = { for domain in var.certificate_domains : domain => "${var.name}-${substr(sha256(domain), 0, 8)}" }

  # A proxy takes one of the two.
  certificate_map = local.managed ? "//certificatemanager.googleapis.com/${google_certificate_manager_certificate_map.domains[0].id}" : null
  certificates    = local.managed ? null : var.certificate_self_links
}

resource "google_compute_global_address" "public" {
  project = var.project_id
  name    = var.name
}

# Each domain has a certificate of its own, for which a DNS record vouches: it is issued before the domain points here, and
# another domain leaves those that are there as they are.
resource "google_certificate_manager_dns_authorization" "domain" {
  for_each = local.domains

  project = var.project_id
  name    = each.value
  domain  = each.key
}

resource "google_certificate_manager_certificate" "domain" {
  for_each = local.domains

  project = var.project_id
  name    = each.value

  managed {
    domains            = [each.key]
    dns_authorizations = [google_certificate_manager_dns_authorization.domain[each.key].id]
  }
}

resource "google_certificate_manager_certificate_map" "domains" {
  count = local.managed ? 1 : 0

  project = var.project_id
  name    = var.name
}

resource "google_certificate_manager_certificate_map_entry" "domain" {
  for_each = local.domains

  project      = var.project_id
  name         = each.value
  map          = google_certificate_manager_certificate_map.domains[0].name
  hostname     = each.key
  certificates = [google_certificate_manager_certificate.domain[each.key].id]
}

resource "google_compute_ssl_policy" "modern" {
  project         = var.project_id
  name            = var.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

# Ready: may be sent clients. Every 5 s, so that a draining VM is out within 10.
resource "google_compute_health_check" "ready" {
  project             = var.project_id
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

# The group and the address can belong to one balancer at a time, so that a change of the kind in one apply is a race. This
# remembers the kind that there is; with none it is forgotten.
resource "terraform_data" "kind" {
  count = var.kind == "none" ? 0 : 1

  input = var.kind

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = self.output == var.kind
      error_message = "The balancer is of another kind than ${var.kind}, and a change takes two applies: first with the kind none, which removes it and keeps its address and certificate, then with ${var.kind}. Clients are cut for minutes."
    }
  }
}

# ---- application: HTTPS, URL map, Cloud Armor ------------------------------------------------------

resource "google_compute_backend_service" "application" {
  count = local.is_application ? 1 : 0

  project                         = var.project_id
  name                            = var.name
  load_balancing_scheme           = "EXTERNAL_MANAGED"
  protocol                        = "HTTP"
  port_name                       = "http"
  timeout_sec                     = var.timeout_sec
  connection_draining_timeout_sec = var.draining_timeout_sec
  health_checks                   = [google_compute_health_check.ready.id]
  security_policy                 = google_compute_security_policy.throttle[0].id
  session_affinity                = "NONE"

  # Between the VMs of a zone: an open WebSocket counts as a request that is not answered yet.
  locality_lb_policy = "LEAST_REQUEST"

  # By CPU between zones. A VM that is full says so itself, with 503 and on /readyz.
  backend {
    group           = var.instance_group
    balancing_mode  = "UTILIZATION"
    max_utilization = 0.8
    capacity_scaler = 1
  }

  log_config {
    enable      = true
    sample_rate = 0.01
  }
}

resource "google_compute_security_policy" "throttle" {
  # checkov:skip=CKV_GCP_73: nothing behind it is Java or has Log4j
  count = local.is_application ? 1 : 0

  project     = var.project_id
  name        = var.name
  description = "Bounds what one address may ask for"
  type        = "CLOUD_ARMOR"

  rule {
    action      = "throttle"
    priority    = 1000
    description = "One address, all of its requests"
    preview     = var.throttle_preview

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.throttle_requests
        interval_sec = var.throttle_interval_sec
      }
    }
  }

  rule {
    action      = "allow"
    priority    = 2147483647
    description = "Everything else; Cloud Armor wants this rule"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_url_map" "application" {
  count = local.is_application ? 1 : 0

  project         = var.project_id
  name            = var.name
  default_service = google_compute_backend_service.application[0].id
}

resource "google_compute_target_https_proxy" "application" {
  count = local.is_application ? 1 : 0

  project                     = var.project_id
  name                        = var.name
  url_map                     = google_compute_url_map.application[0].id
  certificate_map             = local.certificate_map
  ssl_certificates            = local.certificates
  ssl_policy                  = google_compute_ssl_policy.modern.id
  http_keep_alive_timeout_sec = 610

  # A WebSocket needs HTTP/1.1.
  quic_override = "DISABLE"
}

resource "google_compute_global_forwarding_rule" "application" {
  count = local.is_application ? 1 : 0

  project               = var.project_id
  name                  = var.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_protocol           = "TCP"
  ip_address            = google_compute_global_address.public.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.application[0].id
}

# ---- connections: SSL proxy, counts open connections -----------------------------------------------

resource "google_compute_backend_service" "connections" {
  count = local.is_connections ? 1 : 0

  project                         = var.project_id
  name                            = "${var.name}-connections"
  load_balancing_scheme           = "EXTERNAL_MANAGED"
  protocol                        = "TCP"
  port_name                       = "http"
  timeout_sec                     = var.timeout_sec
  connection_draining_timeout_sec = var.draining_timeout_sec
  health_checks                   = [google_compute_health_check.ready.id]
  session_affinity                = "NONE"

  backend {
    group                        = var.instance_group
    balancing_mode               = "CONNECTION"
    max_connections_per_instance = var.connection_limit
    capacity_scaler              = 1
  }

  lifecycle {
    precondition {
      condition     = var.connection_limit != null
      error_message = "connection_limit must be set where kind is connections."
    }
  }
}

resource "google_compute_target_ssl_proxy" "connections" {
  count = local.is_connections ? 1 : 0

  project          = var.project_id
  name             = "${var.name}-connections"
  backend_service  = google_compute_backend_service.connections[0].id
  certificate_map  = local.certificate_map
  ssl_certificates = local.certificates
  ssl_policy       = google_compute_ssl_policy.modern.id

  # By it the edge knows clients' addresses. Health checks have none: the edge answers its proxies without one too.
  proxy_header = local.proxy_header
}

resource "google_compute_global_forwarding_rule" "connections" {
  count = local.is_connections ? 1 : 0

  project               = var.project_id
  name                  = "${var.name}-connections"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_protocol           = "TCP"
  ip_address            = google_compute_global_address.public.id
  port_range            = "443"
  target                = google_compute_target_ssl_proxy.connections[0].id
}
