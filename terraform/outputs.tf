output "admin_token_secret" {
  description = "ID of the secret that holds the admin ports' token, for infra/roll: gcloud secrets versions access latest --secret=…; null where the ports stay on loopback."
  value       = one(module.admin[*].token_secret_id)
}

output "client_service_accounts" {
  description = "Service accounts of what connects to Redis, for the firewall of a Redis of your own."
  value       = concat(values(local.accounts), module.console[*].service_account_email)
}

output "dns_records" {
  description = "What the domains need in DNS: the CNAME records vouch for the certificates, which are issued some minutes after them; the A records send clients here."
  value       = concat(module.edge_balancer.dns_records, flatten(module.ingest_balancer[*].dns_records))
}

output "edge_group" {
  description = "Name of the edges' managed instance group, for infra/roll."
  value       = module.vms["edge"].group_name
}

output "edge_ip_address" {
  description = "Public address of the edges' balancer: the domain's A record points to it."
  value       = module.edge_balancer.ip_address
}

output "edge_target_size" {
  description = "Number of edges that the group is told to have; not set while an autoscaler decides."
  value       = module.vms["edge"].target_size

  precondition {
    condition     = local.lowered["edge"] == 0
    error_message = local.why_not["edge"]
  }
}

output "how_to_check" {
  description = "Whether each node answers /readyz, as the balancers' health checks ask; and a test of the whole way, from publisher to client. An internal ingest is reached through a tunnel to an edge, which stays open meanwhile; without SSH by Identity-Aware Proxy only from its network."
  value = join("\n", concat(
    ["gcloud compute backend-services get-health ${coalesce(module.edge_balancer.backend_service, "-")} --global --project ${var.project_id}"],
    [for ingest in var.ingest[*] : "gcloud compute backend-services get-health ${var.name}-ingest ${local.is_internal ? "--region ${var.region}" : "--global"} --project ${var.project_id}"],
    # Through an edge to the address within the network, beside the test.
    [for balancer in module.internal_balancer : "gcloud compute ssh EDGE_VM --zone ZONE --project ${var.project_id} --tunnel-through-iap -- -N -L 8081:${balancer.ip_address}:80" if var.network.iap_ssh],
    [for ingest in var.ingest[*] : "npm run smoke -- wss://${local.edge_host}/ws --ingest ${local.is_internal && var.network.iap_ssh ? "http://127.0.0.1:8081" : local.ingest_url} --token-file FILE${var.edge.auth.kind == "jwt" ? " --client-token-file CLIENT_TOKEN" : length(var.edge.origins) > 0 ? " --origin ${var.edge.origins[0]}" : ""} --nodes ${var.edge_count}"],
  ))
}

output "how_to_open_console" {
  description = "How an operator opens the console: a tunnel of Identity-Aware Proxy, then http://localhost:8090 and the token; null without a console."
  value       = one(module.console[*].how_to_open)
}

output "how_to_publish" {
  description = "How a backend publishes, by where it is."
  value = join("\n", concat(
    [
      "In the network ${module.network.network_id}: ${local.uses_cluster ? "SPUBLISH <channel> <payload> at ${local.redis.url}, by a client of a Cluster" : "PUBLISH <channel> <payload> at ${local.redis.url}"}",
      local.uses_cluster ? "  Password: a token of an account in publishers, which is good for an hour: gcloud auth print-access-token, or the metadata server of its VM." :
      "  Password: gcloud secrets versions access latest --project=${var.project_id} --secret=<secret>, with ${join(", ", [for user, secret in local.redis.publishers : "${secret} for the user ${user}"])}.${local.uses_memorystore ? " Who may read it: publishers." : ""}",
      startswith(local.redis.url, "rediss") ? "  TLS: the authority is the output redis_ca_pem, in a file: redis-cli --tls --cacert FILE. docs/publishing.md has the commands." : "  Without TLS.",
      local.uses_cluster ? "In a network that is peered with it: not by Redis. Its endpoints are in the tier's network. Use ingest." :
      local.uses_memorystore ? "In a network that is peered with it: not by Redis. Memorystore is behind a peering of its own, and peerings do not pass on. Use ingest, or put the tier into your network (network.existing)." : "In a network that is peered with it: the same, where Redis' firewall and its name reach that far. What modules/redis_vm makes lets client_ranges in, and has a name in the tier's network only: use its address, or forward the name.",
    ],
    [local.ingest_url == null ? "Elsewhere: by ingest, which this tier does not have (ingest)." :
      "${local.is_internal ? "In it, or in a network that is peered or joined with it, in the same region" : "Anywhere"}: curl -X POST ${local.ingest_url}/v1/channels/<channel> -H 'Authorization: Bearer <token>' -d '<payload>'${local.is_internal ? "; elsewhere: with ingest.balancer.exposure = external" : ""}"
    ],
  ))
}

output "how_to_roll" {
  description = "How operators roll the edges, and ingest where there is one: from wherever gcloud works, where tunnels of Identity-Aware Proxy are allowed, else from an address in admin.source_ranges. null where the admin ports stay on loopback."
  value = var.admin == null ? null : join("\n", [
    for name, group in local.groups : "npm run roll -- --mig ${var.name}-${name}${name == "edge" ? "" : " --admin-port ${group.admin_port}"} --drain-seconds ${group.drain_seconds} --region ${var.region} --project ${var.project_id} --token-secret ${module.admin[0].token_secret_id}${var.admin.iap_tunnels ? " --iap" : ""}"
  ])
}

output "ingest_group" {
  description = "Name of ingest's managed instance group, for infra/roll; null without an ingest."
  value       = var.ingest == null ? null : module.vms["ingest"].group_name
}

output "ingest_target_size" {
  description = "Number of VMs that ingest's group is told to have; null without an ingest."
  value       = var.ingest == null ? null : module.vms["ingest"].target_size

  precondition {
    condition     = lookup(local.lowered, "ingest", 0) == 0
    error_message = lookup(local.why_not, "ingest", "-")
  }
}

output "ingest_url" {
  description = "Where publishers send HTTP requests to; null without an ingest."
  value       = local.ingest_url
}

output "network" {
  description = "Where the tier is, for what is put beside it, such as modules/redis_vm: its APIs are on."
  value       = local.network

  depends_on = [time_sleep.apis]
}

output "quotas" {
  description = "What the chosen sizes need of the region's quotas, with the VMs that a roll or a repair adds. What there is: gcloud compute regions describe REGION --flatten=quotas --format='table(quotas.metric,quotas.limit,quotas.usage)'. The machines' families count separately: CPUS for e2 and n1, else N2_CPUS and so on."
  value = merge(
    { for metric in distinct(local.all_needs[*].metric) : metric => sum([for need in local.all_needs : need.cpus if need.metric == metric]) },
    { SSD_TOTAL_GB = sum(local.all_needs[*].disk_gb), INSTANCES = sum(local.all_needs[*].vms) },
  )
}

output "redis_ca_pem" {
  description = "Certificates of the authority that publishers check Redis' own against, as PEM; empty without TLS."
  value       = local.redis.ca_pem
}

output "redis_url" {
  description = "Where publishers in the network connect to."
  value       = local.redis.url
}

output "websocket_url" {
  description = "Where clients connect to."
  value       = "wss://${local.edge_host}/ws"
}

output "zones" {
  description = "Zones that the tier is planned for: write them down as zones."
  value       = local.zones
}
