output "admin_port" {
  description = "Port that infra/roll and the metrics' reader ask."
  value       = local.admin_port
}

output "autoscaled" {
  description = "Whether an autoscaler adds edges."
  value       = length(google_compute_region_autoscaler.scale_out) == 1
}

output "backend_service" {
  description = "Name of the balancer's backend service, whose health check asks /readyz."
  value       = module.balancer.backend_service
}

output "dns_records" {
  description = "What the domains need in DNS."
  value       = module.balancer.dns_records
}

output "drain_seconds" {
  description = "Seconds from the order to drain until all clients are gone."
  value       = var.drain_seconds
}

output "group_id" {
  description = "ID of the managed instance group."
  value       = module.vms.group_id
}

output "group_name" {
  description = "Name of the managed instance group, for infra/roll."
  value       = module.vms.group_name
}

output "host" {
  description = "Host that clients connect to."
  value       = local.host
}

output "ip_address" {
  description = "Public IPv4 address of the balancer."
  value       = module.balancer.ip_address
}

output "group_links" {
  description = "Self links of the managed instance group (manager), and of the instance group."
  value       = { manager = module.vms.self_link, instance_group = module.vms.instance_group }
}

output "machine" {
  description = "The VMs: machine type, and size of the boot disk in GB where it is not 20."
  value       = { type = var.machine.type, disk_size_gb = var.machine.disk_size_gb }
}

output "service_account_email" {
  description = "Service account of the edges."
  value       = module.vms.service_account_email
}

output "target_size" {
  description = "Number of edges that the group is told to have; not set while an autoscaler decides."
  value       = module.vms.target_size
}

output "websocket_url" {
  description = "Where clients connect to."
  value       = "wss://${local.host}/ws"
}
