output "ca_pem" {
  description = "Certificates of the authority that Redis' own is checked against, as PEM; empty without TLS. Not secret."
  value       = nonsensitive(local.clients.edge.ca_pem)
}

output "clients" {
  description = "For edge and ingest each: URL, CA certificates (empty without TLS), and the secret that holds the password."
  value       = local.clients

  # A VM that starts reads the latest version, which must be there by then.
  depends_on = [google_secret_manager_secret_version.auth]
}

output "host" {
  description = "Host that publishers in the network connect to."
  value       = local.is_managed ? google_redis_instance.main[0].host : local.host_name
}

output "memorystore_id" {
  description = "ID of the Memorystore instance, for its alerts; null for VMs of our own."
  value       = one(google_redis_instance.main[*].id)
}

output "port" {
  description = "Port of Redis."
  value       = local.is_managed ? google_redis_instance.main[0].port : 6379
}

output "publisher_secret_ids" {
  description = "For each user that may publish, the ID of the secret that holds its password. Memorystore has one password and no users."
  value       = local.is_managed ? { default = google_secret_manager_secret.auth[0].secret_id } : { for name, user in local.publishers : name => user.password }
}

output "uses_tls" {
  description = "Whether connections to Redis are encrypted by TLS."
  value       = local.is_managed || local.uses_tls
}
