# A regional group of equal VMs that run one service: what an edge and an ingest have in common.

locals {
  object = coalesce(var.release_object, "tradewind-${var.service}-${var.release_version}-linux-x64.tar.gz")

  has_password = var.redis_password_secret_id != null
  redis_environment = merge(
    { REDIS_URL = var.redis_url },
    local.has_password ? { REDIS_PASSWORD_FILE = "/etc/tradewind/redis-password" } : { REDIS_AUTH = "google" },
    var.redis_mode == "single" ? {} : { REDIS_MODE = var.redis_mode },
    var.redis_ca_pem == "" ? {} : { REDIS_CA_FILE = "/etc/tradewind/redis-ca.pem" },
  )
  # Balancers notice a drain at the second failed check, 5 s after the first. A VM accepts until then, and a little
  # longer. They keep idle connections for 600 s, and must be the first to let them go.
  balancer_environment = {
    DRAIN_ACCEPT_SECONDS    = "12"
    HTTP_KEEP_ALIVE_SECONDS = "620"
  }
  admin_environment = {
    ADMIN_HOST = local.admin_is_open ? "0.0.0.0" : "127.0.0.1"
    ADMIN_PORT = tostring(var.admin.port)
  }
  environment = merge(
    local.redis_environment,
    local.balancer_environment,
    local.admin_environment,
    { HOST = "0.0.0.0", PORT = tostring(var.port) },
    var.environment,
  )

  # The token twice: as the service's variable, and as a file, for the Ops Agent that reads the metrics.
  admin_is_open    = var.admin.token_secret_id != null
  secret_variables = merge(var.secret_variables, local.admin_is_open ? { ADMIN_TOKEN = var.admin.token_secret_id } : {})
  secret_path      = "projects/${var.project_id}/secrets"
  secret_files = merge(
    { for secret in var.redis_password_secret_id[*] : "redis-password" => "${local.secret_path}/${secret}/versions/latest" },
    { for file, secret in var.secret_files : file => "${local.secret_path}/${secret}/versions/latest" },
    local.admin_is_open ? { "admin-token" = "${local.secret_path}/${var.admin.token_secret_id}/versions/latest" } : {},
  )

  startup_script = templatefile("${path.module}/../../startup/vm-startup.sh.tftpl", {
    service             = var.service
    version             = var.release_version
    bucket              = var.release_bucket
    object              = local.object
    sha256              = var.release_sha256
    environment_base64  = base64encode(join("", [for name, value in local.environment : "${name}=${value}\n"]))
    secret_files_base64 = base64encode(join("", [for name, secret in local.secret_files : "${name} ${secret}\n"]))
    secret_variables_base64 = base64encode(join("", [
      for name, secret in local.secret_variables : "${name} ${local.secret_path}/${secret}/versions/latest\n"
    ]))
    redis_ca_base64     = base64encode(var.redis_ca_pem)
    agent_base64        = base64encode(local.agent_settings)
    root                = ""
    metadata_host       = "http://metadata.google.internal"
    storage_host        = "https://storage.googleapis.com"
    secret_manager_host = "https://secretmanager.googleapis.com"
    functions           = file("${path.module}/../../startup/functions.sh")
  })
}

data "google_compute_lb_ip_ranges" "google" {}

