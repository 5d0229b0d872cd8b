mock_provider "google" {}
variables {
  name       = "tw"
  project_id = "a-project"
  token      = "0123456789abcdef0123456789abcdef"
  network_id = "projects/a-project/global/networks/n"

  network_project_id = "a-project"

  services = {
    edge   = { port = 9080, service_account_email = "tw-edge@a-project.iam.gserviceaccount.com" }
    ingest = { port = 9081, service_account_email = "tw-ingest@a-project.iam.gserviceaccount.com" }
  }
}

run "as_it_comes" {
  command = plan

  assert {
    condition     = length(google_compute_firewall.operators) == 0 && google_compute_firewall.iap[0].source_ranges == toset(["35.235.240.0/20"])
    error_message = "nobody but Identity-Aware Proxy's tunnels reaches the admin ports"
  }

  assert {
    condition     = one(google_compute_firewall.iap[0].allow).ports == tolist(["9080", "9081"]) && google_compute_firewall.iap[0].target_service_accounts == toset([for service in var.services : service.service_account_email])
    error_message = "the rule is for the admin ports of edges and ingest"
  }

  assert {
    condition     = output.token_secret_id == "tw-admin-token"
    error_message = "the secret has its name"
  }

  assert {
    condition     = length(google_secret_manager_secret_iam_member.operators) == 0
    error_message = "nobody reads the token unasked"
  }
}

run "operators" {
  command = plan

  variables {
    operators     = ["group:ops@example.com"]
    source_ranges = ["10.20.3.250/32"]
    iap_tunnels   = false
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.operators["group:ops@example.com"].role == "roles/secretmanager.secretAccessor"
    error_message = "operators may read the token"
  }

  assert {
    condition     = google_compute_firewall.operators[0].source_ranges == toset(["10.20.3.250/32"]) && length(google_compute_firewall.iap) == 0
    error_message = "the operators' range reaches the admin ports, and nothing else does"
  }
}

run "refuses_everybody" {
  command = plan

  variables {
    source_ranges = ["0.0.0.0/0"]
  }

  expect_failures = [var.source_ranges]
}

run "refuses_wide_range" {
  command = plan

  variables {
    source_ranges = ["10.0.0.0/8"]
  }

  expect_failures = [var.source_ranges]
}

run "refuses_no_range" {
  command = plan

  variables {
    source_ranges = ["10.20.3.250"]
  }

  expect_failures = [var.source_ranges]
}

run "refuses_public_operators" {
  command = plan

  variables {
    operators = ["allAuthenticatedUsers"]
  }

  expect_failures = [var.operators]
}

run "token_in_no_state" {
  assert {
    condition     = google_secret_manager_secret_version.token.secret_data == null && google_secret_manager_secret_version.token.secret_data_wo == null && google_secret_manager_secret_version.token.secret_data_wo_version == "1"
    error_message = "the token is written and forgotten"
  }
}

run "refuses_short_token" {
  command = plan

  variables {
    token = "hush"
  }

  expect_failures = [var.token]
}
