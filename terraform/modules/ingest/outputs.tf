output "admin_port" {
  description = "Port that infra/roll and the metrics' reader ask."
  value       = local.admin_port
}

output "dns_records" {
  description = "What the domains need in DNS."
  value       = flatten(module.balancer[*].dns_records)
}

output "drain_seconds" {
  description = "Seconds from the order to drain until requests in flight are cut off."
  value       = local.drain_seconds
}

output "group_name" {
  description = "Name of the managed instance group, for infra/roll."
  value       = module.vms.group_name
}

output "ip_address" {
  description = "Address of the balancer: within the network, or public."
  value       = local.is_internal ? google_compute_forwarding_rule.internal[0].ip_address : module.balancer[0].ip_address
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
  description = "Service account of the VMs."
  value       = module.vms.service_account_email
}

output "target_size" {
  description = "Number of VMs that the group is told to have."
  value       = module.vms.target_size
}

output "url" {
  description = "Where publishers send their requests to."
  value = local.is_internal ? "http://${google_compute_forwarding_rule.internal[0].ip_address}" : (
    "https://${var.balancer.host != null ? var.balancer.host : var.balancer.certificate.domains[0]}"
  )
}
