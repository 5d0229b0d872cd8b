output "token_secret_id" {
  description = "ID of the secret that holds the admin ports' token."
  value       = google_secret_manager_secret.token.secret_id

  # A VM that starts reads its latest version.
  depends_on = [google_secret_manager_secret_version.token]
}
