variable "deletion_protection" {
  description = "Whether Google refuses its end."
  type        = bool
  nullable    = false
}

variable "engine_version" {
  description = "Version of Valkey, as Google writes it."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["VALKEY_7_2", "VALKEY_8_0"], var.engine_version)
    error_message = "engine_version must be VALKEY_7_2 or VALKEY_8_0."
  }
}

variable "maintenance_day" {
  description = "Weekday of maintenance, in capitals."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"], var.maintenance_day)
    error_message = "maintenance.day must be a weekday in capitals."
  }
}

variable "maintenance_hour" {
  description = "Hour at which maintenance may begin, 0 to 23 (UTC)."
  type        = number
  nullable    = false

  validation {
    condition     = var.maintenance_hour >= 0 && var.maintenance_hour <= 23 && floor(var.maintenance_hour) == var.maintenance_hour
    error_message = "maintenance.hour must be a whole number from 0 to 23 (UTC)."
  }
}

variable "makes_connection_policy" {
  description = "Whether the network needs its policy for Private Service Connect. A network has one of this class in each region: false where it is there."
  type        = bool
  default     = true
  nullable    = false
}

variable "maxmemory_policy" {
  description = "What happens when memory is full: noeviction refuses publications."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["noeviction", "volatile-lru", "volatile-ttl", "volatile-lfu", "volatile-random"], var.maxmemory_policy)
    error_message = "maxmemory_policy must be noeviction or one of volatile-*: a channel's offset has no expiry and must never be evicted."
  }
}

variable "name" {
  description = "ID of the instance, and beginning of the name of its policy."
  type        = string
  nullable    = false
}

variable "network_id" {
  description = "ID of the network that Redis is reached from."
  type        = string
  nullable    = false
}

variable "network_project_id" {
  description = "Project of the network."
  type        = string
  nullable    = false
}

variable "node_type" {
  description = "Kind of each node, as Google writes it."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["SHARED_CORE_NANO", "STANDARD_SMALL", "HIGHMEM_MEDIUM", "HIGHMEM_XLARGE"], var.node_type)
    error_message = "node_type must be SHARED_CORE_NANO, STANDARD_SMALL, HIGHMEM_MEDIUM or HIGHMEM_XLARGE."
  }
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region that Redis is in."
  type        = string
  nullable    = false
}

variable "replica_count" {
  description = "Replicas of each shard, 1 to 5."
  type        = number
  nullable    = false

  validation {
    condition     = var.replica_count >= 1 && var.replica_count <= 5 && floor(var.replica_count) == var.replica_count
    error_message = "replica_count must be a whole number from 1 to 5: a shard without a replica loses its positions with its node."
  }
}

variable "shard_count" {
  description = "Shards, 1 to 250."
  type        = number
  nullable    = false

  validation {
    condition     = var.shard_count >= 1 && var.shard_count <= 250 && floor(var.shard_count) == var.shard_count
    error_message = "shard_count must be a whole number from 1 to 250."
  }
}

variable "subnetwork_id" {
  description = "ID of the subnetwork that its endpoints are in."
  type        = string
  nullable    = false
}
