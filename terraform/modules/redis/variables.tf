variable "client_service_accounts" {
  description = "E-mail addresses of the service accounts that may connect to a Redis on VMs of our own."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "managed_peering" {
  description = "The network's peering with managed services, which Memorystore needs; null without one."
  type        = string
  default     = null
}

variable "memorystore" {
  description = "Memorystore for Redis: memory in GB, version, what happens when memory is full, UTC weekday and hour of maintenance, whether Terraform may delete it."
  type = object({
    memory_size_gb      = optional(number, 5)
    version             = optional(string, "REDIS_7_2")
    maxmemory_policy    = optional(string, "noeviction")
    deletion_protection = optional(bool, true)
    maintenance         = optional(object({ day = optional(string, "SUNDAY"), hour = optional(number, 3) }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.memorystore.memory_size_gb >= 1 && var.memorystore.memory_size_gb <= 300 && floor(var.memorystore.memory_size_gb) == var.memorystore.memory_size_gb
    error_message = "memorystore.memory_size_gb must be a whole number from 1 to 300."
  }

  validation {
    condition     = contains(["REDIS_7_0", "REDIS_7_2"], var.memorystore.version)
    error_message = "memorystore.version must be REDIS_7_0 or REDIS_7_2."
  }

  validation {
    condition     = contains(["noeviction", "volatile-lru", "volatile-ttl", "volatile-lfu", "volatile-random"], var.memorystore.maxmemory_policy)
    error_message = "memorystore.maxmemory_policy must be noeviction or one of volatile-*: a channel's offset has no expiry and must never be evicted."
  }

  validation {
    condition     = contains(["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"], var.memorystore.maintenance.day) && var.memorystore.maintenance.hour >= 0 && var.memorystore.maintenance.hour <= 23
    error_message = "memorystore.maintenance is a weekday in capitals, and an hour from 0 to 23 (UTC)."
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

variable "network" {
  description = "Where Redis is: IDs of the network and, for VMs of our own, the subnetwork. project_id is that of the network, if it is another one: a Shared VPC's host project."
  type = object({
    network_id    = string
    subnetwork_id = string
    project_id    = optional(string)
  })
  nullable = false
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "publishers" {
  description = "Who may read Memorystore's password, to publish: IAM members, such as serviceAccount:pricing@my-project.iam.gserviceaccount.com. With VMs of our own, each publisher has a user and a secret of its own instead."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.publishers : can(regex("^(user|group|serviceAccount):[^@ ]+@[^@ ]+$", member))])
    error_message = "publishers are IAM members such as serviceAccount:pricing@my-project.iam.gserviceaccount.com; allUsers and whole domains are not."
  }
}

variable "region" {
  description = "Region that Redis is in."
  type        = string
  nullable    = false
}

variable "variant" {
  description = "memorystore: a managed Redis with a replica, one password for all. vm: two VMs of our own with Valkey or Redis, and a user for each publisher."
  type        = string
  default     = "memorystore"
  nullable    = false

  validation {
    condition     = contains(["memorystore", "vm"], var.variant)
    error_message = "variant must be memorystore or vm."
  }
}

variable "vm" {
  description = "Redis on VMs of our own. passwords are IDs of secrets that exist: those of the edges, of ingest, of the replica, and of the operator's user. publishers are further users, each with a secret and the channels that it may publish to (patterns with *); clients are the service accounts within the network, and the ranges, that they connect from. primary is the VM that writes go to, a or b."
  type = object({
    release = object({
      bucket  = string
      engine  = optional(string, "valkey")
      version = string
      sha256  = string
      object  = optional(string)
    })
    passwords = object({
      admin       = string
      edge        = string
      ingest      = string
      replication = string
    })
    publishers = optional(map(object({
      password = string
      channels = list(string)
    })), {})
    clients = optional(object({
      service_accounts = optional(list(string), [])
      source_ranges    = optional(list(string), [])
    }), {})
    tls = optional(object({
      certificate = string
      key         = string
      ca_pem      = string
    }))
    primary                      = optional(string, "a")
    machine_type                 = optional(string, "e2-standard-2")
    image                        = optional(string, "projects/debian-cloud/global/images/family/debian-12")
    disk_size_gb                 = optional(number, 20)
    memory_percent               = optional(number, 60)
    maxmemory_policy             = optional(string, "noeviction")
    pubsub_output_buffer_mb      = optional(number, 128)
    pubsub_output_buffer_soft_mb = optional(number, 64)
    pubsub_output_buffer_soft_s  = optional(number, 30)
  })
  default = null

  validation {
    condition     = var.variant != "vm" || var.vm != null
    error_message = "vm must be set where variant is vm."
  }

  validation {
    condition     = var.vm == null || try(contains(["valkey", "redis"], var.vm.release.engine), false)
    error_message = "vm.release.engine must be valkey or redis."
  }

  validation {
    condition = var.vm == null || try(
      can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.vm.release.bucket))
      && can(regex("^[0-9][0-9A-Za-z.-]{0,31}$", var.vm.release.version))
      && can(regex("^[0-9a-f]{64}$", var.vm.release.sha256))
      && can(regex("^[0-9A-Za-z][0-9A-Za-z.+_/-]{0,255}$", coalesce(var.vm.release.object, "x")))
    , false)
    error_message = "vm.release needs a bucket without gs://, a version such as 8.1.4, and a SHA-256 of 64 lower-case hexadecimal digits."
  }

  validation {
    condition     = var.vm == null || try(contains(["a", "b"], var.vm.primary), false)
    error_message = "vm.primary must be a or b."
  }

  validation {
    condition = var.vm == null || try(alltrue([
      for name, publisher in var.vm.publishers : can(regex("^[a-z][a-z0-9-]{0,31}$", name)) && !contains(["admin", "default", "edge", "ingest", "replication"], name)
    ]), false)
    error_message = "vm.publishers have lower-case names, other than admin, default, edge, ingest and replication."
  }

  validation {
    condition     = var.vm == null || try(alltrue([for range in var.vm.clients.source_ranges : tonumber(split("/", range)[1]) >= 16 && can(cidrhost(range, 0))]), false)
    error_message = "vm.clients.source_ranges are IPv4 ranges of a /16 or smaller: where publishers are, not everybody."
  }

  validation {
    condition     = var.vm == null || try(alltrue([for account in var.vm.clients.service_accounts : can(regex("^[^@ ]+@[^@ ]+\\.gserviceaccount\\.com$", account))]), false)
    error_message = "vm.clients.service_accounts are e-mail addresses of service accounts, such as pricing@my-project.iam.gserviceaccount.com."
  }

  validation {
    condition     = var.vm == null || try(var.vm.release.engine != "redis" || tonumber(split(".", var.vm.release.version)[0]) >= 7, false)
    error_message = "vm.release.version must be 7 or later where the engine is redis: before, users cannot be given such rights."
  }

  validation {
    condition = var.vm == null || try(alltrue(flatten([
      for publisher in values(var.vm.publishers) : [
        length(publisher.channels) > 0,
        [for channel in publisher.channels : can(regex("^[A-Za-z0-9*][A-Za-z0-9_.:/@*-]{0,127}$", channel)) && !startswith(channel, "tw:")],
      ]
    ])), false)
    error_message = "vm.publishers.channels name at least one channel each, with * for anything, and none that begins with tw:."
  }

  validation {
    condition = var.vm == null || try(alltrue([
      for secret in concat(values(var.vm.passwords), [for publisher in values(var.vm.publishers) : publisher.password], var.vm.tls == null ? [] : [var.vm.tls.certificate, var.vm.tls.key]) :
      can(regex("^[A-Za-z0-9_-]{1,255}$", secret))
    ]), false)
    error_message = "vm.passwords, vm.publishers.password and vm.tls take IDs of secrets, without the path before them."
  }

  validation {
    condition     = var.vm == null || try(contains(["noeviction", "volatile-lru", "volatile-ttl", "volatile-lfu", "volatile-random"], var.vm.maxmemory_policy), false)
    error_message = "vm.maxmemory_policy must be noeviction or one of volatile-*: a channel's offset has no expiry and must never be evicted."
  }

  validation {
    condition     = var.vm == null || try(var.vm.memory_percent >= 20 && var.vm.memory_percent <= 75, false)
    error_message = "vm.memory_percent must be 20 to 75: buffers and the copy that a snapshot makes need the rest."
  }

  validation {
    condition     = var.vm == null || try(var.vm.pubsub_output_buffer_soft_mb >= 8 && var.vm.pubsub_output_buffer_soft_mb <= var.vm.pubsub_output_buffer_mb && var.vm.pubsub_output_buffer_mb <= 1024 && var.vm.pubsub_output_buffer_soft_s >= 1 && var.vm.pubsub_output_buffer_soft_s <= 600, false)
    error_message = "vm.pubsub_output_buffer_mb must be at most 1024, the soft limit 8 to as much, for 1 to 600 s."
  }

  validation {
    condition     = var.vm == null || try(var.vm.disk_size_gb >= 10 && var.vm.disk_size_gb <= 1000, false)
    error_message = "vm.disk_size_gb must be 10 to 1000."
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
