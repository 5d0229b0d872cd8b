variable "admin_token" {
  description = "The admin ports' token. It is in no state, so it must be given each time: TF_VAR_admin_token."
  type        = string
  ephemeral   = true
  sensitive   = true
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

variable "ingest_token_file_secret_id" {
  description = "ID of the secret that holds the publishers' token file: hashes of tokens, with channels, rights and rates. null for no ingest."
  type        = string
  default     = null
}

variable "jwt_key_secret_id" {
  description = "ID of the secret, which exists and holds a version, of the key that clients' tokens are signed with (HS256)."
  type        = string
}

variable "project_id" {
  description = "Project that everything is made in."
  type        = string
}

variable "redis_machine_type" {
  description = "Machine type of the Redis VMs; modules/redis_vm/README.md says how to change it."
  type        = string
  default     = "e2-standard-2"
}

variable "redis_primary" {
  description = "The Redis VM that writes go to, a or b: changed by a failover."
  type        = string
  default     = "a"
}

variable "redis_release" {
  description = "Bucket, version and SHA-256 of the server's tarball."
  type        = object({ bucket = string, version = string, sha256 = string })
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
