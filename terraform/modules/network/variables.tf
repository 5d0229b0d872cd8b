variable "existing_network_id" {
  description = "ID of a network that is there, its own or a Shared VPC's (projects/P/global/networks/N); null where one is made."
  type        = string
  default     = null

  validation {
    condition     = !var.uses_existing || can(regex("^projects/[^/]+/global/networks/[^/]+$", var.existing_network_id))
    error_message = "network.existing.network_id must be an ID such as projects/my-project/global/networks/my-network."
  }
}

variable "existing_proxy_subnetwork_id" {
  description = "ID of the subnetwork of an internal balancer's proxies that is there; null where one is made."
  type        = string
  default     = null
}

variable "existing_subnetwork_id" {
  description = "ID of the VMs' subnetwork that is there (projects/P/regions/R/subnetworks/S)."
  type        = string
  default     = null

  validation {
    condition     = !var.uses_existing || can(regex("^projects/[^/]+/regions/${var.region}/subnetworks/[^/]+$", var.existing_subnetwork_id))
    error_message = "network.existing.subnetwork_id must be an ID such as projects/my-project/regions/europe-west1/subnetworks/my-subnetwork, in the tier's region."
  }
}

variable "iap_ssh" {
  description = "Whether people with the right may reach SSH through Identity-Aware Proxy, for looking into a VM."
  type        = bool
  default     = true
  nullable    = false
}

variable "makes_peering" {
  description = "Whether the peering with managed services is made in a network that is there; else it must be there."
  type        = bool
  default     = false
  nullable    = false
}

variable "managed_redis" {
  description = "Whether managed services (Memorystore) are reached by a private peering."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "Name of the network, and beginning of the other names."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,38}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 40 lower-case letters, digits and hyphens."
  }
}

variable "nat" {
  description = "Whether VMs of the subnetwork may reach the internet, for backends that live there: feeds of exchanges, packages. The tier needs none."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.nat || !var.uses_existing
    error_message = "nat is for a network that is made here: an existing one has its own way out."
  }
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "proxy_subnet_cidr" {
  description = "Range of the proxies of an internal balancer, at least a /26; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.proxy_subnet_cidr == null || try(tonumber(split("/", var.proxy_subnet_cidr)[1]) <= 26 && can(cidrhost(var.proxy_subnet_cidr, 1)), false)
    error_message = "proxy_subnet_cidr must be an IPv4 range of at least a /26."
  }
}

variable "region" {
  description = "Region of the subnetworks."
  type        = string
  nullable    = false
}

variable "subnet_cidr" {
  description = "Range of the VMs, at least a /24: 100 edges, and as many again while they are replaced."
  type        = string
  default     = "10.20.0.0/22"
  nullable    = false

  validation {
    condition     = try(tonumber(split("/", var.subnet_cidr)[1]) <= 24 && can(cidrhost(var.subnet_cidr, 1)), false)
    error_message = "subnet_cidr must be an IPv4 range of at least a /24."
  }
}

variable "uses_existing" {
  description = "Whether the network is there. Apart from its ID, which a plan may not know yet."
  type        = bool
  default     = false
  nullable    = false
}
