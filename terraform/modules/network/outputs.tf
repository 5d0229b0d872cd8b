output "managed_peering" {
  description = "The peering with managed services, for what must wait for it; null without one."
  value       = one(google_service_networking_connection.managed[*].peering)
}

output "network_id" {
  description = "ID of the network."
  value       = google_compute_network.main.id
}

output "proxy_subnetwork_id" {
  description = "ID of the subnetwork of an internal balancer's proxies; null without one."
  value       = one(google_compute_subnetwork.proxies[*].id)
}

output "subnetwork_id" {
  description = "ID of the VMs' subnetwork."
  value       = google_compute_subnetwork.vms.id
}
