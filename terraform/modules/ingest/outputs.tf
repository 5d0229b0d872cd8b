output "group_name" {
  description = "Name of the managed instance group."
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
    "https://${length(var.balancer.certificate.domains) > 0 ? var.balancer.certificate.domains[0] : module.balancer[0].ip_address}"
  )
}
