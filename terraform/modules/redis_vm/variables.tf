variable "client_ranges" {
  description = "IPv4 ranges that publishers connect from whose account the network does not know: each a /16 or smaller."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for range in var.client_ranges : try(tonumber(split("/", range)[1]) >= 16 && can(cidrhost(range, 0)), false)])
    error_message = "client_ranges are IPv4 ranges of a /16 or smaller: where publishers are, not everybody."
  }
}

variable "client_service_accounts" {
  description = "E-mail addresses of the service accounts that connect, those of edges and ingest among them."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for account in var.client_service_accounts : can(regex("^[^@ ]+@[^@ ]+\\.gserviceaccount\\.com$", account))])
    error_message = "client_service_accounts are e-mail addresses of service accounts, such as pricing@my-project.iam.gserviceaccount.com."
  }
}

variable "disk_size_gb" {
  description = "Size of each data disk in GB."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.disk_size_gb >= 10 && var.disk_size_gb <= 1000
    error_message = "disk_size_gb must be 10 to 1000."
  }
}

variable "image" {
  description = "Boot image of VMs that are made: of the Debian that the release was built on."
  type        = string
  default     = "projects/debian-cloud/global/images/family/debian-12"
  nullable    = false
}

variable "machine_type" {
  description = "Machine type. README.md says how to change it: a running VM refuses."
  type        = string
  default     = "e2-standard-2"
  nullable    = false
}

variable "maxmemory_policy" {
  description = "What happens when memory is full: noeviction refuses publications."
  type        = string
  default     = "noeviction"
  nullable    = false

  validation {
    condition     = contains(["noeviction", "volatile-lru", "volatile-ttl", "volatile-lfu", "volatile-random"], var.maxmemory_policy)
    error_message = "maxmemory_policy must be noeviction or one of volatile-*: a channel's offset has no expiry and must never be evicted."
  }
}

variable "memory_percent" {
  description = "Share of the VM's memory that Redis' data may have, in per cent."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.memory_percent >= 20 && var.memory_percent <= 75
    error_message = "memory_percent must be 20 to 75: buffers and the copy that a snapshot makes need the rest."
  }
}

variable "name" {
  description = "Name of the Redis, and beginning of the names of all that belongs to it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,27}[a-z0-9]$", var.name))
    error_message = "name must be 6 to 29 lower-case letters, digits and hyphens: it names a service account too."
  }
}

variable "network_id" {
  description = "ID of the tier's network."
  type        = string
  nullable    = false
}

variable "network_project_id" {
  description = "Project of the network: with a Shared VPC its host project."
  type        = string
  nullable    = false
}

variable "passwords" {
  description = "IDs of secrets that exist and hold a password: of the operator's user, the edges, ingest, the replica and, where there is one, the console."
  type = object({
    admin       = string
    edge        = string
    ingest      = string
    replication = string
    console     = optional(string)
  })
  nullable = false

  validation {
    condition     = alltrue([for secret in values(var.passwords) : secret == null || can(regex("^[A-Za-z0-9_-]{1,255}$", secret))])
    error_message = "passwords are IDs of secrets, without the path before them."
  }
}

