# Memorystore for Valkey as a Cluster, over Private Service Connect: each shard has a part of the channels.

# Memorystore makes its endpoints in this network, in the VMs' subnetwork. One policy serves all Clusters of a network and region.
resource "google_network_connectivity_service_connection_policy" "memorystore" {
  count = var.makes_connection_policy ? 1 : 0

  project       = var.network_project_id
  location      = var.region
  name          = "${var.name}-psc"
  description   = "Tradewind's Memorystore"
  network       = var.network_id
  service_class = "gcp-memorystore"

  psc_config {
    subnetworks = [var.subnetwork_id]
  }
}

resource "google_memorystore_instance" "main" {
  project                     = var.project_id
  location                    = var.region
  instance_id                 = var.name
  mode                        = "CLUSTER"
  engine_version              = var.engine_version
  node_type                   = var.node_type
  shard_count                 = var.shard_count
  replica_count               = var.replica_count
  authorization_mode          = "IAM_AUTH"
  transit_encryption_mode     = "SERVER_AUTHENTICATION"
  deletion_protection_enabled = var.deletion_protection

  engine_configs = {
    "maxmemory-policy" = var.maxmemory_policy
  }

  desired_auto_created_endpoints {
    network    = var.network_id
    project_id = var.network_project_id
  }

  zone_distribution_config {
    mode = "MULTI_ZONE"
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

  depends_on = [google_network_connectivity_service_connection_policy.memorystore]
}
