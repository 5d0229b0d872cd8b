mock_provider "google" {
  mock_data "google_compute_lb_ip_ranges" {
    defaults = { http_ssl_tcp_internal = ["35.191.0.0/16", "130.211.0.0/22"] }
  }

  # The provider judges an IAM member, and an invented value is none.
  mock_resource "google_service_account" {
    defaults = {
      email  = "vm@a-project.iam.gserviceaccount.com"
      member = "serviceAccount:vm@a-project.iam.gserviceaccount.com"
    }
  }
}

mock_provider "time" {}

override_module {
  target = module.tier.module.status
}

variables {
  project_id = "a-project"
  domain     = "stream.example.com"

  admin_token = "0123456789abcdef0123456789abcdef"
  auth        = { kind = "jwt", hs256_secret_id = "jwt-key" }
  origins     = ["https://app.example.com"]
  zones       = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]
  email       = "operators@example.com"
  operators   = ["group:operators@example.com"]

  ingest_token_file_secret_id = "ingest-token-file"

  release = {
    bucket = "releases"
    edge   = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
    ingest = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
}

run "plan" {
  command = plan

  assert {
    condition     = output.websocket_url == "wss://stream.example.com/ws" && output.quotas.INSTANCES == 11
    error_message = "the tier is as large as it says"
  }
}
