variable "admin_token" {
  description = "The admin ports' token. It is in no state, so it must be given each time: TF_VAR_admin_token."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "domain" {
  description = "Host name that clients connect to."
  type        = string
}

variable "jwt_key_secret_id" {
  description = "ID of the secret, which exists and holds a version, of the key that clients' tokens are signed with (HS256)."
  type        = string
}

variable "network_id" {
  description = "The network that the backends are in: projects/P/global/networks/N; P may be a Shared VPC's host project."
  type        = string
}

variable "project_id" {
  description = "Project that everything is made in."
  type        = string
}

variable "publishers" {
  description = "Who publishes into Redis: IAM members that may read its password."
  type        = list(string)
}

variable "region" {
  description = "Region that everything is made in."
  type        = string
  default     = "europe-west1"
}

variable "release" {
  description = "The bucket, and version and SHA-256 of the edge's tarball, as npm run release prints them."
  type = object({
    bucket = string
    edge   = object({ version = string, sha256 = string })
  })
}

variable "subnetwork_id" {
  description = "The subnetwork that the VMs come into: projects/P/regions/R/subnetworks/S, with Private Google Access."
  type        = string
}
