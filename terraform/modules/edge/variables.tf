variable "admin_token_secret_id" {
  description = "ID of the secret, in the same project, that holds the admin port's token. null: the port stays on each VM's loopback."
  type        = string
  default     = null
}

variable "autoscaler" {
  description = "Adds edges by the VMs' CPU and by how full they are; never removes any. null: edge_count is the size. With it, edge_count is the least size, and max_count the greatest."
  type = object({
    max_count          = number
    cpu_target         = optional(number, 0.5)
    connections_target = optional(number, 0.7)
    cooldown_sec       = optional(number, 180)
  })
  default = null

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.max_count >= 1 && var.autoscaler.max_count <= 100 && floor(var.autoscaler.max_count) == var.autoscaler.max_count, false)
    error_message = "autoscaler.max_count must be a whole number from 1 to 100."
  }

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.max_count >= var.edge_count, false)
    error_message = "autoscaler.max_count must not be below edge_count, which is the least size."
  }

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.cpu_target >= 0.2 && var.autoscaler.cpu_target <= 0.8, false)
    error_message = "autoscaler.cpu_target must be 0.2 to 0.8 of the VM."
  }

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.connections_target >= 0.2 && var.autoscaler.connections_target <= 0.9, false)
    error_message = "autoscaler.connections_target must be 0.2 to 0.9 of max_connections."
  }

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.cooldown_sec >= 60 && var.autoscaler.cooldown_sec <= 3600, false)
    error_message = "autoscaler.cooldown_sec must be 60 to 3600."
  }
}

variable "balancer" {
  description = "The balancer in front: kind (application; connections for an SSL proxy that counts them; none between the two), certificate, the host that clients ask for (by default the certificate's first domain), idle timeout, throttle by address."
  type = object({
    kind = optional(string, "application")
    host = optional(string)
    certificate = object({
      domains    = optional(list(string), [])
      self_links = optional(list(string), [])
    })
    timeout_sec          = optional(number, 86400)
    draining_timeout_sec = optional(number, 60)
    throttle             = optional(object({ requests = optional(number, 600), interval_sec = optional(number, 60) }), {})
  })
  nullable = false

  validation {
    condition     = contains(["application", "connections", "none"], var.balancer.kind)
    error_message = "balancer.kind must be application, connections or, between the two, none."
  }

  validation {
    condition     = length(var.balancer.certificate.domains) > 0 || var.balancer.host != null
    error_message = "balancer.host must be set where the certificate is your own: no certificate is for the balancer's address."
  }

  validation {
    condition     = var.balancer.host == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.balancer.host))
    error_message = "balancer.host must be a lower-case host name, such as stream.example.com."
  }

  validation {
    condition     = var.balancer.timeout_sec >= 60 && var.balancer.timeout_sec <= 86400
    error_message = "balancer.timeout_sec must be 60 to 86400: an edge pings clients that are silent for 25 s."
  }
}

variable "drain_seconds" {
  description = "Seconds from the order to drain until all clients are gone, 20 to 60: for 12 the balancer still sends clients, and the unit waits 75 for the process."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.drain_seconds >= 20 && var.drain_seconds <= 60 && floor(var.drain_seconds) == var.drain_seconds
    error_message = "drain_seconds must be a whole number from 20 to 60: an edge accepts for 12 of it (DRAIN_ACCEPT_SECONDS), keeps 2 back, and the clients need the rest; the unit's TimeoutStopSec is 75, and stopping takes up to 10 of it."
  }
}

variable "edge_count" {
  description = "Number of edges, 1 to 100. Raise it freely; to lower it, remove edges with infra/roll first, which drains them."
  type        = number
  nullable    = false

  validation {
    condition     = var.edge_count >= 1 && var.edge_count <= 100 && floor(var.edge_count) == var.edge_count
    error_message = "edge_count must be a whole number from 1 to 100."
  }
}

variable "environment" {
  description = "Further settings of the edges: environment variables without secrets (docs/configuration.md)."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setintersection(keys(var.environment), ["ADMIN_HOST", "ADMIN_PORT", "DRAIN_ACCEPT_SECONDS", "DRAIN_SECONDS", "EDGE_NODE_ID", "HOST", "HTTP_KEEP_ALIVE_SECONDS", "PORT", "REDIS_CA_FILE", "REDIS_PASSWORD_FILE", "REDIS_URL", "WS_MAX_CONNECTIONS"])) == 0
    error_message = "environment holds a variable that Terraform sets itself."
  }
}

variable "machine" {
  description = "The VMs: machine type, boot image, size of the boot disk in GB."
  type = object({
    type         = optional(string, "e2-standard-4")
    image        = optional(string)
    disk_size_gb = optional(number)
  })
  default  = {}
  nullable = false
}

variable "max_connections" {
  description = "Clients of one edge, 1 to 500000: half of the files that its process may open."
  type        = number
  default     = 40000
  nullable    = false

  validation {
    condition     = var.max_connections >= 1 && var.max_connections <= 500000 && floor(var.max_connections) == var.max_connections
    error_message = "max_connections must be a whole number from 1 to 500000: the process may open 1048576 files, and should need no more than half."
  }
}

variable "name" {
  description = "Name of the group of edges."
  type        = string
  nullable    = false
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
  description = "What the VMs run: bucket, version, SHA-256 of the edge's tarball, and its object if it has another name."
  type = object({
    bucket  = string
    version = string
    sha256  = string
    object  = optional(string)
  })
  nullable = false
}

variable "zones" {
  description = "Zones of the region that the VMs are spread over. A group that is there keeps the zones that it was made in."
  type        = list(string)
  nullable    = false
}
