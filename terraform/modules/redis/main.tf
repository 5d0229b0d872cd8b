# Where the channels are: a managed Redis (memorystore.tf), or one on VMs of our own (vm.tf). Both tell
# their clients the same things.

locals {
  is_managed = var.variant == "memorystore"

  clients = local.is_managed ? {
    for client in ["edge", "ingest"] : client => {
      url                     = "rediss://${google_redis_instance.main[0].host}:${google_redis_instance.main[0].port}"
      ca_pem                  = join("\n", google_redis_instance.main[0].server_ca_certs[*].cert)
      password_secret_id      = google_secret_manager_secret.auth[0].secret_id
      password_secret_version = "${google_secret_manager_secret.auth[0].id}/versions/latest"
    }
    } : {
    for client in ["edge", "ingest"] : client => {
      url                     = "${local.scheme}://${client}@${local.host_name}:6379"
      ca_pem                  = local.uses_tls ? var.vm.tls.ca_pem : ""
      password_secret_id      = var.vm.passwords[client]
      password_secret_version = "projects/${var.project_id}/secrets/${var.vm.passwords[client]}/versions/latest"
    }
  }
}
