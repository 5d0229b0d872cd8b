# A tier in a network that is there, so that backends in it publish into Redis where they are.

module "tier" {
  source = "../.."

  project_id = var.project_id
  region     = var.region
  zones      = [for zone in ["b", "c", "d"] : "${var.region}-${zone}"]
  release    = var.release

  admin_token = var.admin_token
  publishers  = var.publishers

  # The peering with managed services is there already; makes_peering = true where it is not.
  network = {
    existing = { network_id = var.network_id, subnetwork_id = var.subnetwork_id }
  }

  edge = {
    auth     = { kind = "jwt", hs256_secret_id = var.jwt_key_secret_id }
    balancer = { certificate = { domains = [var.domain] } }
  }
}
