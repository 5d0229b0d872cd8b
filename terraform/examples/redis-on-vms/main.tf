# A tier with Redis or Valkey on two VMs of its own: users with rights of their own, larger buffers, and nobody who fails it
# over but you (modules/redis_vm/README.md).

locals {
  zones = [for zone in ["b", "c", "d"] : "${var.region}-${zone}"]
}

module "tier" {
  source = "../.."

  project_id = var.project_id
  region     = var.region
  zones      = local.zones
  release    = var.release

  admin_token = var.admin_token

  deletion_protection = var.deletion_protection

  edge = {
    auth     = { kind = "jwt", hs256_secret_id = var.jwt_key_secret_id }
    balancer = { certificate = { domains = [var.domain] } }
  }

  ingest = var.ingest_token_file_secret_id == null ? null : { token_file_secret_id = var.ingest_token_file_secret_id }

  memorystore = null
  redis       = module.redis.redis
}

module "redis" {
  source = "../../modules/redis_vm"

  name         = "tradewind-redis"
  project_id   = var.project_id
  region       = var.region
  zones        = local.zones
  release      = var.redis_release
  primary      = var.redis_primary
  machine_type = var.redis_machine_type

  network_id         = module.tier.network.network_id
  network_project_id = module.tier.network.project_id
  subnetwork_id      = module.tier.network.subnetwork_id

  # Publishers connect as their accounts, which stand here beside the tier's.
  client_service_accounts = module.tier.client_service_accounts

  # These secrets exist before. Each publisher has a user, and may publish to the channels that are named.
  passwords  = { admin = "redis-admin", edge = "redis-edge", ingest = "redis-ingest", replication = "redis-replication" }
  publishers = { pricing = { password = "redis-pricing", channels = ["*"] } }
}
