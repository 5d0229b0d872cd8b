variable "admin_token_secret_id" {
  description = "ID of the secret, in the same project, that holds the admin port's token. null: the port stays on each VM's loopback."
  type        = string
  default     = null
}

variable "balancer" {
  description = "The balancer in front: exposure (internal: HTTP within the network; external: HTTPS from everywhere), and for external the certificate, the host that publishers ask for (by default the certificate's first domain) and the throttle by address."
  type = object({
    exposure    = optional(string, "internal")
    host        = optional(string)
    certificate = optional(object({ domains = optional(list(string), []), self_links = optional(list(string), []) }))
    timeout_sec = optional(number, 30)
    throttle    = optional(object({ requests = optional(number, 6000), interval_sec = optional(number, 60) }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["internal", "external"], var.balancer.exposure)
    error_message = "balancer.exposure must be internal or external."
  }

  validation {
    condition     = var.balancer.exposure == "internal" || var.balancer.certificate != null
    error_message = "balancer.certificate must be set where exposure is external: tokens travel with every request."
  }

  validation {
    condition     = var.balancer.exposure == "internal" || var.balancer.host != null || try(length(var.balancer.certificate.domains) > 0, true)
    error_message = "balancer.host must be set where the certificate is your own: no certificate is for the balancer's address."
  }

  validation {
    condition     = var.balancer.host == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.balancer.host))
    error_message = "balancer.host must be a lower-case host name, such as ingest.example.com."
  }

  validation {
    condition     = var.balancer.timeout_sec >= 5 && var.balancer.timeout_sec <= 300
    error_message = "balancer.timeout_sec must be 5 to 300."
  }
}

variable "environment" {
  description = "Further settings of ingest: environment variables without secrets (docs/configuration.md)."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setintersection(keys(var.environment), ["ADMIN_HOST", "ADMIN_PORT", "DRAIN_ACCEPT_SECONDS", "DRAIN_SECONDS", "HOST", "HTTP_KEEP_ALIVE_SECONDS", "INGEST_TOKENS", "PORT", "REDIS_CA_FILE", "REDIS_PASSWORD_FILE", "REDIS_URL"])) == 0
    error_message = "environment holds a variable that Terraform sets itself."
  }
}

variable "ingest_count" {
  description = "Number of VMs, 1 to 20."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.ingest_count >= 1 && var.ingest_count <= 20 && floor(var.ingest_count) == var.ingest_count
    error_message = "ingest_count must be a whole number from 1 to 20."
  }
}

variable "machine" {
  description = "The VMs: machine type, boot image, size of the boot disk in GB."
  type = object({
    type         = optional(string, "e2-standard-2")
    image        = optional(string)
    disk_size_gb = optional(number)
  })
  default  = {}
  nullable = false
}

variable "name" {
  description = "Name of the group of ingest VMs."
  type        = string
  nullable    = false
}

variable "network" {
  description = "Where the VMs are: IDs of the network and the subnetwork, and, for an internal balancer, subnetwork and range of its proxies. project_id is that of the network, if it is another one: a Shared VPC's host project."
  type = object({
    network_id          = string
    subnetwork_id       = string
    project_id          = optional(string)
    proxy_subnetwork_id = optional(string)
    proxy_subnet_cidr   = optional(string)
  })
  nullable = false
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
  description = "What the VMs run: bucket, version, SHA-256 of ingest's tarball, and its object if it has another name."
  type = object({
    bucket  = string
    version = string
    sha256  = string
    object  = optional(string)
  })
  nullable = false
}

variable "tokens_secret_id" {
  description = "ID of the secret, in the same project, that holds the bearer tokens of publishers, separated by commas."
  type        = string
  nullable    = false
}

variable "zones" {
  description = "Zones of the region that the VMs are spread over. A group that is there keeps the zones that it was made in."
  type        = list(string)
  nullable    = false
}
