variable "instance_group" {
  description = "The instance group that serves, with a named port http."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Beginning of the names of all that belongs to the balancer."
  type        = string
  nullable    = false
}

variable "network_id" {
  description = "ID of the network that the balancer is reached from."
  type        = string
  nullable    = false
}

variable "network_project_id" {
  description = "Project of the network: with a Shared VPC its host project."
  type        = string
  nullable    = false
}

variable "port" {
  description = "Port of the VMs."
  type        = number
  nullable    = false
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "proxy_subnet_cidr" {
  description = "Range of the balancer's proxies, which reaches the VMs."
  type        = string
  default     = null
}

variable "proxy_subnetwork_id" {
  description = "ID of the subnetwork of the balancer's proxies, which must be there first."
  type        = string
  default     = null
}

variable "region" {
  description = "Region of the balancer."
  type        = string
  nullable    = false
}

variable "service_account_email" {
  description = "Service account of the VMs."
  type        = string
  nullable    = false
}

variable "subnetwork_id" {
  description = "ID of the subnetwork that the balancer's address is in."
  type        = string
  nullable    = false
}

variable "timeout_sec" {
  description = "Seconds after which the balancer ends a request."
  type        = number
  nullable    = false
}
