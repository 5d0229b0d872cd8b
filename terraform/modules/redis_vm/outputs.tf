output "redis" {
  description = "What the tier takes as redis: URL, authority, secrets of edge, ingest and console, and for each publisher its secret."
  value = {
    url        = "${local.uses_tls ? "rediss" : "redis"}://${local.host_name}:6379"
    ca_pem     = local.uses_tls ? var.tls.ca_pem : ""
    has_users  = true
    passwords  = { edge = var.passwords.edge, ingest = var.passwords.ingest, console = var.passwords.console }
    publishers = { for name, publisher in var.publishers : name => publisher.password }
  }
}
