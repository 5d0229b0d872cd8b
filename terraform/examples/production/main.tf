# A tier to run: edges behind the application balancer, ingest within the network, Memorystore, alerts. Copy this folder and
# change what should be another way; modules/*/README.md list what there is.

module "tier" {
  source = "../.."

  project_id = var.project_id
  region     = var.region
  zones      = var.zones
  edge_count = var.edge_count
  release    = var.release

  admin_token = var.admin_token

  deletion_protection = var.deletion_protection
  publishers          = var.publishers

  edge = {
    auth     = var.auth
    origins  = var.origins
    balancer = { certificate = { domains = [var.domain] } }
  }

  ingest = var.ingest_token_file_secret_id == null ? null : { token_file_secret_id = var.ingest_token_file_secret_id }

  admin      = { operators = var.operators, token_version = var.admin_token_version }
  monitoring = { email = var.email }

  # Adds edges by itself, up to 10; edge_count is then the least.
  # autoscaler = { max_count = 10 }
}
