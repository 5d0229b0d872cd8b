mock_provider "google" {}

variables {
  name            = "tw-redis"
  managed_peering = "a-peering"
  project_id      = "a-project"
  region          = "europe-west1"
  zones           = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]
  network_id      = "projects/a-project/global/networks/n"

  deletion_protection = true
  memory_size_gb      = 5
  redis_version       = "REDIS_7_2"
  maxmemory_policy    = "noeviction"
  maintenance_day     = "SUNDAY"
  maintenance_hour    = 3
}

run "memorystore" {
  command = plan

  assert {
    condition     = google_redis_instance.main.tier == "STANDARD_HA" && google_redis_instance.main.auth_enabled && google_redis_instance.main.transit_encryption_mode == "SERVER_AUTHENTICATION"
    error_message = "highly available, with a password and TLS"
  }

  assert {
    condition     = google_redis_instance.main.redis_configs["maxmemory-policy"] == "noeviction"
    error_message = "an offset must not be evicted"
  }

  assert {
    condition     = google_redis_instance.main.deletion_protection
    error_message = "kept"
  }

  assert {
    condition     = output.redis.passwords == { edge = "tw-redis-auth", ingest = "tw-redis-auth", console = "tw-redis-auth" } && !output.redis.has_users
    error_message = "one password for all"
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
    condition     = google_redis_instance.main.location_id == "europe-west1-b" && google_redis_instance.main.alternative_location_id == "europe-west1-c"
    error_message = "Memorystore stays in the zones that it was made in"
  }
}

run "needs_the_peering" {
  command = plan

  variables {
    managed_peering = null
  }

  expect_failures = [google_redis_instance.main]
}

run "refuses_eviction" {
  command = plan

  variables {
    maxmemory_policy = "allkeys-lru"
  }

  expect_failures = [var.maxmemory_policy]
}

run "refuses_no_memory" {
  command = plan

  variables {
    memory_size_gb = 0
  }

  expect_failures = [var.memory_size_gb]
}

run "refuses_version" {
  command = plan

  variables {
    redis_version = "REDIS_5_0"
  }

  expect_failures = [var.redis_version]
}

run "refuses_weekday" {
  command = plan

  variables {
    maintenance_day = "Sunday"
  }

  expect_failures = [var.maintenance_day]
}

run "refuses_hour" {
  command = plan

  variables {
    maintenance_hour = 24
  }

  expect_failures = [var.maintenance_hour]
}

run "refuses_one_zone" {
  command = plan

  variables {
    zones = ["europe-west1-b"]
  }

  expect_failures = [var.zones]
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
