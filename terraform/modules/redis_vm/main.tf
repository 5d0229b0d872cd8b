# Redis on two VMs, each with its own data disk: one takes writes, the other copies it. Which one is var.primary; there
# is no automatic failover (README.md says how to do it by hand).

locals {
  vms         = { a = var.zones[0], b = var.zones[1] }
  uses_tls    = var.tls != null
  host_name   = "redis.${var.name}.internal"
  secret_path = "projects/${var.project_id}/secrets"

  # What each user may do is said by startup/redis-users.sh: by its name, and a publisher by its channels.
  users = merge(
    { for name, password in var.passwords : name => { password = password, channels = [] } if password != null },
    var.publishers,
  )
  secrets = toset(concat([for user in values(local.users) : user.password], local.uses_tls ? [var.tls.certificate, var.tls.key] : []))

  configuration = { for vm, zone in local.vms : vm => join("", [
    local.uses_tls ? join("\n", [
      "port 0",
      "tls-port 6379",
      "tls-cert-file /etc/tradewind-redis/tls.crt",
      "tls-key-file /etc/tradewind-redis/tls.key",
      "tls-auth-clients no",
      "tls-replication yes",
      # The replica checks the primary's certificate against the same authority.
      "tls-ca-cert-file /etc/tradewind-redis/ca.pem",
      "",
    ]) : "port 6379\n",
    join("\n", [
      # Reached by its private address only, and by users with a password only.
      "bind * -::*",
      "protected-mode no",
      "maxclients 10000",
      "tcp-keepalive 60",
      "maxmemory-policy ${var.maxmemory_policy}",
      # An edge that reads nothing for so long is cut off, and repairs what it missed from history.
      "client-output-buffer-limit pubsub ${var.pubsub_output_buffer.hard_mb}mb ${var.pubsub_output_buffer.soft_mb}mb ${var.pubsub_output_buffer.soft_seconds}",
      "client-output-buffer-limit replica 256mb 128mb 60",
      # What a publisher can cost is bounded as in infra/redis/redis.conf.
      "client-output-buffer-limit normal 512mb 256mb 60",
      "client-query-buffer-limit 64mb",
      "proto-max-bulk-len 1mb",
      "lazyfree-lazy-user-del yes",
      "lazyfree-lazy-server-del yes",
      "lazyfree-lazy-expire yes",
      "appendonly yes",
      "appendfsync everysec",
      "repl-backlog-size 64mb",
      "masteruser replication",
      "",
    ]),
    vm == var.primary ? "" : "replicaof ${google_compute_address.vm[var.primary].address} 6379\n",
  ]) }
}

resource "google_compute_address" "vm" {
  for_each = local.vms

  project      = var.project_id
  region       = var.region
  name         = "${var.name}-${each.key}"
  address_type = "INTERNAL"
  subnetwork   = var.subnetwork_id
}

resource "google_compute_disk" "data" {
  # checkov:skip=CKV_GCP_37: Google encrypts it; a key of the customer would have to be given at each boot
  for_each = local.vms

  project = var.project_id
  zone    = each.value
  name    = "${var.name}-${each.key}-data"
  type    = "pd-ssd"
  size    = var.disk_size_gb

  # In which zone it is was decided when it was made.
  lifecycle {
    prevent_destroy = true
    ignore_changes  = [zone]
  }
}

