# Groups that are there, and have three VMs each.

mock_provider "google" {
  source = "./tests/mocks"

  override_data {
    target = data.google_compute_region_instance_group.now
    values = { size = 3 }
  }
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
  edge_count = 3
  ingest     = { tokens_secret_id = "ingest-tokens", count = 3 }

  admin_token = "0123456789abcdef0123456789abcdef"

  # A test ends with a destroy.
  deletion_protection = false

  release = {
    bucket = "releases"
    edge   = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
    ingest = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
}

run "made" {
  assert {
    condition     = output.edge_target_size == 3 && output.ingest_target_size == 3
    error_message = "as many VMs as there are is no lower number"
  }
}

# What waits for an API, as here for one that goes, is read after the change, and not while planning.
run "refuses_fewer_vms_than_there_are" {
  command = plan

  variables {
    edge_count = 2
    ingest     = { tokens_secret_id = "ingest-tokens", count = 1 }
    monitoring = { install_ops_agent = false }
  }

  expect_failures = [output.edge_target_size, output.ingest_target_size]
}

run "leaves_the_size_to_an_autoscaler" {
  command = plan

  variables {
    edge_count = 1
    autoscaler = { max_count = 10 }
    ingest     = null
  }

  assert {
    condition     = output.edge_target_size == null && output.ingest_target_size == null
    error_message = "no number, or no group: nothing to compare"
  }
}
