variable "certificate" {
  description = "Domains that a managed certificate is made for, or self links of certificates of your own."
  type = object({
    domains    = optional(list(string), [])
    self_links = optional(list(string), [])
  })
  nullable = false

  validation {
    condition     = (length(var.certificate.domains) > 0) != (length(var.certificate.self_links) > 0)
    error_message = "certificate takes domains or self_links: one of them, not both."
  }

  validation {
    condition     = alltrue([for domain in var.certificate.domains : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", domain))])
    error_message = "certificate.domains are lower-case host names without a wildcard, such as stream.example.com."
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

variable "throttle" {
  description = "Requests, WebSocket handshakes among them, that one address may send in interval_sec; above it, 429. Only where kind is application."
  type = object({
    requests     = optional(number, 600)
    interval_sec = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.throttle.requests >= 1 && var.throttle.requests <= 1000000
    error_message = "throttle.requests must be 1 to 1000000."
  }

  validation {
    condition     = contains([10, 30, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 2700, 3600], var.throttle.interval_sec)
    error_message = "throttle.interval_sec must be 10, 30, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 2700 or 3600."
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
