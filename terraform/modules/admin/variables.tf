variable "iap_tunnels" {
  description = "Whether tunnels of Identity-Aware Proxy may reach the admin ports."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "Beginning of the names of all that belongs to the admin ports."
  type        = string
  nullable    = false
}

variable "network_id" {
  description = "ID of the network that the VMs are in."
  type        = string
  nullable    = false
}

variable "network_project_id" {
  description = "Project of the network: with a Shared VPC its host project."
  type        = string
  nullable    = false
}

variable "operators" {
  description = "Who may read the token, as IAM members: user:, group: or serviceAccount: and an e-mail address."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount):[^@ ]+@[^@ ]+$", member))])
    error_message = "operators are IAM members such as group:ops@example.com; allUsers and whole domains are not."
  }
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "services" {
  description = "For each service, its admin port and the service account of its VMs."
  type = map(object({
    port                  = number
    service_account_email = string
  }))
  nullable = false
}

variable "source_ranges" {
  description = "IPv4 ranges within the network, or joined to it, that may reach the admin ports: each a /20 or smaller."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for range in var.source_ranges : try(tonumber(split("/", range)[1]) >= 20 && can(cidrhost(range, 0)), false)])
    error_message = "source_ranges are IPv4 ranges of a /20 or smaller, such as 10.20.3.250/32: where the operators are, not everybody."
  }
}

variable "token" {
  description = "The token, 32 to 128 letters, digits, hyphens and underscores. It is written when token_version changes, and must be given each time."
  type        = string
  nullable    = false
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{32,128}$", var.token))
    error_message = "token must be 32 to 128 letters, digits, hyphens and underscores, as openssl rand -hex 24 prints."
  }
}

variable "token_version" {
  description = "Raised to write another token."
  type        = number
  default     = 1
  nullable    = false
}
