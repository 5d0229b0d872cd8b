output "backend_service" {
  description = "Name of the backend service; null where there is none."
  value       = one(concat(google_compute_backend_service.application[*].name, google_compute_backend_service.connections[*].name))
}

output "certificate_ids" {
  description = "For each domain, the ID of its certificate."
  value       = { for domain, certificate in google_certificate_manager_certificate.domain : domain => certificate.id }
}

output "dns_records" {
  description = "What the domains need in DNS: for each the record that vouches for its certificate, first, and its address."
  value = concat(
    [for domain, authorization in google_certificate_manager_dns_authorization.domain : join(" ", flatten([for record in authorization.dns_resource_record : [record.name, record.type, record.data]]))],
    [for domain in keys(local.domains) : "${domain}. A ${google_compute_global_address.public.address}"],
  )
}

output "ip_address" {
  description = "Public IPv4 address of the balancer, for the domains' A records."
  value       = google_compute_global_address.public.address
}
