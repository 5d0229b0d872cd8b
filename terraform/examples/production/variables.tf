variable "admin_token" {
  description = "The admin ports' token. It is in no state, so it must be given each time: TF_VAR_admin_token."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "admin_token_version" {
  description = "Raised to write another admin token."
  type        = number
  default     = 1
}

variable "auth" {
  description = "Whom edges serve: kind jwt with the secret that holds the key of tokens (hs256_secret_id) or a JWK set (keys_secret_id); or kind none, for everybody."
  type = object({
    kind            = string
    hs256_secret_id = optional(string)
    keys_secret_id  = optional(string)
    issuer          = optional(string)
    audience        = optional(string)
  })
}

variable "deletion_protection" {
  description = "false before the tier is taken down, with an apply."
  type        = bool
  default     = true
}

variable "domain" {
  description = "Host name that clients connect to."
  type        = string
}

variable "edge_count" {
  description = "Number of edges. Raise it freely; to lower it, remove edges with infra/roll first."
  type        = number
  default     = 3
}

variable "email" {
  description = "E-mail address that alerts go to."
  type        = string
}

variable "ingest_token_file_secret_id" {
  description = "ID of the secret that holds the publishers' token file: hashes of tokens, with channels, rights and rates. null for no ingest."
  type        = string
  default     = null
}

variable "operators" {
  description = "Who rolls: IAM members that may read the admin ports' token."
  type        = list(string)
}

variable "origins" {
  description = "Web pages that may connect, such as https://app.example.com. Empty: all."
  type        = list(string)
  default     = []
}

variable "project_id" {
  description = "Project that everything is made in."
  type        = string
}

variable "publishers" {
  description = "Who publishes into Redis itself: IAM members that may read its password."
  type        = list(string)
  default     = []
}

variable "region" {
  description = "Region that everything is made in."
  type        = string
  default     = "europe-west1"
}

variable "release" {
  description = "The bucket, and version and SHA-256 of each service's tarball, as npm run release prints them."
  type = object({
    bucket = string
    edge   = object({ version = string, sha256 = string })
    ingest = optional(object({ version = string, sha256 = string }))
  })
}

variable "zones" {
  description = "Zones of the region, for good: what is there stays in the zones that it was made in."
  type        = list(string)
}
