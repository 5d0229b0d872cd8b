variable "instance_group" {
  description = "Self link of the instance group."
  type        = string
  nullable    = false
}

variable "least" {
  description = "Number of VMs that the group must have."
  type        = number
  nullable    = false
}

variable "manager" {
  description = "Self link of what manages the group."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the group."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Project that the group is in."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region that the group is in."
  type        = string
  nullable    = false
}
