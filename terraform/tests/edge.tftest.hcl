mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

# Its checks have tests of their own; here a plan does not know their result, which a test takes for a failure.
override_module {
  target = module.status
}

variables {
  project_id = "a-project"
  region     = "europe-west1"
  edge       = { balancer = { certificate = { domains = ["stream.example.com"] } } }

  admin_token = "0123456789abcdef0123456789abcdef"

  # A test ends with a destroy.
  deletion_protection = false

  edge_count = 3

  release = {
    bucket = "releases"
    edge   = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
}

# Made, and not only planned: Redis is known then, and with it all settings.
run "drain" {
  variables {
    edge = { drain_seconds = 20, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  assert {
    condition     = module.vms["edge"].environment["DRAIN_SECONDS"] == "20" && tonumber(module.vms["edge"].environment["DRAIN_ACCEPT_SECONDS"]) + 2 < 20
    error_message = "the shortest drain leaves time for the clients, or no edge would start"
  }
}

run "admin_open" {
  assert {
    condition     = module.vms["edge"].environment["ADMIN_HOST"] == "0.0.0.0" && module.vms["edge"].environment["ADMIN_PORT"] == "9080"
    error_message = "infra/roll reaches the admin port"
  }
}

run "autoscaled" {
  command = plan

  variables {
    autoscaler = { max_count = 10 }
  }

  assert {
    condition     = output.edge_target_size == null
    error_message = "a size of Terraform's would fight the autoscaler"
  }

  assert {
    condition     = google_compute_region_autoscaler.edge[0].autoscaling_policy[0].mode == "ONLY_SCALE_OUT"
    error_message = "an autoscaler must not cut clients"
  }

  assert {
    condition     = google_compute_region_autoscaler.edge[0].autoscaling_policy[0].min_replicas == 3 && google_compute_region_autoscaler.edge[0].autoscaling_policy[0].max_replicas == 10
    error_message = "from edge_count to max_count"
  }

  assert {
    condition     = google_compute_region_autoscaler.edge[0].autoscaling_policy[0].metric[0].single_instance_assignment == 28000
    error_message = "an edge is to hold 70 % of its 40,000 clients"
  }
}

run "own_certificate" {
  command = plan

  variables {
    edge = { balancer = { host = "stream.example.com", certificate = { self_links = ["projects/a-project/global/sslCertificates/mine"] } } }
  }

  assert {
    condition     = output.websocket_url == "wss://stream.example.com/ws"
    error_message = "clients ask for the host that the certificate is for"
  }
}
