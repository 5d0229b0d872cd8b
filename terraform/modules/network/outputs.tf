output "managed_peering" {
  description = "The peering with managed services, for what must wait for it; there where an existing network brings one; null without one."
  value       = !var.managed_redis ? null : local.makes_peering ? one(google_service_networking_connection.managed[*].peering) : "there"
}

output "network_id" {
  description = "ID of the network."
  value       = local.network_id
}

output "network_project_id" {
  description = "Project that the network is in, and its firewall rules: with a Shared VPC its host project."
  value       = local.network_project_id
}

output "proxy_subnetwork_id" {
  description = "ID of the subnetwork of an internal balancer's proxies; null without one."
  value       = try(coalesce(var.existing_proxy_subnetwork_id), one(google_compute_subnetwork.proxies[*].id))
}

output "subnetwork_id" {
  description = "ID of the VMs' subnetwork."
  value       = local.subnetwork_id
}
