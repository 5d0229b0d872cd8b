output "backend_service" {
  description = "Name of the backend service; null where there is none."
  value       = one(concat(google_compute_backend_service.application[*].name, google_compute_backend_service.connections[*].name))
}

output "ip_address" {
  description = "Public IPv4 address of the balancer, for the domains' A records."
  value       = google_compute_global_address.public.address
}
