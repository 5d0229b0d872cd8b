# The whole tier: a network, Redis, edges behind a global balancer, ingest, alerts.

locals {
  uses_memorystore = var.memorystore != null
  needs_proxies    = try(var.ingest.balancer.exposure == "internal", false)
  needs_iap        = var.network.iap_ssh || try(var.admin.iap_tunnels, false)
  network          = { network_id = module.network.network_id, subnetwork_id = module.network.subnetwork_id, project_id = module.network.network_project_id }

  # Memorystore and an existing Redis say the same of themselves.
  redis = one(concat(var.redis[*], module.redis[*].redis))
  redis_clients = { for service, secret in local.redis.passwords : service => {
    url                = local.redis.has_users ? replace(local.redis.url, "://", "://${service}@") : local.redis.url
    ca_pem             = local.redis.ca_pem
    password_secret_id = secret
  } }

  # Whether or not they are all up just now: an outage is no reason to plan anything.
  region_zones = one(data.google_compute_zones.region[*].names)
  zones        = var.zones != null ? var.zones : slice(local.region_zones, 0, min(3, length(local.region_zones)))

  # For each group, the most VMs that it can have: with an autoscaler its greatest size, and what a roll adds.
  spare = max(3, length(local.zones))
  groups = concat(
    [{ machine = module.edge.machine, vms = (var.autoscaler == null ? var.edge_count : var.autoscaler.max_count) + local.spare }],
    [for ingest in module.ingest : { machine = ingest.machine, vms = ingest.target_size + local.spare }],
  )
  needs = [for group in local.groups : {
    metric  = contains(["e2", "n1"], split("-", group.machine.type)[0]) ? "CPUS" : "${upper(split("-", group.machine.type)[0])}_CPUS"
    cpus    = group.vms * try(tonumber(regex("-([0-9]+)$", group.machine.type)[0]), 2)
    disk_gb = group.vms * coalesce(group.machine.disk_size_gb, 20)
    vms     = group.vms
  }]

  # The APIs that the modules use; an API stays on when the tier goes.
  services = toset(concat(
    ["certificatemanager", "cloudresourcemanager", "compute", "iam", "logging", "monitoring", "secretmanager", "storage"],
    local.needs_iap ? ["iap"] : [],
    # An existing Redis may be modules/redis_vm, which has a name.
    local.uses_memorystore ? ["redis", "servicenetworking"] : ["dns"],
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
  proxy_subnet_cidr = local.needs_proxies ? var.network.proxy_subnet_cidr : null
  iap_ssh           = var.network.iap_ssh
  managed_redis     = local.uses_memorystore
  existing          = var.network.existing
  nat               = var.network.nat

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

module "admin" {
  source = "./modules/admin"
  count  = var.admin == null ? 0 : 1

  name          = var.name
  project_id    = var.project_id
  network       = local.network
  operators     = var.admin.operators
  source_ranges = var.admin.source_ranges
  iap_tunnels   = var.admin.iap_tunnels
  token         = var.admin_token
  token_version = var.admin.token_version

  services = merge(
    { edge = { port = module.edge.admin_port, service_account_email = module.edge.service_account_email } },
    var.ingest == null ? {} : { ingest = { port = module.ingest[0].admin_port, service_account_email = module.ingest[0].service_account_email } },
  )

  depends_on = [time_sleep.apis]
}

module "edge" {
  source = "./modules/edge"

  name                  = "${var.name}-edge"
  project_id            = var.project_id
  region                = var.region
  zones                 = local.zones
  network               = local.network
  redis                 = local.redis_clients["edge"]
  release               = merge(var.release.edge, { bucket = var.release.bucket })
  admin_token_secret_id = one(module.admin[*].token_secret_id)
  edge_count            = var.edge_count
  autoscaler            = var.autoscaler
  balancer              = var.edge.balancer
  max_connections       = var.edge.max_connections
  drain_seconds         = var.edge.drain_seconds
  machine               = var.edge.machine
  environment           = var.edge.environment

  depends_on = [time_sleep.apis]
}

module "ingest" {
  source = "./modules/ingest"
  count  = var.ingest == null ? 0 : 1

  name                  = "${var.name}-ingest"
  project_id            = var.project_id
  region                = var.region
  zones                 = local.zones
  redis                 = local.redis_clients["ingest"]
  release               = merge(var.release.ingest, { bucket = var.release.bucket })
  admin_token_secret_id = one(module.admin[*].token_secret_id)
  tokens_secret_id      = var.ingest.tokens_secret_id
  ingest_count          = var.ingest.count
  balancer              = var.ingest.balancer
  machine               = var.ingest.machine
  environment           = var.ingest.environment

  network = merge(local.network, {
    proxy_subnetwork_id = module.network.proxy_subnetwork_id
    proxy_subnet_cidr   = local.needs_proxies ? var.network.proxy_subnet_cidr : null
  })

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
  host                  = module.edge.host
  memorystore           = local.uses_memorystore ? { id = module.redis[0].id } : null

  groups = merge(
    { edge = { name = module.edge.group_name, least = var.edge_count } },
    var.ingest == null ? {} : { ingest = { name = module.ingest[0].group_name, least = module.ingest[0].target_size } },
  )

  depends_on = [time_sleep.apis]
}

module "status" {
  source   = "./modules/group_status"
  for_each = merge({ edge = module.edge }, { for ingest in module.ingest : "ingest" => ingest })

  name           = each.value.group_name
  project_id     = var.project_id
  region         = var.region
  manager        = each.value.group_links.manager
  instance_group = each.value.group_links.instance_group
  least          = each.key == "edge" ? var.edge_count : each.value.target_size

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

  depends_on = [module.admin, module.edge, module.ingest, module.monitoring, module.network, module.redis]
}
