variable "groups" {
  description = "For each service its group of VMs, how many it must have, and how many an autoscaler may make of it; null without one."
  type = map(object({
    name  = string
    least = number
    most  = number
  }))
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.groups), ["edge", "ingest"])) == 0 && contains(keys(var.groups), "edge")
    error_message = "groups holds edge, and ingest where there is one."
  }
}

variable "host" {
  description = "Host that an uptime check asks from outside, over HTTPS; null for none."
  type        = string
  default     = null
}

variable "install_ops_agent" {
  description = "Whether VM Manager installs the Ops Agent, which reads the metrics. false: the image has it, or somebody else does."
  type        = bool
  default     = true
  nullable    = false
}

variable "email" {
  description = "E-mail address that alerts go to, besides notification_channels."
  type        = string
  default     = null

  validation {
    condition     = var.email == null || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.email))
    error_message = "email must be an address, such as ops@example.com."
  }
}

variable "memorystore" {
  description = "ID of the Memorystore instance whose memory is alerted on; null without one."
  type        = object({ id = string })
  default     = null
}

variable "name" {
  description = "Beginning of the names of all that belongs to monitoring."
  type        = string
  nullable    = false
}

variable "notification_channels" {
  description = "IDs of the notification channels that alerts go to: projects/P/notificationChannels/N."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "notification_channels are IDs such as projects/my-project/notificationChannels/123."
  }
}

variable "project_id" {
  description = "Project that everything is in."
  type        = string
  nullable    = false
}

variable "rules_directory" {
  description = "Folder that holds alerts.yml and recording-rules.yml; null for this repository's infra/prometheus."
  type        = string
  default     = null
}

variable "zones" {
  description = "Zones that the VMs are in."
  type        = list(string)
  nullable    = false
}
