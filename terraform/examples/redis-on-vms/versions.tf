terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.45, < 9"
    }
    time = {
      source  = "hashicorp/time"
      version = ">= 0.13, < 1"
    }
  }

  # The bucket and the prefix: terraform init -backend-config=bucket=BUCKET -backend-config=prefix=tradewind
  backend "gcs" {}
}

# The labels of everything that can have some.
provider "google" {
  project = var.project_id
  region  = var.region

  default_labels = { app = "tradewind" }
}
