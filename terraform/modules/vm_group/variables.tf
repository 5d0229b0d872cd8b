variable "admin" {
  description = "The service's admin port, and the ID of the secret, in the same project, that holds its token; null: the port stays on the VM's loopback."
  type = object({
    port            = number
    token_secret_id = optional(string)
  })
  nullable = false

  validation {
    condition     = var.admin.port >= 1024 && var.admin.port <= 65535
    error_message = "admin.port must be 1024 to 65535: the service is not root."
  }
}

variable "disk_size_gb" {
  description = "Size of the boot disk in GB."
  type        = number
  nullable    = false

  validation {
    condition     = var.disk_size_gb >= 10 && var.disk_size_gb <= 1000
    error_message = "machine.disk_size_gb must be 10 to 1000."
  }
}

variable "environment" {
  description = "Settings of the service: environment variables without secrets (docs/configuration.md)."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, value in var.environment : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^[^\\\\\"'`$\\n]*$", value))])
    error_message = "environment holds upper-case names, and values without quotes, dollar signs, backslashes or line breaks."
  }

  validation {
    condition     = length([for name in keys(var.environment) : name if can(regex("TOKEN|PASSWORD$|SECRET", name)) && !endswith(name, "_FILE")]) == 0
    error_message = "environment holds no secrets, which would be readable in the template's metadata: use secret_variables or secret_files."
  }
}

variable "image" {
  description = "Boot image."
  type        = string
  nullable    = false
}

variable "machine_type" {
  description = "Machine type."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*-[a-z]+(-[0-9]+)?$", var.machine_type))
    error_message = "machine.type must be a machine type, such as e2-standard-4."
  }
}

variable "name" {
  description = "Name of the group, its VMs and its service account."
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

variable "port" {
  description = "The service's public port, on which balancers and health checks reach it."
  type        = number
  nullable    = false

  validation {
    condition     = var.port >= 1024 && var.port <= 65535
    error_message = "port must be 1024 to 65535: the service is not root."
  }
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
  description = "ID of the secret, in the same project, that holds Redis' password. null: the VMs' account is who they are, and its token the password."
  type        = string
}

variable "redis_url" {
  description = "Where Redis is: a URL with a user, where there are users, and without a password."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region that the VMs are spread over."
  type        = string
  nullable    = false
}

variable "release_bucket" {
  description = "Bucket of the tarball."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.release_bucket))
    error_message = "release.bucket must be the name of a bucket, without gs://."
  }
}

variable "release_object" {
  description = "The tarball in its bucket; null: tradewind-SERVICE-VERSION-linux-x64.tar.gz."
  type        = string
  default     = null

  validation {
    condition     = var.release_object == null || can(regex("^[0-9A-Za-z][0-9A-Za-z.+_/-]{0,255}$", coalesce(var.release_object, "-")))
    error_message = "release.object must be the name of an object of letters, digits, dots, plus signs, underscores, hyphens and slashes."
  }
}

variable "release_sha256" {
  description = "SHA-256 of the tarball."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.release_sha256))
    error_message = "release.sha256 must be 64 lower-case hexadecimal digits."
  }
}

variable "release_version" {
  description = "Version that the VMs run."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$", var.release_version))
    error_message = "release.version must be 1 to 64 letters, digits, dots, plus signs, underscores and hyphens."
  }
}

variable "secret_files" {
  description = "Files in /etc/tradewind whose contents are secrets: name to secret ID, in the same project. VMs read the latest version when they start."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for file, secret in var.secret_files : can(regex("^[a-z][a-z0-9.-]*$", file)) && can(regex("^[A-Za-z0-9_-]{1,255}$", secret))])
    error_message = "secret_files holds names in lower case, and IDs of secrets without the path before them."
  }
}

variable "secret_variables" {
  description = "Environment variables whose values are secrets: variable to secret ID, in the same project. VMs read the latest version when they start."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, secret in var.secret_variables : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^[A-Za-z0-9_-]{1,255}$", secret))])
    error_message = "secret_variables holds upper-case names, and IDs of secrets without the path before them."
  }
}

variable "service" {
  description = "The service: edge or ingest."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["edge", "ingest"], var.service)
    error_message = "service must be edge or ingest."
  }
}

variable "subnetwork_id" {
  description = "ID of the VMs' subnetwork."
  type        = string
  nullable    = false
}

variable "target_size" {
  description = "Number of VMs; null leaves it to an autoscaler."
  type        = number
  default     = null

  validation {
    condition     = var.target_size == null || (coalesce(var.target_size, 1) >= 1 && coalesce(var.target_size, 1) <= 100 && floor(coalesce(var.target_size, 1)) == coalesce(var.target_size, 1))
    error_message = "target_size must be a whole number from 1 to 100."
  }
}

variable "zones" {
  description = "Zones of the region that the VMs are spread over. A group that is there keeps the zones that it was made in."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.zones) >= 1 && length(distinct(var.zones)) == length(var.zones)
    error_message = "zones must name at least one zone, each once."
  }
}