variable "primary" {
  description = "The VM that writes go to, a or b."
  type        = string
  default     = "a"
  nullable    = false

  validation {
    condition     = contains(["a", "b"], var.primary)
    error_message = "primary must be a or b."
  }
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "publishers" {
  description = "Users that publish into Redis themselves: each with the ID of its password's secret and the channels that it may publish to, with * for anything."
  type = map(object({
    password = string
    channels = list(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.publishers) : can(regex("^[a-z][a-z0-9-]{0,31}$", name)) && !contains(["admin", "default", "edge", "ingest", "replication"], name)])
    error_message = "publishers have lower-case names, other than admin, default, edge, ingest and replication."
  }

  validation {
    condition     = alltrue([for publisher in values(var.publishers) : can(regex("^[A-Za-z0-9_-]{1,255}$", publisher.password))])
    error_message = "publishers' passwords are IDs of secrets, without the path before them."
  }

  validation {
    condition = alltrue(flatten([
      for publisher in values(var.publishers) : [
        length(publisher.channels) > 0,
        [for channel in publisher.channels : can(regex("^[A-Za-z0-9*][A-Za-z0-9_.:/@*-]{0,127}$", channel)) && !startswith(channel, "tw:")],
        # Whoever may publish on tw:revoked can close any connection. `*` alone is written so that it leaves out what is reserved.
        [for channel in publisher.channels : channel == "*" || !can(regex("^${replace(replace(channel, ".", "[.]"), "*", ".*")}$", "tw:revoked"))],
      ]
    ]))
    error_message = "publishers' channels name at least one channel each, with * for anything, and none that begins with tw: or covers tw:revoked, as t* does."
  }
}

variable "pubsub_output_buffer" {
  description = "How much an edge that reads too slowly may leave unread, before Redis ends its connection: MB at once, and MB for soft_seconds."
  type = object({
    hard_mb      = optional(number, 128)
    soft_mb      = optional(number, 64)
    soft_seconds = optional(number, 30)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.pubsub_output_buffer.soft_mb >= 8 && var.pubsub_output_buffer.soft_mb <= var.pubsub_output_buffer.hard_mb && var.pubsub_output_buffer.hard_mb <= 1024 && var.pubsub_output_buffer.soft_seconds >= 1 && var.pubsub_output_buffer.soft_seconds <= 600
    error_message = "pubsub_output_buffer.hard_mb must be at most 1024, soft_mb 8 to as much, for 1 to 600 s."
  }
}

variable "region" {
  description = "Region that Redis is in."
  type        = string
  nullable    = false
}

variable "release" {
  description = "The server: a tarball in a bucket, by default ENGINE-VERSION.tar.gz, of valkey or redis."
  type = object({
    bucket  = string
    engine  = optional(string, "valkey")
    version = string
    sha256  = string
    object  = optional(string)
  })
  nullable = false

  validation {
    condition     = contains(["valkey", "redis"], var.release.engine)
    error_message = "release.engine must be valkey or redis."
  }

  validation {
    condition = (
      can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.release.bucket))
      && can(regex("^[0-9][0-9A-Za-z.-]{0,31}$", var.release.version))
      && can(regex("^[0-9a-f]{64}$", var.release.sha256))
      && can(regex("^[0-9A-Za-z][0-9A-Za-z.+_/-]{0,255}$", coalesce(var.release.object, "x")))
    )
    error_message = "release needs a bucket without gs://, a version such as 8.1.4, and a SHA-256 of 64 lower-case hexadecimal digits."
  }

  validation {
    condition     = var.release.engine != "redis" || try(tonumber(split(".", var.release.version)[0]) >= 7, false)
    error_message = "release.version must be 7 or later where the engine is redis: before, users cannot be given such rights."
  }
}

variable "subnetwork_id" {
  description = "ID of the VMs' subnetwork."
  type        = string
  nullable    = false
}

variable "tls" {
  description = "IDs of the secrets that hold the certificate, which must name redis.NAME.internal, and its key; and the authority as PEM. null: without TLS."
  type = object({
    certificate = string
    key         = string
    ca_pem      = string
  })
  default = null

  validation {
    condition     = alltrue([for secret in try([var.tls.certificate, var.tls.key], []) : can(regex("^[A-Za-z0-9_-]{1,255}$", secret))])
    error_message = "tls takes IDs of secrets, without the path before them."
  }
}

variable "zones" {
  description = "Zones of the region: the first two hold Redis and its replica, and go on doing so whatever is said here later."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(distinct(var.zones)) >= 2
    error_message = "zones must name at least two zones: Redis is in one, its replica in another."
  }
}
