variable "certificate_domains" {
  description = "Domains that managed certificates are made for."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for domain in var.certificate_domains : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", domain))])
    error_message = "certificate.domains are lower-case host names without a wildcard, such as stream.example.com."
  }
}

variable "certificate_self_links" {
  description = "Self links of certificates of your own, instead of domains."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = (length(var.certificate_domains) > 0) != (length(var.certificate_self_links) > 0)
    error_message = "certificate takes domains or self_links: one of them, not both."
  }
}

variable "connection_limit" {
  description = "Connections that the balancer gives to one VM at most, where kind is connections."
  type        = number
  default     = null

  validation {
    condition     = var.connection_limit == null || coalesce(var.connection_limit, 1) >= 1
    error_message = "connection_limit must be at least 1."
  }
}

variable "draining_timeout_sec" {
  description = "Seconds for which the connections of a VM that is being removed are left alone, 0 to 3600."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.draining_timeout_sec >= 0 && var.draining_timeout_sec <= 3600
    error_message = "draining_timeout_sec must be 0 to 3600."
  }
}

variable "instance_group" {
  description = "The instance group that serves, with a named port http."
  type        = string
  nullable    = false
}

variable "kind" {
  description = "application: a global external Application Load Balancer, with Cloud Armor and a URL map. connections: a global external SSL proxy, which spreads clients by their number of connections. none: the address and the certificate only, between two kinds."
  type        = string
  default     = "application"
  nullable    = false

  validation {
    condition     = contains(["application", "connections", "none"], var.kind)
    error_message = "kind must be application, connections or none."
  }
}

variable "name" {
  description = "Beginning of the names of all that belongs to the balancer."
  type        = string
  nullable    = false
}

variable "port" {
  description = "Port that /readyz is asked on."
  type        = number
  nullable    = false
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "proxy_protocol" {
  description = "Whether, where kind is connections, each connection to a VM begins with a header of the PROXY protocol, version 1, which names the client. VMs must expect it."
  type        = bool
  default     = true
  nullable    = false
}

variable "throttle_interval_sec" {
  description = "Seconds that throttle_requests are counted for."
  type        = number
  nullable    = false

  validation {
    condition     = contains([10, 30, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 2700, 3600], var.throttle_interval_sec)
    error_message = "throttle.interval_sec must be 10, 30, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 2700 or 3600."
  }
}

variable "throttle_preview" {
  description = "Whether what is above throttle_requests is logged only, and let through."
  type        = bool
  default     = false
  nullable    = false
}

variable "throttle_requests" {
  description = "Requests, WebSocket handshakes among them, that one address may send in throttle_interval_sec; above it, 429. Only where kind is application."
  type        = number
  nullable    = false

  validation {
    condition     = var.throttle_requests >= 1 && var.throttle_requests <= 1000000
    error_message = "throttle.requests must be 1 to 1000000."
  }
}

variable "timeout_sec" {
  description = "Seconds after which the balancer ends an exchange: with WebSockets, a connection on which nothing was said."
  type        = number
  nullable    = false

  validation {
    condition     = var.timeout_sec >= 1 && var.timeout_sec <= 86400
    error_message = "timeout_sec must be 1 to 86400: a balancer keeps no connection for longer than about a day."
  }
}
