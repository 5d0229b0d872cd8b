output "id" {
  description = "ID of the instance, for its alerts."
  value       = google_redis_instance.main.id
}

output "redis" {
  description = "What edges, ingest and publishers need: URL, authority as PEM (not secret), the secret of each one's password. Memorystore has one password and no users."
  value = {
    url        = "rediss://${google_redis_instance.main.host}:${google_redis_instance.main.port}"
    ca_pem     = nonsensitive(join("\n", google_redis_instance.main.server_ca_certs[*].cert))
    has_users  = false
    passwords  = { edge = google_secret_manager_secret.auth.secret_id, ingest = google_secret_manager_secret.auth.secret_id, console = google_secret_manager_secret.auth.secret_id }
    publishers = { default = google_secret_manager_secret.auth.secret_id }
  }

  # A VM that starts reads the latest version, which must be there by then.
  depends_on = [google_secret_manager_secret_version.auth]
}
