# The whole tier: a network, Redis, edges behind a global balancer, ingest, alerts.

locals {
  uses_memorystore = var.memorystore != null
  uses_cluster     = var.redis_cluster != null
  is_internal      = try(var.ingest.balancer.exposure == "internal", false)
  needs_iap        = var.network.iap_ssh || try(var.admin.iap_tunnels, false) || var.console != null
  network          = { network_id = module.network.network_id, subnetwork_id = module.network.subnetwork_id, project_id = module.network.network_project_id }

  # Memorystore, its Cluster and a Redis that is there say the same of themselves.
  redis = one(concat(var.redis[*], module.redis[*].redis, module.redis_cluster[*].redis))

  # Whether or not they are all up just now: an outage is no reason to plan anything.
  region_zones = one(data.google_compute_zones.region[*].names)
  zones        = var.zones != null ? var.zones : slice(local.region_zones, 0, min(3, length(local.region_zones)))

  # The APIs that the modules use; an API stays on when the tier goes.
  services = toset(concat(
    ["certificatemanager", "cloudresourcemanager", "compute", "iam", "logging", "monitoring", "secretmanager", "storage"],
    local.needs_iap ? ["iap"] : [],
    # A Redis that is there may be modules/redis_vm, which has a name.
    local.uses_memorystore ? ["redis", "servicenetworking"] : local.uses_cluster ? ["memorystore", "networkconnectivity"] : ["dns"],
    var.monitoring.enabled && var.monitoring.install_ops_agent ? ["osconfig"] : [],
  ))
}

# Read while planning, so the project must have the Compute Engine API already.
data "google_compute_zones" "region" {
  count = var.zones == null ? 1 : 0

  project = var.project_id
  region  = var.region
}

resource "google_project_service" "api" {
  for_each = local.services

  project            = var.project_id
  service            = "${each.value}.googleapis.com"
  disable_on_destroy = false
}

# An API that was switched on a moment ago answers 403 here and there, which the provider takes for an answer.
resource "time_sleep" "apis" {
  create_duration = "60s"
  triggers        = { services = join(",", local.services) }

  depends_on = [google_project_service.api]
}

module "network" {
  source = "./modules/network"

  name              = var.name
  project_id        = var.project_id
  region            = var.region
  subnet_cidr       = var.network.subnet_cidr
  proxy_subnet_cidr = local.is_internal ? var.network.proxy_subnet_cidr : null
  iap_ssh           = var.network.iap_ssh
  managed_redis     = local.uses_memorystore
  nat               = var.network.nat

  uses_existing                = var.network.existing != null
  existing_network_id          = try(var.network.existing.network_id, null)
  existing_subnetwork_id       = try(var.network.existing.subnetwork_id, null)
  existing_proxy_subnetwork_id = try(var.network.existing.proxy_subnetwork_id, null)
  makes_peering                = try(var.network.existing.makes_peering, false)

  depends_on = [time_sleep.apis]
}

module "redis" {
  source = "./modules/redis"
  count  = local.uses_memorystore ? 1 : 0

  name                = "${var.name}-redis"
  project_id          = var.project_id
  region              = var.region
  zones               = local.zones
  network_id          = module.network.network_id
  managed_peering     = module.network.managed_peering
  publishers          = var.publishers
  deletion_protection = var.deletion_protection
  memory_size_gb      = var.memorystore.memory_size_gb
  redis_version       = var.memorystore.version
  maxmemory_policy    = var.memorystore.maxmemory_policy
  maintenance_day     = var.memorystore.maintenance.day
  maintenance_hour    = var.memorystore.maintenance.hour

  depends_on = [time_sleep.apis]
}

module "redis_cluster" {
  source = "./modules/redis_cluster"
  count  = local.uses_cluster ? 1 : 0

  name                    = "${var.name}-redis"
  project_id              = var.project_id
  region                  = var.region
  network_id              = local.network.network_id
  network_project_id      = local.network.project_id
  subnetwork_id           = local.network.subnetwork_id
  makes_connection_policy = var.redis_cluster.makes_connection_policy
  deletion_protection     = var.deletion_protection
  shard_count             = var.redis_cluster.shard_count
  replica_count           = var.redis_cluster.replica_count
  node_type               = var.redis_cluster.node_type
  engine_version          = var.redis_cluster.engine_version
  maxmemory_policy        = var.redis_cluster.maxmemory_policy
  maintenance_day         = var.redis_cluster.maintenance.day
  maintenance_hour        = var.redis_cluster.maintenance.hour

  depends_on = [time_sleep.apis]
}

