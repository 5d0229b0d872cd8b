variable "admin_token_secret_id" {
  description = "ID of the secret that holds the admin ports' token."
  type        = string
  nullable    = false
}

variable "disk_size_gb" {
  description = "Size of the boot disk in GB."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.disk_size_gb >= 10 && var.disk_size_gb <= 1000
    error_message = "machine.disk_size_gb must be 10 to 1000."
  }
}

variable "edge_token_secret_id" {
  description = "ID of a secret with a token that edges accept of a client, for tapes; null: they want none."
  type        = string
  default     = null
}

variable "edge_urls" {
  description = "Where the console reads channels as a client, for tapes; empty: there are no tapes."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for url in var.edge_urls : can(regex("^wss?://[^\\s?#,\"'`$\\\\]+$", url))])
    error_message = "edge_urls are WebSocket URLs, such as wss://stream.example.com/ws."
  }
}

variable "image" {
  description = "Boot image."
  type        = string
  nullable    = false
}

variable "ingest_token_secret_id" {
  description = "ID of a secret with a token of ingest that has the right revoke; null: nobody ends connections of a subject from the console."
  type        = string
  default     = null
}

variable "ingest_url" {
  description = "Where the console reaches ingest; null: not at all."
  type        = string
  default     = null
}

variable "machine_type" {
  description = "Machine type. The console takes some hundredths of a core and 512 MiB at most."
  type        = string
  default     = "e2-small"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*-[a-z]+(-[0-9]+)?$", var.machine_type))
    error_message = "machine.type must be a machine type, such as e2-small."
  }
}

variable "name" {
  description = "Name of the VM and its service account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,27}[a-z0-9]$", var.name))
    error_message = "name must be 6 to 29 lower-case letters, digits and hyphens: it names a service account too."
  }
}

variable "network_id" {
  description = "ID of the network."
  type        = string
  nullable    = false
}

variable "network_project_id" {
  description = "Project of the network: with a Shared VPC its host project."
  type        = string
  nullable    = false
}

variable "node_networks" {
  description = "IPv4 ranges that the nodes' admin ports are in: the admin token goes nowhere else."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.node_networks) > 0 && alltrue([for range in var.node_networks : try(tonumber(split("/", range)[1]) >= 16 && can(cidrhost(range, 0)), false)])
    error_message = "node_networks are IPv4 ranges of a /16 or smaller, such as 10.20.0.0/22: where the nodes are, not everything."
  }
}

variable "nodes" {
  description = "For each service, its admin port and the service account of its VMs."
  type = map(object({
    admin_port            = number
    service_account_email = string
  }))
  nullable = false
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "redis_ca_pem" {
  description = "Authority that Redis' certificate is checked against, as PEM; empty without TLS."
  type        = string
  nullable    = false
}

variable "redis_mode" {
  description = "How Redis is set up: single, sentinel or cluster."
  type        = string
  default     = "single"
  nullable    = false

  validation {
    condition     = contains(["single", "sentinel", "cluster"], var.redis_mode)
    error_message = "redis_mode must be single, sentinel or cluster."
  }
}

variable "redis_password_secret_id" {
  description = "ID of the secret, in the same project, that holds Redis' password. null: the VM's account is who it is, and its token the password."
  type        = string
}

variable "redis_url" {
  description = "Where Redis is: a URL with a user, where there are users, and without a password."
  type        = string
  nullable    = false
}

variable "release_bucket" {
  description = "Bucket of the tarball."
  type        = string
  nullable    = false
}

variable "release_object" {
  description = "The tarball in its bucket; null: tradewind-console-VERSION-linux-x64.tar.gz."
  type        = string
  default     = null
}

variable "release_sha256" {
  description = "SHA-256 of the tarball."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.release_sha256))
    error_message = "release.console.sha256 must be 64 hexadecimal digits."
  }
}

variable "release_version" {
  description = "Version of the release."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$", var.release_version))
    error_message = "release.console.version must be a version, such as 1.2.3."
  }
}

variable "subnetwork_id" {
  description = "ID of the subnetwork."
  type        = string
  nullable    = false
}

variable "token_secret_id" {
  description = "ID of a secret that exists and holds what operators log in with: 22 characters or more."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.token_secret_id))
    error_message = "console.token_secret_id is the ID of a secret, without the path before it."
  }
}

variable "zone" {
  description = "Zone of the VM."
  type        = string
  nullable    = false
}
