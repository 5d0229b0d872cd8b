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
    bucket = "releases"
    edge   = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
    ingest = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
}

# Made, and not only planned: the address of a balancer is known then.
run "internal" {

  assert {
    condition     = output.ingest_url == "http://10.20.0.9" && length(module.internal_balancer) == 1 && length(module.ingest_balancer) == 0
    error_message = "reached from within the network only; no public balancer"
  }

  assert {
    condition     = tonumber(module.vms["ingest"].environment["DRAIN_ACCEPT_SECONDS"]) < tonumber(module.vms["ingest"].environment["DRAIN_SECONDS"]) && tonumber(module.vms["ingest"].environment["DRAIN_SECONDS"]) <= 60
    error_message = "a drain outlasts the balancer's noticing, and fits the unit"
  }

  assert {
    condition     = module.vms["ingest"].target_size == 2
    error_message = "two VMs"
  }
}

run "tokens_with_rights" {
  command = plan

  variables {
    ingest = { token_file_secret_id = "ingest-token-file" }
  }

  assert {
    condition     = module.vms["ingest"].environment["INGEST_TOKENS_FILE"] == "/etc/tradewind/ingest-tokens.json"
    error_message = "ingest reads the file that the VM writes"
  }

  assert {
    condition     = strcontains(base64decode(regex("secret_files='([^']*)'", module.vms["ingest"].startup_script)[0]), "ingest-tokens.json projects/a-project/secrets/ingest-token-file/versions/latest\n") && !strcontains(base64decode(regex("secret_variables='([^']*)'", module.vms["ingest"].startup_script)[0]), "INGEST_TOKENS ")
    error_message = "the file is the secret's, and there are no tokens with all rights"
  }
}

run "no_tokens" {
  command = plan

  variables {
    ingest = { count = 1 }
  }

  expect_failures = [var.ingest]
}

run "external" {
  command = plan

  variables {
    ingest = { tokens_secret_id = "ingest-tokens", balancer = { exposure = "external", certificate = { domains = ["ingest.example.com"] } } }
  }

  assert {
    condition     = output.ingest_url == "https://ingest.example.com" && length(module.internal_balancer) == 0 && length(module.ingest_balancer) == 1
    error_message = "HTTPS from everywhere, and nothing inside"
  }
}

run "own_certificate" {
  command = plan

  variables {
    ingest = { tokens_secret_id = "ingest-tokens", balancer = { exposure = "external", host = "ingest.example.com", certificate = { self_links = ["x"] } } }
  }

  assert {
    condition     = output.ingest_url == "https://ingest.example.com"
    error_message = "publishers ask for the host that the certificate is for"
  }
}
