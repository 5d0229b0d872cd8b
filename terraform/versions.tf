terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
    time = {
      source  = "hashicorp/time"
      version = "~> 0.13"
    }
  }

  # The state holds Memorystore's password and the admin ports' token. Keep it where few can read it:
  # backend "gcs" {
  #   bucket = "my-terraform-state"
  #   prefix = "tradewind"
  # }
}

provider "google" {
  project = var.project_id
  region  = var.region
}
