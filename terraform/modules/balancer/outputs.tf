output "backend_service" {
  description = "Name of the backend service."
  value       = local.is_application ? google_compute_backend_service.application[0].name : google_compute_backend_service.connections[0].name
}

output "ip_address" {
  description = "Public IPv4 address of the balancer, for the domains' A records."
  value       = google_compute_global_address.public.address
}