resource "google_compute_instance" "vm" {
  # checkov:skip=CKV_GCP_38: as with its data disk
  for_each = local.vms

  project                   = var.project_id
  zone                      = each.value
  name                      = "${var.name}-${each.key}"
  machine_type              = var.machine_type
  labels                    = { "tradewind-service" = "redis", "tradewind-group" = var.name }
  allow_stopping_for_update = false

  boot_disk {
    initialize_params {
      image = var.image
      size  = 20
      type  = "pd-balanced"
    }
  }

  attached_disk {
    source      = google_compute_disk.data[each.key].id
    device_name = "redis-data"
  }

  # No access_config: the VM has no public address.
  network_interface {
    network    = var.network_id
    subnetwork = var.subnetwork_id
    network_ip = google_compute_address.vm[each.key].address
    nic_type   = "GVNIC"
  }

  # Changed in place, and read at the next boot: what a running Redis does is its operator's to change.
  metadata = {
    "block-project-ssh-keys" = "TRUE"
    "enable-osconfig"        = "TRUE"
    "enable-oslogin"         = "TRUE"
    "startup-script" = templatefile("${path.module}/../../startup/redis-startup.sh.tftpl", {
      engine               = var.release.engine
      version              = var.release.version
      bucket               = var.release.bucket
      object               = coalesce(var.release.object, "${var.release.engine}-${var.release.version}.tar.gz")
      sha256               = var.release.sha256
      configuration_base64 = base64encode(local.configuration[each.key])
      users_base64 = base64encode(join("", [
        for name, user in local.users : "${join(" ", concat([name, "${local.secret_path}/${user.password}/versions/latest"], user.channels))}\n"
      ]))
      secret_files_base64 = base64encode(local.uses_tls ? join("", [
        "tls.crt ${local.secret_path}/${var.tls.certificate}/versions/latest\n",
        "tls.key ${local.secret_path}/${var.tls.key}/versions/latest\n",
      ]) : "")
      ca_base64           = base64encode(local.uses_tls ? var.tls.ca_pem : "")
      replication_secret  = "${local.secret_path}/${var.passwords.replication}/versions/latest"
      library_base64      = base64encode("#!lua name=tradewind_functions_1\n${file("${path.module}/../../../docs/publish/tradewind_publish_1.lua")}")
      memory_percent      = var.memory_percent
      root                = ""
      metadata_host       = "http://metadata.google.internal"
      storage_host        = "https://storage.googleapis.com"
      secret_manager_host = "https://secretmanager.googleapis.com"
      functions           = file("${path.module}/../../startup/functions.sh")
      users_functions     = file("${path.module}/../../startup/redis-users.sh")
    })
  }

  scheduling {
    automatic_restart   = true
    on_host_maintenance = "MIGRATE"
    preemptible         = false
    provisioning_model  = "STANDARD"
  }

  service_account {
    email  = google_service_account.vm.email
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
  }

  shielded_instance_config {
    enable_integrity_monitoring = true
    enable_secure_boot          = true
    enable_vtpm                 = true
  }

  # Neither a newer image nor other zones are a reason to replace a Redis.
  lifecycle {
    ignore_changes = [zone, boot_disk[0].initialize_params[0].image]
  }

  depends_on = [
    google_secret_manager_secret_iam_member.vm,
    google_storage_bucket_iam_member.release,
  ]
}

resource "google_compute_firewall" "clients" {
  project                 = var.network_project_id
  name                    = "${var.name}-from-clients"
  network                 = var.network_id
  direction               = "INGRESS"
  source_service_accounts = concat(var.client_service_accounts, [google_service_account.vm.email])
  target_service_accounts = [google_service_account.vm.email]

  allow {
    protocol = "tcp"
    ports    = ["6379"]
  }
}

# Publishers whose account the network does not know: of another network, or not of Google's.
resource "google_compute_firewall" "client_ranges" {
  count = length(var.client_ranges) > 0 ? 1 : 0

  project                 = var.network_project_id
  name                    = "${var.name}-from-client-ranges"
  network                 = var.network_id
  direction               = "INGRESS"
  source_ranges           = var.client_ranges
  target_service_accounts = [google_service_account.vm.email]

  allow {
    protocol = "tcp"
    ports    = ["6379"]
  }
}

# Clients know a name, so that a failover changes one record and no template.
resource "google_dns_managed_zone" "internal" {
  project     = var.project_id
  name        = var.name
  dns_name    = "${var.name}.internal."
  description = "Tradewind's Redis"
  visibility  = "private"

  private_visibility_config {
    networks {
      network_url = var.network_id
    }
  }
}

resource "google_dns_record_set" "primary" {
  project      = var.project_id
  managed_zone = google_dns_managed_zone.internal.name
  name         = "${local.host_name}."
  type         = "A"
  ttl          = 5
  rrdatas      = [google_compute_address.vm[var.primary].address]
}

resource "google_service_account" "vm" {
  project      = var.project_id
  account_id   = var.name
  display_name = "Tradewind Redis"

  # One that a lost answer left behind is taken over.
  create_ignore_already_exists = true
}

resource "google_project_iam_member" "log_writer" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.vm.member
}

resource "google_project_iam_member" "metric_writer" {
  project = var.project_id
  role    = "roles/monitoring.metricWriter"
  member  = google_service_account.vm.member
}

resource "google_storage_bucket_iam_member" "release" {
  bucket = var.release.bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.vm.member
}

resource "google_secret_manager_secret_iam_member" "vm" {
  for_each = local.secrets

  project   = var.project_id
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.vm.member
}
