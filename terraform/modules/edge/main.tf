# The edges: one regional group behind one global balancer.

locals {
  port       = 8080
  admin_port = 9080
  host       = var.balancer.host != null ? var.balancer.host : var.balancer.certificate.domains[0]

  environment = merge(var.environment, {
    DRAIN_SECONDS      = tostring(var.drain_seconds)
    WS_MAX_CONNECTIONS = tostring(var.max_connections)
  })

  # What an autoscaler added is kept when it is switched off only if edge_count says so: see README.md.
  target_size = var.autoscaler == null ? var.edge_count : null
}

module "vms" {
  source = "../vm_group"

  name        = var.name
  service     = "edge"
  project_id  = var.project_id
  region      = var.region
  zones       = var.zones
  network     = var.network
  machine     = var.machine
  port        = local.port
  admin       = { port = local.admin_port, token_secret_id = var.admin_token_secret_id }
  redis       = var.redis
  release     = var.release
  environment = local.environment
  target_size = local.target_size
}

module "balancer" {
  source = "../balancer"

  name                 = var.name
  project_id           = var.project_id
  kind                 = var.balancer.kind
  certificate          = var.balancer.certificate
  timeout_sec          = var.balancer.timeout_sec
  draining_timeout_sec = var.balancer.draining_timeout_sec
  throttle             = var.balancer.throttle
  connection_limit     = var.max_connections
  instance_group       = module.vms.instance_group
  port                 = local.port
}

# Adds VMs only: it cannot know which clients it would cut. It refers to the group, not the other way
# round, so that switching it on or off leaves the group as it is.
resource "google_compute_region_autoscaler" "scale_out" {
  count = var.autoscaler == null ? 0 : 1

  project = var.project_id
  region  = var.region
  name    = var.name
  target  = module.vms.group_id

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
      filter                     = "resource.type = \"prometheus_target\" AND metric.labels.instance_group = \"${var.name}\""
      single_instance_assignment = floor(var.max_connections * var.autoscaler.connections_target)
    }
  }
}
