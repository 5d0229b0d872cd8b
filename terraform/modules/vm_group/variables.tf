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

variable "auto_healing" {
  description = "When a VM that does not answer /healthz is replaced: seconds after its start before the first check counts (it may wait 600 for its rights), and failed checks in a row, one every 10 s."
  type = object({
    initial_delay_sec   = optional(number, 780)
    unhealthy_threshold = optional(number, 10)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.auto_healing.initial_delay_sec >= 60 && var.auto_healing.initial_delay_sec <= 3600
    error_message = "auto_healing.initial_delay_sec must be 60 to 3600: a VM that is still starting must not be replaced."
  }

  validation {
    condition     = var.auto_healing.unhealthy_threshold >= 3 && var.auto_healing.unhealthy_threshold <= 10
    error_message = "auto_healing.unhealthy_threshold must be 3 to 10: replacing a VM cuts all of its clients."
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
    condition     = length([for name in keys(var.environment) : name if can(regex("TOKEN|PASSWORD$|SECRET", name))]) == 0
    error_message = "environment holds no secrets, which would be readable in the template's metadata: use secret_variables or secret_files."
  }
}

variable "machine" {
  description = "The VMs: machine type, boot image, size of the boot disk in GB."
  type = object({
    type         = string
    image        = optional(string, "projects/debian-cloud/global/images/family/debian-12")
    disk_size_gb = optional(number, 20)
  })
  nullable = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*-[a-z]+(-[0-9]+)?$", var.machine.type))
    error_message = "machine.type must be a machine type, such as e2-standard-4."
  }

  validation {
    condition     = var.machine.disk_size_gb >= 10 && var.machine.disk_size_gb <= 1000
    error_message = "machine.disk_size_gb must be 10 to 1000."
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

variable "network" {
  description = "Where the VMs are: IDs of the network and the subnetwork. project_id is that of the network, if it is another one: a Shared VPC's host project."
  type = object({
    network_id    = string
    subnetwork_id = string
    project_id    = optional(string)
  })
  nullable = false
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

variable "redis" {
  description = "Where Redis is, its authority as PEM (empty without TLS), and the ID of the secret, in the same project, that holds the password."
  type = object({
    url                = string
    ca_pem             = string
    password_secret_id = string
  })
  nullable = false
}

variable "region" {
  description = "Region that the VMs are spread over."
  type        = string
  nullable    = false
}

variable "release" {
  description = "What the VMs run: bucket, version, SHA-256 of the tarball, and its object if it is not tradewind-SERVICE-VERSION-linux-x64.tar.gz."
  type = object({
    bucket  = string
    version = string
    sha256  = string
    object  = optional(string)
  })
  nullable = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.release.bucket))
    error_message = "release.bucket must be the name of a bucket, without gs://."
  }

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$", var.release.version))
    error_message = "release.version must be 1 to 64 letters, digits, dots, plus signs, underscores and hyphens."
  }

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.release.sha256))
    error_message = "release.sha256 must be 64 lower-case hexadecimal digits."
  }

  validation {
    condition     = var.release.object == null || can(regex("^[0-9A-Za-z][0-9A-Za-z.+_/-]{0,255}$", coalesce(var.release.object, "-")))
    error_message = "release.object must be the name of an object of letters, digits, dots, plus signs, underscores, hyphens and slashes."
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

variable "startup_hosts" {
  description = "Where the start-up script finds the metadata server, Cloud Storage and Secret Manager; others than Google's are for tests."
  type = object({
    metadata       = optional(string, "http://metadata.google.internal")
    storage        = optional(string, "https://storage.googleapis.com")
    secret_manager = optional(string, "https://secretmanager.googleapis.com")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for url in values(var.startup_hosts) : can(regex("^https?://[a-zA-Z0-9.:-]+$", url))])
    error_message = "startup_hosts are URLs without a path."
  }
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
