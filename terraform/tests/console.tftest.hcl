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
  ingest     = { tokens_secret_id = "ingest-tokens" }

  admin_token = "0123456789abcdef0123456789abcdef"

  # A test ends with a destroy.
  deletion_protection = false

  release = {
    bucket  = "releases"
    edge    = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
    ingest  = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
    console = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
}

run "off_unless_asked_for" {
  command = plan

  assert {
    condition     = length(module.console) == 0 && output.how_to_open_console == null
    error_message = "a tier has no console unless it is asked for"
  }
}

run "a_console" {
  command = apply

  variables {
    console = { token_secret_id = "console-token" }
  }

  assert {
    condition     = module.console[0].environment.CONSOLE_NODE_NETWORKS == "10.20.0.0/22"
    error_message = "the nodes are in the tier's subnetwork"
  }

  assert {
    condition     = !contains(keys(module.console[0].environment), "CONSOLE_EDGE_URLS")
    error_message = "without a way out no edge is reached by its public name"
  }

  assert {
    condition     = output.quotas == { CPUS = 5 * 4 + 5 * 2 + 2, SSD_TOTAL_GB = 210, INSTANCES = 11 }
    error_message = "its machine counts"
  }
}

run "a_console_with_a_way_out" {
  command = apply

  variables {
    console = { token_secret_id = "console-token", edge_token_secret_id = "console-edge-token" }
    network = { nat = true }
  }

  assert {
    condition     = module.console[0].environment.CONSOLE_EDGE_URLS == "wss://stream.example.com/ws"
    error_message = "tapes come from the edges' balancer"
  }
}

run "refuses_a_console_without_admin_ports" {
  command = plan

  variables {
    console     = { token_secret_id = "console-token" }
    admin       = null
    admin_token = null
  }

  expect_failures = [var.console]
}

run "refuses_a_console_without_a_release" {
  command = plan

  variables {
    console = { token_secret_id = "console-token" }
    release = {
      bucket = "releases"
      edge   = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
      ingest = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
    }
  }

  expect_failures = [var.release]
}
