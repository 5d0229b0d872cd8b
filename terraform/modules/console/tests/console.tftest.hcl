mock_provider "google" {}

variables {
  name                     = "tw-console"
  project_id               = "a-project"
  zone                     = "europe-west1-b"
  network_id               = "projects/a-project/global/networks/n"
  network_project_id       = "a-project"
  subnetwork_id            = "projects/a-project/regions/europe-west1/subnetworks/s"
  image                    = "projects/debian-cloud/global/images/family/debian-12"
  release_bucket           = "releases"
  release_version          = "1.2.3"
  release_sha256           = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  redis_url                = "rediss://console@redis.tw.internal:6379"
  redis_ca_pem             = "an authority"
  redis_password_secret_id = "redis-console"
  token_secret_id          = "console-token"
  admin_token_secret_id    = "tw-admin-token"
  node_networks            = ["10.20.0.0/22"]

  nodes = {
    edge   = { admin_port = 9080, service_account_email = "tw-edge@a-project.iam.gserviceaccount.com" }
    ingest = { admin_port = 9081, service_account_email = "tw-ingest@a-project.iam.gserviceaccount.com" }
  }
}

run "as_it_comes" {
  command = plan

  assert {
    condition     = google_compute_firewall.operators.source_ranges == toset(["35.235.240.0/20"]) && one(google_compute_firewall.operators.allow).ports == tolist(["8090"])
    error_message = "nobody but Identity-Aware Proxy's tunnels reaches it"
  }

  assert {
    condition     = one(google_compute_firewall.nodes.allow).ports == tolist(["9080", "9081"]) && google_compute_firewall.nodes.target_service_accounts == toset([for node in var.nodes : node.service_account_email])
    error_message = "it reaches the admin ports of edges and ingest, and nothing else of them"
  }

  assert {
    condition     = length(google_compute_instance.vm.network_interface[0].access_config) == 0 && google_compute_instance.vm.machine_type == "e2-small"
    error_message = "the VM is small and has no public address"
  }

  assert {
    condition = output.environment == {
      HOST                     = "0.0.0.0"
      PORT                     = "8090"
      ADMIN_HOST               = "127.0.0.1"
      ADMIN_PORT               = "9091"
      REDIS_URL                = "rediss://console@redis.tw.internal:6379"
      REDIS_CA_FILE            = "/etc/tradewind/redis-ca.pem"
      REDIS_PASSWORD_FILE      = "/etc/tradewind/redis-password"
      CONSOLE_TOKEN_FILE       = "/etc/tradewind/console-token"
      CONSOLE_ADMIN_TOKEN_FILE = "/etc/tradewind/admin-token"
      CONSOLE_NODE_NETWORKS    = "10.20.0.0/22"
    }
    error_message = "it asks for a token, sends the nodes' token to their networks only, and knows neither edges nor ingest"
  }

  assert {
    condition     = toset([for member in google_secret_manager_secret_iam_member.vm : member.secret_id]) == toset(["tw-admin-token", "console-token", "redis-console"])
    error_message = "its account reads the secrets of its files alone"
  }
}

run "with_tapes_and_ends" {
  command = plan

  variables {
    edge_urls              = ["wss://stream.example.com/ws"]
    edge_token_secret_id   = "console-edge-token"
    ingest_url             = "http://10.20.8.5"
    ingest_token_secret_id = "console-ingest-token"
  }

  assert {
    condition     = output.environment.CONSOLE_EDGE_URLS == "wss://stream.example.com/ws" && output.environment.CONSOLE_EDGE_TOKEN_FILE == "/etc/tradewind/edge-token"
    error_message = "tapes are read as a client with a token"
  }

  assert {
    condition     = output.environment.CONSOLE_INGEST_URL == "http://10.20.8.5" && output.environment.CONSOLE_INGEST_TOKEN_FILE == "/etc/tradewind/ingest-token"
    error_message = "subjects are ended through ingest"
  }
}

run "refuses_everything_as_the_nodes_network" {
  command = plan

  variables {
    node_networks = ["0.0.0.0/0"]
  }

  expect_failures = [var.node_networks]
}

run "refuses_a_path_of_a_secret" {
  command = plan

  variables {
    token_secret_id = "projects/p/secrets/console-token"
  }

  expect_failures = [var.token_secret_id]
}
