variable "admin_token_file" {
  description = "File on each VM that holds the admin port's token; null where it asks for none."
  type        = string
  default     = null
}

variable "groups" {
  description = "For each service, edge and ingest, the name of its group of VMs and its admin port, which metrics are read from."
  type = map(object({
    name       = string
    admin_port = number
  }))
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.groups), ["edge", "ingest"])) == 0 && contains(keys(var.groups), "edge")
    error_message = "groups holds edge, and ingest where there is one."
  }
}

variable "install_ops_agent" {
  description = "Whether VM Manager installs the Ops Agent, which reads the metrics. false: the image has it, or somebody else does."
  type        = bool
  default     = true
  nullable    = false
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
