mock_provider "google" {
  # The provider judges an IAM member, and an invented value is none.
  mock_resource "google_service_account" {
    defaults = {
      email  = "vm@a-project.iam.gserviceaccount.com"
      member = "serviceAccount:vm@a-project.iam.gserviceaccount.com"
    }
  }
}

variables {
  name                    = "tw-redis"
  client_service_accounts = ["edge@a-project.iam.gserviceaccount.com"]
  project_id              = "a-project"
  region                  = "europe-west1"
  zones                   = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]
  network_id              = "projects/a-project/global/networks/n"
  network_project_id      = "a-project"
  subnetwork_id           = "projects/a-project/regions/europe-west1/subnetworks/s"
  release                 = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  passwords               = { admin = "redis-admin", edge = "redis-edge", ingest = "redis-ingest", replication = "redis-replication" }
}

run "vm" {
  command = plan

  variables {
    publishers              = { pricing = { password = "redis-pricing", channels = ["BTC.*", "ETH.trade"] } }
    client_service_accounts = ["edge@a-project.iam.gserviceaccount.com", "pricing@a-project.iam.gserviceaccount.com"]
    client_ranges           = ["10.40.0.0/24"]
  }

  override_resource {
    target          = google_service_account.vm
    override_during = plan
    values = {
      email  = "redis@a-project.iam.gserviceaccount.com"
      member = "serviceAccount:redis@a-project.iam.gserviceaccount.com"
    }
  }

  override_resource {
    target          = google_compute_address.vm
    override_during = plan
    values          = { address = "10.20.0.8" }
  }

  assert {
    condition     = length(google_compute_instance.vm) == 2
    error_message = "a primary and a replica"
  }

  assert {
    condition     = google_compute_instance.vm["a"].zone != google_compute_instance.vm["b"].zone
    error_message = "in two zones"
  }

  assert {
    condition     = !strcontains(local.configuration["a"], "replicaof") && strcontains(local.configuration["b"], "replicaof 10.20.0.8 6379\n")
    error_message = "b copies a"
  }

  assert {
    condition     = strcontains(local.configuration["a"], "client-output-buffer-limit pubsub 128mb 64mb 30\n") && strcontains(local.configuration["a"], "maxmemory-policy noeviction\n")
    error_message = "what Memorystore does not let one set is set here"
  }

  assert {
    condition = strcontains(google_compute_instance.vm["a"].metadata["startup-script"], "users='${base64encode(join("", [
      "admin projects/a-project/secrets/redis-admin/versions/latest\n",
      "edge projects/a-project/secrets/redis-edge/versions/latest\n",
      "ingest projects/a-project/secrets/redis-ingest/versions/latest\n",
      "pricing projects/a-project/secrets/redis-pricing/versions/latest BTC.* ETH.trade\n",
      "replication projects/a-project/secrets/redis-replication/versions/latest\n",
    ]))}'")
    error_message = "the script knows the users, where their passwords are, and a publisher's channels"
  }

  assert {
    condition     = google_compute_firewall.clients.source_service_accounts == toset(["edge@a-project.iam.gserviceaccount.com", "pricing@a-project.iam.gserviceaccount.com", "redis@a-project.iam.gserviceaccount.com"])
    error_message = "edges, ingest, publishers and the other Redis get to Redis by their accounts"
  }

  assert {
    condition     = google_compute_firewall.client_ranges[0].source_ranges == toset(["10.40.0.0/24"])
    error_message = "publishers elsewhere get to Redis by their range"
  }

  assert {
    condition     = length(google_compute_instance.vm["a"].network_interface[0].access_config) == 0
    error_message = "a VM has no public address"
  }

  assert {
    condition     = output.redis.url == "redis://redis.tw-redis.internal:6379" && output.redis.has_users && output.redis.passwords.ingest == "redis-ingest" && output.redis.publishers == { pricing = "redis-pricing" }
    error_message = "edge and ingest are users of their own"
  }
}

run "vm_failed_over" {
  command = plan

  variables {
    primary = "b"
  }

  override_resource {
    target          = google_compute_address.vm
    override_during = plan
    values          = { address = "10.20.0.8" }
  }

  assert {
    condition     = strcontains(local.configuration["a"], "replicaof ") && !strcontains(local.configuration["b"], "replicaof")
    error_message = "a copies b"
  }

  assert {
    condition     = output.redis.url == "redis://redis.tw-redis.internal:6379"
    error_message = "clients keep the name they know"
  }
}

run "vm_with_tls" {
  command = plan

  variables {
    tls = { certificate = "redis-crt", key = "redis-key", ca_pem = "a certificate" }
  }

  assert {
    condition     = output.redis.url == "rediss://redis.tw-redis.internal:6379" && output.redis.ca_pem == "a certificate"
    error_message = "clients are told to use TLS, and whom to trust"
  }
}

run "vm_without_further_clients" {
  command = plan

  assert {
    condition     = length(google_compute_firewall.client_ranges) == 0
    error_message = "no range gets to Redis unless it is named"
  }
}

run "refuses_eviction" {
  command = plan

  variables {
    maxmemory_policy = "allkeys-lru"
  }

  expect_failures = [var.maxmemory_policy]
}

run "refuses_primary" {
  command = plan

  variables {
    primary = "c"
  }

  expect_failures = [var.primary]
}

run "refuses_reserved_user" {
  command = plan

  variables {
    publishers = { edge = { password = "p", channels = ["*"] } }
  }

  expect_failures = [var.publishers]
}

run "refuses_reserved_channel" {
  command = plan

  variables {
    publishers = { pricing = { password = "p", channels = ["tw:probe"] } }
  }

  expect_failures = [var.publishers]
}

run "refuses_channels_that_cover_revocations" {
  command = plan

  variables {
    publishers = { pricing = { password = "p", channels = ["BTC.*", "t*"] } }
  }

  expect_failures = [var.publishers]
}

run "refuses_the_end_of_the_channel_of_revocations" {
  command = plan

  variables {
    publishers = { pricing = { password = "p", channels = ["**d"] } }
  }

  expect_failures = [var.publishers]
}

run "refuses_publisher_of_nothing" {
  command = plan

  variables {
    publishers = { pricing = { password = "p", channels = [] } }
  }

  expect_failures = [var.publishers]
}

run "refuses_rule_in_a_channel" {
  command = plan

  variables {
    publishers = { pricing = { password = "p", channels = ["BTC.* +@all"] } }
  }

  expect_failures = [var.publishers]
}

run "refuses_no_room_for_buffers" {
  command = plan

  variables {
    memory_percent = 90
  }

  expect_failures = [var.memory_percent]
}

run "refuses_buffer_limits" {
  command = plan

  variables {
    pubsub_output_buffer = { hard_mb = 16 }
  }

  expect_failures = [var.pubsub_output_buffer]
}

run "refuses_everybody" {
  command = plan

  variables {
    client_ranges = ["0.0.0.0/0"]
  }

  expect_failures = [var.client_ranges]
}

run "refuses_account_of_somebody" {
  command = plan

  variables {
    client_service_accounts = ["me@example.com"]
  }

  expect_failures = [var.client_service_accounts]
}

run "refuses_admin_as_publisher" {
  command = plan

  variables {
    publishers = { admin = { password = "p", channels = ["*"] } }
  }

  expect_failures = [var.publishers]
}

run "refuses_old_redis" {
  command = plan

  variables {
    release = { bucket = "releases", engine = "redis", version = "6.2.14", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }

  expect_failures = [var.release]
}

