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

variables {
  name                    = "tw-redis"
  managed_peering         = "a-peering"
  client_service_accounts = ["edge@a-project.iam.gserviceaccount.com"]
  project_id              = "a-project"
  region                  = "europe-west1"
  zones                   = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]
  network                 = { network_id = "projects/a-project/global/networks/n", subnetwork_id = "projects/a-project/regions/europe-west1/subnetworks/s" }
}

run "memorystore" {
  command = plan

  assert {
    condition     = google_redis_instance.main[0].tier == "STANDARD_HA" && google_redis_instance.main[0].auth_enabled && google_redis_instance.main[0].transit_encryption_mode == "SERVER_AUTHENTICATION"
    error_message = "highly available, with a password and TLS"
  }

  assert {
    condition     = google_redis_instance.main[0].redis_configs["maxmemory-policy"] == "noeviction"
    error_message = "an offset must not be evicted"
  }

  assert {
    condition     = google_redis_instance.main[0].deletion_protection && length(google_compute_instance.vm) == 0
    error_message = "one Redis, kept"
  }
}

run "vm" {
  command = plan

  variables {
    variant = "vm"
    vm = {
      release   = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
      passwords = { admin = "redis-admin", edge = "redis-edge", ingest = "redis-ingest", replication = "redis-replication" }
      publishers = {
        pricing = { password = "redis-pricing", channels = ["BTC.*", "ETH.trade"] }
      }
      clients = { service_accounts = ["pricing@a-project.iam.gserviceaccount.com"], source_ranges = ["10.40.0.0/24"] }
    }
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
    condition     = length(google_compute_instance.vm) == 2 && length(google_redis_instance.main) == 0
    error_message = "a primary and a replica, and no Memorystore"
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
    condition     = google_compute_firewall.clients[0].source_service_accounts == toset(["edge@a-project.iam.gserviceaccount.com", "pricing@a-project.iam.gserviceaccount.com", "redis@a-project.iam.gserviceaccount.com"])
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
    condition     = output.clients["edge"].url == "redis://edge@redis.tw-redis.internal:6379" && output.clients["ingest"].password_secret_id == "redis-ingest"
    error_message = "edge and ingest are users of their own"
  }
}

run "vm_failed_over" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, primary = "b" }
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
    condition     = output.host == "redis.tw-redis.internal"
    error_message = "clients keep the name they know"
  }
}

run "vm_with_tls" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, tls = { certificate = "redis-crt", key = "redis-key", ca_pem = "a certificate" } }
  }

  assert {
    condition     = output.uses_tls && output.clients["edge"].url == "rediss://edge@redis.tw-redis.internal:6379" && output.clients["edge"].ca_pem == "a certificate"
    error_message = "clients are told to use TLS, and whom to trust"
  }
}

# What Google tells about zones must not move a Redis that is there.
run "memorystore_made" {}

run "memorystore_stays" {
  command = plan

  variables {
    zones = ["europe-west1-d", "europe-west1-b"]
  }

  assert {
    condition     = google_redis_instance.main[0].location_id == "europe-west1-b" && google_redis_instance.main[0].alternative_location_id == "europe-west1-c"
    error_message = "Memorystore stays in the zones that it was made in"
  }
}

run "vm_without_further_clients" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" } }
  }

  assert {
    condition     = length(google_compute_firewall.client_ranges) == 0
    error_message = "no range gets to Redis unless it is named"
  }
}

run "needs_the_peering" {
  command = plan

  variables {
    managed_peering = null
  }

  expect_failures = [google_redis_instance.main]
}

run "refuses_variant" {
  command = plan

  variables {
    variant = "cluster"
  }

  expect_failures = [var.variant]
}

run "refuses_vm_without_settings" {
  command = plan

  variables {
    variant = "vm"
  }

  expect_failures = [var.vm]
}

run "refuses_eviction" {
  command = plan

  variables {
    memorystore = { maxmemory_policy = "allkeys-lru" }
  }

  expect_failures = [var.memorystore]
}

run "refuses_no_memory" {
  command = plan

  variables {
    memorystore = { memory_size_gb = 0 }
  }

  expect_failures = [var.memorystore]
}

run "refuses_version" {
  command = plan

  variables {
    memorystore = { version = "REDIS_5_0" }
  }

  expect_failures = [var.memorystore]
}

run "refuses_weekday" {
  command = plan

  variables {
    memorystore = { maintenance = { day = "Sunday" } }
  }

  expect_failures = [var.memorystore]
}

run "refuses_one_zone" {
  command = plan

  variables {
    zones = ["europe-west1-b"]
  }

  expect_failures = [var.zones]
}

run "refuses_vm_eviction" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, maxmemory_policy = "allkeys-lru" }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_primary" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, primary = "c" }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_reserved_user" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, publishers = { edge = { password = "p", channels = ["*"] } } }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_reserved_channel" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, publishers = { pricing = { password = "p", channels = ["tw:probe"] } } }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_publisher_of_nothing" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, publishers = { pricing = { password = "p", channels = [] } } }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_rule_in_a_channel" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, publishers = { pricing = { password = "p", channels = ["BTC.* +@all"] } } }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_no_room_for_buffers" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, memory_percent = 90 }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_buffer_limits" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, pubsub_output_buffer_mb = 16 }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_everybody" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, clients = { source_ranges = ["0.0.0.0/0"] } }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_account_of_somebody" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, clients = { service_accounts = ["me@example.com"] } }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_admin_as_publisher" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", version = "8.1.4", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" }, publishers = { admin = { password = "p", channels = ["*"] } } }
  }

  expect_failures = [var.vm]
}

run "refuses_vm_old_redis" {
  command = plan

  variables {
    variant = "vm"
    vm      = { release = { bucket = "releases", engine = "redis", version = "6.2.14", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, passwords = { admin = "a", edge = "e", ingest = "i", replication = "r" } }
  }

  expect_failures = [var.vm]
}

run "publishers" {
  command = plan

  variables {
    publishers = ["serviceAccount:pricing@a-project.iam.gserviceaccount.com"]
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.publishers["serviceAccount:pricing@a-project.iam.gserviceaccount.com"].role == "roles/secretmanager.secretAccessor"
    error_message = "who publishes into Redis reads its password"
  }
}

run "refuses_everybody_for_publisher" {
  command = plan

  variables {
    publishers = ["allAuthenticatedUsers"]
  }

  expect_failures = [var.publishers]
}
