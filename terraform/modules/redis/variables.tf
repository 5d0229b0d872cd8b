variable "deletion_protection" {
  description = "Whether Google refuses its end."
  type        = bool
  nullable    = false
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

variable "managed_peering" {
  description = "The network's peering with managed services; null without one."
  type        = string
  default     = null
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

variable "memory_size_gb" {
  description = "Memory in GB, 1 to 300."
  type        = number
  nullable    = false

  validation {
    condition     = var.memory_size_gb >= 1 && var.memory_size_gb <= 300 && floor(var.memory_size_gb) == var.memory_size_gb
    error_message = "memory_size_gb must be a whole number from 1 to 300."
  }
}

variable "name" {
  description = "Name of the instance, and beginning of the name of its password's secret."
  type        = string
  nullable    = false
}

variable "network_id" {
  description = "ID of the network that Redis is reached from."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "publishers" {
  description = "Who may read the password, to publish: IAM members, such as serviceAccount:pricing@my-project.iam.gserviceaccount.com."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.publishers : can(regex("^(user|group|serviceAccount):[^@ ]+@[^@ ]+$", member))])
    error_message = "publishers are IAM members such as serviceAccount:pricing@my-project.iam.gserviceaccount.com; allUsers and whole domains are not."
  }
}

variable "redis_version" {
  description = "Version of Redis, as Google writes it."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["REDIS_7_0", "REDIS_7_2"], var.redis_version)
    error_message = "version must be REDIS_7_0 or REDIS_7_2."
  }
}

variable "region" {
  description = "Region that Redis is in."
  type        = string
  nullable    = false
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
