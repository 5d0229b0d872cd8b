# The smallest tier that is still highly available: two small edges, no ingest, certificate of a domain. Not protected.

module "tier" {
  source = "../.."

  project_id = var.project_id
  region     = var.region
  zones      = [for zone in ["b", "c", "d"] : "${var.region}-${zone}"]
  edge_count = 2
  release    = var.release

  admin_token = var.admin_token

  deletion_protection = false

  edge = {
    auth            = { kind = "jwt", hs256_secret_id = var.jwt_key_secret_id }
    balancer        = { certificate = { domains = [var.domain] } }
    machine         = { type = "e2-standard-2" }
    max_connections = 20000
  }

  memorystore = { memory_size_gb = 1 }
}
