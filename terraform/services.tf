# Edges and ingest: a group of VMs each, and the balancers in front of them.

locals {
  edge_host  = var.edge.balancer.host != null ? var.edge.balancer.host : var.edge.balancer.certificate.domains[0]
  ingest_url = var.ingest == null ? null : local.is_internal ? "http://${module.internal_balancer[0].ip_address}" : "https://${var.ingest.balancer.host != null ? var.ingest.balancer.host : var.ingest.balancer.certificate.domains[0]}"

  # Files on an edge, and the secrets that they hold.
  edge_secret_files = { for file, secret in { "jwt-key" = var.edge.auth.hs256_secret_id, "jwt-keys.json" = var.edge.auth.keys_secret_id } : file => secret if secret != null }

  # The balancer does TLS, and says who the client is: in X-Forwarded-For, before its own address, or by the PROXY protocol.
  edge_environment = merge(
    {
      EDGE_AUTH             = var.edge.auth.kind
      EDGE_PLAIN_BEHIND_TLS = "true"
      EDGE_TRUSTED_PROXIES  = join(",", concat(data.google_compute_lb_ip_ranges.google.http_ssl_tcp_internal, [module.edge_balancer.ip_address], var.edge.trusted_proxies))
      WS_MAX_CONNECTIONS    = tostring(var.edge.max_connections)
    },
    var.edge.balancer.kind == "connections" && var.edge.balancer.proxy_protocol ? { EDGE_PROXY_PROTOCOL = "v1" } : {},
    length(var.edge.origins) == 0 ? {} : { EDGE_ORIGINS = join(",", var.edge.origins) },
    { for name, value in {
      EDGE_JWKS_URL           = var.edge.auth.jwks_url
      EDGE_JWT_AUDIENCE       = var.edge.auth.audience
      EDGE_JWT_HS256_KEY_FILE = var.edge.auth.hs256_secret_id == null ? null : "/etc/tradewind/jwt-key"
      EDGE_JWT_ISSUER         = var.edge.auth.issuer
      EDGE_JWT_KEYS_FILE      = var.edge.auth.keys_secret_id == null ? null : "/etc/tradewind/jwt-keys.json"
    } : name => value if value != null },
  )

  groups = merge(
    { edge = {
      port             = 8080
      admin_port       = 9080
      count            = var.edge_count
      most             = try(var.autoscaler.max_count, null)
      machine          = var.edge.machine
      release          = var.release.edge
      drain_seconds    = var.edge.drain_seconds
      environment      = var.edge.environment
      secret_files     = local.edge_secret_files
      secret_variables = {}
    } },
    { for ingest in var.ingest[*] : "ingest" => {
      port       = 8081
      admin_port = 9081
      count      = ingest.count
      most       = null
      machine    = ingest.machine
      release    = var.release.ingest
      # Requests are short: what is in flight when the balancer has noticed has the rest of it.
      drain_seconds    = 30
      environment      = merge(ingest.environment, ingest.token_file_secret_id == null ? {} : { INGEST_TOKENS_FILE = "/etc/tradewind/ingest-tokens.json" })
      secret_files     = { for secret in ingest.token_file_secret_id[*] : "ingest-tokens.json" => secret }
      secret_variables = { for secret in ingest.tokens_secret_id[*] : "INGEST_TOKENS" => secret }
    } },
  )

  # By name: what goes through all groups would wait for all that they need.
  accounts = merge({ edge = module.vms["edge"].service_account_email }, { for ingest in var.ingest[*] : "ingest" => module.vms["ingest"].service_account_email })

  # For each group, the most VMs that it can have: with an autoscaler its greatest size, and what a roll adds.
  most = { for name, group in local.groups : name => coalesce(group.most, group.count) + max(3, length(local.zones)) }
  needs = [for name, group in local.groups : {
    metric  = contains(["e2", "n1"], split("-", group.machine.type)[0]) ? "CPUS" : "${upper(split("-", group.machine.type)[0])}_CPUS"
    cpus    = local.most[name] * try(tonumber(regex("-([0-9]+)$", group.machine.type)[0]), 2)
    disk_gb = local.most[name] * group.machine.disk_size_gb
    vms     = local.most[name]
  }]

  # A console's machine counts as well.
  all_needs = concat(local.needs, [for console in var.console[*] : {
    metric  = contains(["e2", "n1"], split("-", console.machine.type)[0]) ? "CPUS" : "${upper(split("-", console.machine.type)[0])}_CPUS"
    cpus    = try(tonumber(regex("-([0-9]+)$", console.machine.type)[0]), 2)
    disk_gb = console.machine.disk_size_gb
    vms     = 1
  }])
}

# The addresses of Google's front ends.
data "google_compute_lb_ip_ranges" "google" {}

module "vms" {
  source   = "./modules/vm_group"
  for_each = toset(concat(["edge"], var.ingest == null ? [] : ["ingest"]))

  name             = "${var.name}-${each.key}"
  service          = each.key
  project_id       = var.project_id
  region           = var.region
  zones            = local.zones
  port             = local.groups[each.key].port
  admin            = { port = local.groups[each.key].admin_port, token_secret_id = one(module.admin[*].token_secret_id) }
  environment      = merge(local.groups[each.key].environment, each.key == "edge" ? local.edge_environment : {}, { DRAIN_SECONDS = tostring(local.groups[each.key].drain_seconds) })
  secret_files     = local.groups[each.key].secret_files
  secret_variables = local.groups[each.key].secret_variables

  # What an autoscaler added is kept when it is switched off only if edge_count says so: README.md, "Change it".
  target_size = local.groups[each.key].most == null ? local.groups[each.key].count : null