resource "google_compute_region_instance_template" "vm" {
  project      = var.project_id
  region       = var.region
  name_prefix  = "${var.name}-"
  description  = "Tradewind ${var.service} ${var.release_version}"
  machine_type = var.machine_type
  labels       = { "tradewind-service" = var.service, "tradewind-group" = var.name }

  disk {
    boot         = true
    auto_delete  = true
    source_image = var.image
    disk_type    = "pd-balanced"
    disk_size_gb = var.disk_size_gb
  }

  # No access_config: the VM has no public address.
  network_interface {
    network    = var.network_id
    subnetwork = var.subnetwork_id
    nic_type   = "GVNIC"
  }

  metadata = {
    "block-project-ssh-keys" = "TRUE"
    "enable-osconfig"        = "TRUE"
    "enable-oslogin"         = "TRUE"
    "startup-script"         = local.startup_script
  }

  # Not Spot: a preemption is a storm of reconnecting clients with 30 s notice.
  scheduling {
    automatic_restart   = true
    on_host_maintenance = "MIGRATE"
    preemptible         = false
    provisioning_model  = "STANDARD"
  }

  # What the account may do is its roles' business.
  service_account {
    email  = google_service_account.vm.email
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
  }

  shielded_instance_config {
    enable_integrity_monitoring = true
    enable_secure_boot          = true
    enable_vtpm                 = true
  }

  # VMs that were not rolled yet are repaired from the template before: infra/roll deletes it when no VM uses it.
  deletion_policy = "ABANDON"

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [
    google_secret_manager_secret_iam_member.files,
    google_secret_manager_secret_iam_member.redis_password,
    google_secret_manager_secret_iam_member.variables,
    google_storage_bucket_iam_member.release,
  ]
}

resource "google_compute_region_instance_group_manager" "vm" {
  project                   = var.project_id
  region                    = var.region
  name                      = var.name
  base_instance_name        = var.name
  distribution_policy_zones = var.zones
  # Even where it can be. EVEN would wait for a zone that is gone, and leave its share unmade.
  distribution_policy_target_shape = "BALANCED"
  target_size                      = var.target_size
  wait_for_instances               = false

  version {
    instance_template = google_compute_region_instance_template.vm.self_link
  }

  named_port {
    name = "http"
    port = var.port
  }

  # A VM may wait 600 s for its rights before it starts.
  auto_healing_policies {
    health_check      = google_compute_health_check.alive.id
    initial_delay_sec = 780
  }

  # Nothing is replaced because the template changed: the group would cut a VM's clients before the VM
  # hears of it. infra/roll drains a VM first, then replaces or removes it.
  update_policy {
    type                           = "OPPORTUNISTIC"
    minimal_action                 = "REPLACE"
    most_disruptive_allowed_action = "REPLACE"
    replacement_method             = "SUBSTITUTE"
    instance_redistribution_type   = "NONE"
    max_surge_fixed                = max(3, length(var.zones))
    max_unavailable_fixed          = 0
  }

  # A repaired VM gets the template that the roll has reached, not a newer one by surprise, and another zone if its own
  # cannot make it.
  instance_lifecycle_policy {
    force_update_on_repair = "NO"

    on_repair {
      allow_changing_zone = "YES"
    }
  }

  # Other zones would mean another group, and the end of this one with all of its clients.
  lifecycle {
    ignore_changes = [distribution_policy_zones]
  }
}

# Alive: the event loop turns. Not ready is no reason to replace a VM, or an outage of Redis would
# replace them all. Behind an SSL proxy too it sends no header of the PROXY protocol, without which an edge answers a proxy that
# speaks for itself: so it heals VMs alike that expect one and that do not, until a roll has ended.
resource "google_compute_health_check" "alive" {
  project             = var.project_id
  name                = "${var.name}-alive"
  check_interval_sec  = 10
  timeout_sec         = 10
  healthy_threshold   = 1
  unhealthy_threshold = 10

  http_health_check {
    port         = var.port
    request_path = "/healthz"
  }
}

# Google's front ends and health checks share these addresses.
resource "google_compute_firewall" "balancer" {
  project                 = var.network_project_id
  name                    = "${var.name}-from-balancer"
  network                 = var.network_id
  direction               = "INGRESS"
  source_ranges           = data.google_compute_lb_ip_ranges.google.http_ssl_tcp_internal
  target_service_accounts = [google_service_account.vm.email]

  allow {
    protocol = "tcp"
    ports    = [tostring(var.port)]
  }
}
