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
  edge       = { auth = { kind = "none" }, balancer = { certificate = { domains = ["stream.example.com"] } } }

  admin_token = "0123456789abcdef0123456789abcdef"

  # A test ends with a destroy.
  deletion_protection = false

  edge_count = 3

  release = {
    bucket = "releases"
    edge   = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
}

# Made, and not only planned: Redis is known then, and with it all settings. In a file of its own, since a balancer that is there keeps its
# kind.
run "clients_addresses" {
  variables {
    edge = { auth = { kind = "none" }, balancer = { kind = "connections", certificate = { domains = ["stream.example.com"] } } }
  }

  assert {
    condition     = module.vms["edge"].environment["EDGE_PROXY_PROTOCOL"] == "v1"
    error_message = "edges expect the header that this balancer sends"
  }
}

run "no_addresses" {
  variables {
    edge = { auth = { kind = "none" }, balancer = { kind = "connections", proxy_protocol = false, certificate = { domains = ["stream.example.com"] } } }
  }

  assert {
    condition     = !can(module.vms["edge"].environment["EDGE_PROXY_PROTOCOL"])
    error_message = "edges expect no header that is not sent"
  }
}
