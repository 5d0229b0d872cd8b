output "dns_records" {
  description = "What the domain needs in DNS."
  value       = module.tier.dns_records
}

output "how_to_check" {
  description = "Whether each node is ready, and a test of the whole way."
  value       = module.tier.how_to_check
}

output "how_to_publish" {
  description = "How a backend publishes, by where it is."
  value       = module.tier.how_to_publish
}

output "how_to_roll" {
  description = "How operators roll the VMs."
  value       = module.tier.how_to_roll
}

output "quotas" {
  description = "What the tier's sizes need of the region's quotas. The two Redis VMs come on top: the CPUs of redis_machine_type, and 40 GB of SSD each."
  value       = module.tier.quotas
}

output "redis_ca_pem" {
  description = "Certificates of the authority that publishers check Redis' own against."
  value       = module.tier.redis_ca_pem
}

output "websocket_url" {
  description = "Where clients connect to."
  value       = module.tier.websocket_url
}
