output "admin_port" {
  description = "Port that infra/roll and the metrics' reader ask."
  value       = local.admin_port
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

output "service_account_email" {
  description = "Service account of the VMs."
  value       = module.vms.service_account_email
}

output "url" {
  description = "Where publishers send their requests to."
  value = local.is_internal ? "http://${google_compute_forwarding_rule.internal[0].ip_address}" : (
    "https://${var.balancer.host != null ? var.balancer.host : var.balancer.certificate.domains[0]}"
  )
}
