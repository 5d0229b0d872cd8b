resource "google_redis_instance" "main" {
  project                 = var.project_id
  region                  = var.region
  name                    = var.name
  display_name            = "Tradewind"
  tier                    = "STANDARD_HA"
  memory_size_gb          = var.memory_size_gb
  redis_version           = var.redis_version
  location_id             = var.zones[0]
  alternative_location_id = var.zones[1]
  authorized_network      = var.network_id
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"
  deletion_protection     = var.deletion_protection

  redis_configs = {
    "maxmemory-policy" = var.maxmemory_policy
  }

  maintenance_policy {
    weekly_maintenance_window {
      day = var.maintenance_day

      start_time {
        hours   = var.maintenance_hour
        minutes = 0
        seconds = 0
        nanos   = 0
      }
    }
  }

  # Other zones would mean another Redis, without what this one holds.
  lifecycle {
    ignore_changes = [location_id, alternative_location_id]

    precondition {
      condition     = var.managed_peering != null
      error_message = "Memorystore needs the network's peering with managed services."
    }
  }
}

# Google makes the password, so it is in the state; VMs read it from here, never from their metadata.
resource "google_secret_manager_secret" "auth" {
  project   = var.project_id
  secret_id = "${var.name}-auth"

  replication {
    auto {}
  }
}

# VMs read the latest version. The one before is disabled and not destroyed, so that a mistake can be undone.
resource "google_secret_manager_secret_version" "auth" {
  secret          = google_secret_manager_secret.auth.id
  secret_data     = google_redis_instance.main.auth_string
  deletion_policy = "DISABLE"

  lifecycle {
    create_before_destroy = true
  }
}

# Memorystore has one password for all: who may read it may publish, and read.
resource "google_secret_manager_secret_iam_member" "publishers" {
  for_each = toset(var.publishers)

  project   = var.project_id
  secret_id = google_secret_manager_secret.auth.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
