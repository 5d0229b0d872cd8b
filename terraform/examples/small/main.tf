# The smallest tier that is still highly available: two small edges, no ingest, certificate of a domain.

terraform {
  required_version = ">= 1.11"
}

variable "domain" {
  description = "Host name that clients connect to."
  type        = string
}

variable "project_id" {
  description = "Project that everything is made in."
  type        = string
}

variable "release" {
  description = "The bucket, and version and SHA-256 of the edge's tarball."
  type = object({
    bucket = string
    edge   = object({ version = string, sha256 = string })
  })
}

module "tier" {
  source = "../.."

  project_id = var.project_id
  region     = "europe-west1"
  zones      = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]
  edge_count = 2
  release    = var.release

  edge = {
    balancer        = { certificate = { domains = [var.domain] } }
    machine         = { type = "e2-standard-2" }
    max_connections = 20000
  }

  deletion_protection = false

  redis = {
    memorystore = { memory_size_gb = 1 }
  }
}

output "ip_address" {
  description = "What the domain's A record must point to."
  value       = module.tier.edge_ip_address
}

output "websocket_url" {
  description = "Where clients connect to."
  value       = module.tier.websocket_url
}
