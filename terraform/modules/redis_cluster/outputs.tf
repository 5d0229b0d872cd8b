output "id" {
  description = "ID of the instance, for its alerts."
  value       = google_memorystore_instance.main.id
}

output "redis" {
  description = "What edges, ingest and publishers need: URL of the endpoint that names all nodes, authority as PEM (not secret). There is no secret: a token of an account is its password for an hour."
  value = {
    url        = "rediss://${local.endpoint}:6379"
    ca_pem     = join("\n", flatten(google_memorystore_instance.main.managed_server_ca[*].ca_certs[*].certificates))
    has_users  = false
    passwords  = { edge = null, ingest = null, console = null }
    publishers = {}
  }
}

# Of the two endpoints the one for discovery, which a client asks for the nodes.
locals {
  connections = flatten(google_memorystore_instance.main.endpoints[*].connections[*].psc_auto_connection)
  endpoint    = try(coalesce([for each in local.connections : each.ip_address if each.connection_type == "CONNECTION_TYPE_DISCOVERY"]...), "not-known-yet")
}