# The Cluster's users are accounts: who may connect may publish and read everything. Here and not in its module, which the VMs wait for.
resource "google_project_iam_member" "redis_clients" {
  for_each = local.uses_cluster ? merge(
    { for name, email in local.accounts : name => "serviceAccount:${email}" },
    { for console in module.console : "console" => "serviceAccount:${console.service_account_email}" },
    { for member in var.publishers : member => member },
  ) : {}

  project = var.project_id
  role    = "roles/memorystore.dbConnectionUser"
  member  = each.value

  condition {
    title      = "only-${var.name}-redis"
    expression = "resource.name == \"projects/${var.project_id}/locations/${var.region}/instances/${var.name}-redis\""
  }
}

module "admin" {
  source = "./modules/admin"
  count  = var.admin == null ? 0 : 1

  name               = var.name
  project_id         = var.project_id
  network_id         = local.network.network_id
  network_project_id = local.network.project_id
  operators          = var.admin.operators
  source_ranges      = var.admin.source_ranges
  iap_tunnels        = var.admin.iap_tunnels
  token              = var.admin_token
  token_version      = var.admin.token_version
  services           = { for name, group in local.groups : name => { port = group.admin_port, service_account_email = local.accounts[name] } }

  depends_on = [time_sleep.apis]
}

module "console" {
  source = "./modules/console"
  count  = var.console == null ? 0 : 1

  name               = "${var.name}-console"
  project_id         = var.project_id
  zone               = local.zones[0]
  network_id         = local.network.network_id
  network_project_id = local.network.project_id
  subnetwork_id      = local.network.subnetwork_id

  machine_type = var.console.machine.type
  image        = var.console.machine.image
  disk_size_gb = var.console.machine.disk_size_gb

  release_bucket  = var.release.bucket
  release_version = var.release.console.version
  release_sha256  = var.release.console.sha256
  release_object  = var.release.console.object

  redis_url                = local.redis.has_users ? replace(local.redis.url, "://", "://console@") : local.redis.url
  redis_ca_pem             = local.redis.ca_pem
  redis_password_secret_id = local.redis.passwords.console
  redis_mode               = local.uses_cluster ? "cluster" : "single"

  token_secret_id        = var.console.token_secret_id
  admin_token_secret_id  = module.admin[0].token_secret_id
  edge_token_secret_id   = var.console.edge_token_secret_id
  ingest_token_secret_id = var.console.ingest_token_secret_id

  # Without a way out only what is within the network can be reached.
  edge_urls     = coalesce(var.console.edge_urls, var.network.nat ? ["wss://${local.edge_host}/ws"] : [])
  ingest_url    = local.is_internal || var.network.nat ? local.ingest_url : null
  node_networks = coalesce(var.console.node_networks, [var.network.subnet_cidr])
  nodes         = { for name, group in local.groups : name => { admin_port = group.admin_port, service_account_email = local.accounts[name] } }

  depends_on = [time_sleep.apis]
}

module "monitoring" {
  source = "./modules/monitoring"
  count  = var.monitoring.enabled ? 1 : 0

  name                  = var.name
  project_id            = var.project_id
  zones                 = local.zones
  notification_channels = var.monitoring.notification_channels
  install_ops_agent     = var.monitoring.install_ops_agent
  rules_directory       = var.monitoring.rules_directory
  email                 = var.monitoring.email
  host                  = local.edge_host
  memorystore           = local.uses_memorystore ? { id = module.redis[0].id } : null

  groups = { for name, group in local.groups : name => { name = module.vms[name].group_name, least = group.count, most = group.most } }

  depends_on = [time_sleep.apis]
}

module "status" {
  source   = "./modules/group_status"
  for_each = local.groups

  name           = module.vms[each.key].group_name
  project_id     = var.project_id
  region         = var.region
  manager        = module.vms[each.key].self_link
  instance_group = module.vms[each.key].instance_group
  least          = each.value.count

  depends_on = [time_sleep.apis]
}

# It needs all of the tier, and so is what a destroy begins with; while it refuses, nothing has gone. (Memorystore's own
# protection would refuse last, when the edges are gone.)
resource "terraform_data" "protection" {
  input = var.deletion_protection ? "on" : "off"

  provisioner "local-exec" {
    when    = destroy
    command = "test ${self.output} = off || { echo 'The tier is protected, and nothing was destroyed. Set deletion_protection = false and apply first (README.md, Take it down).' >&2; exit 1; }"
  }

  depends_on = [google_compute_region_autoscaler.edge, module.admin, module.console, module.edge_balancer, module.ingest_balancer, module.internal_balancer, module.monitoring, module.network, module.redis, module.redis_cluster, module.vms]
}