  machine_type = local.groups[each.key].machine.type
  image        = local.groups[each.key].machine.image
  disk_size_gb = local.groups[each.key].machine.disk_size_gb

  network_id         = local.network.network_id
  network_project_id = local.network.project_id
  subnetwork_id      = local.network.subnetwork_id

  release_bucket  = var.release.bucket
  release_version = local.groups[each.key].release.version
  release_sha256  = local.groups[each.key].release.sha256
  release_object  = local.groups[each.key].release.object

  redis_url                = local.redis.has_users ? replace(local.redis.url, "://", "://${each.key}@") : local.redis.url
  redis_ca_pem             = local.redis.ca_pem
  redis_password_secret_id = local.redis.passwords[each.key]
  redis_mode               = local.uses_cluster ? "cluster" : "single"

  depends_on = [time_sleep.apis]
}

# How many VMs each group has. Here and not in a module that waits for the APIs: what such a module reads is read after the
# change where that switches an API on, and then it is too late to refuse it. Through a local value: what refers to the
# modules themselves waits for them as well.
data "google_compute_region_instance_group" "now" {
  for_each = local.instance_groups

  self_link = each.value
}

locals {
  instance_groups = { for name, group in local.groups : name => module.vms[name].instance_group }

  sizes = { for name, group in data.google_compute_region_instance_group.now : name => group.size }

  # By how many VMs a plan would lower each group; with an autoscaler it decides nothing.
  lowered = { for name, group in local.groups : name => max(0, local.sizes[name] - coalesce(module.vms[name].target_size, local.sizes[name])) }
  why_not = { for name, group in local.groups : name => "The group ${var.name}-${name} has ${local.sizes[name]} VMs. Lowering its number to ${local.sizes[name] - local.lowered[name]} here would cut clients without a word. Drain and remove VMs first, then write the number that this prints: npm run roll -- --mig ${var.name}-${name} --admin-port ${group.admin_port} --region ${var.region} --project ${var.project_id} --remove-count ${local.lowered[name]} (with the token's options of how_to_roll). While a roll with --surge is under way, wait for its end." }
}

# Adds VMs only: it cannot know which clients it would cut. It refers to the group, not the other way
# round, so that switching it on or off leaves the group as it is.
resource "google_compute_region_autoscaler" "edge" {
  count = var.autoscaler == null ? 0 : 1

  project = var.project_id
  region  = var.region
  name    = "${var.name}-edge"
  target  = module.vms["edge"].group_id

  autoscaling_policy {
    mode            = "ONLY_SCALE_OUT"
    min_replicas    = var.edge_count
    max_replicas    = var.autoscaler.max_count
    cooldown_period = var.autoscaler.cooldown_sec

    cpu_utilization {
      target = var.autoscaler.cpu_target
    }

    # Series of another resource than a VM are summed and shared out over the group.
    metric {
      name                       = "prometheus.googleapis.com/tradewind_edge_connections/gauge"
      filter                     = "resource.type = \"prometheus_target\" AND metric.labels.instance_group = \"${var.name}-edge\""
      single_instance_assignment = floor(var.edge.max_connections * var.autoscaler.connections_target)
    }
  }
}

module "edge_balancer" {
  source = "./modules/balancer"

  name                   = "${var.name}-edge"
  project_id             = var.project_id
  kind                   = var.edge.balancer.kind
  certificate_domains    = var.edge.balancer.certificate.domains
  certificate_self_links = var.edge.balancer.certificate.self_links
  timeout_sec            = var.edge.balancer.timeout_sec
  draining_timeout_sec   = var.edge.balancer.draining_timeout_sec
  throttle_requests      = var.edge.balancer.throttle.requests
  throttle_interval_sec  = var.edge.balancer.throttle.interval_sec
  throttle_preview       = var.edge.balancer.throttle.preview
  connection_limit       = var.edge.max_connections
  proxy_protocol         = var.edge.balancer.proxy_protocol
  instance_group         = module.vms["edge"].instance_group
  port                   = local.groups.edge.port

  depends_on = [time_sleep.apis]
}

module "ingest_balancer" {
  source = "./modules/balancer"
  count  = var.ingest == null || local.is_internal ? 0 : 1

  name                   = "${var.name}-ingest"
  project_id             = var.project_id
  certificate_domains    = var.ingest.balancer.certificate.domains
  certificate_self_links = var.ingest.balancer.certificate.self_links
  timeout_sec            = var.ingest.balancer.timeout_sec
  throttle_requests      = var.ingest.balancer.throttle.requests
  throttle_interval_sec  = var.ingest.balancer.throttle.interval_sec
  throttle_preview       = var.ingest.balancer.throttle.preview
  instance_group         = module.vms["ingest"].instance_group
  port                   = local.groups.ingest.port

  depends_on = [time_sleep.apis]
}

module "internal_balancer" {
  source = "./modules/internal_balancer"
  count  = local.is_internal ? 1 : 0

  name                  = "${var.name}-ingest"
  project_id            = var.project_id
  region                = var.region
  network_id            = local.network.network_id
  network_project_id    = local.network.project_id
  subnetwork_id         = local.network.subnetwork_id
  proxy_subnetwork_id   = module.network.proxy_subnetwork_id
  proxy_subnet_cidr     = var.network.proxy_subnet_cidr
  timeout_sec           = var.ingest.balancer.timeout_sec
  instance_group        = module.vms["ingest"].instance_group
  service_account_email = module.vms["ingest"].service_account_email
  port                  = local.groups.ingest.port

  depends_on = [time_sleep.apis]
}
