mock_provider "google" {
  mock_resource "google_memorystore_instance" {
    defaults = {
      endpoints = [{ connections = [
        { psc_auto_connection = [{ connection_type = "CONNECTION_TYPE_PRIMARY", forwarding_rule = "f", ip_address = "10.20.0.20", network = "n", port = 6379, project_id = "p", psc_connection_id = "1", service_attachment = "s" }] },
        { psc_auto_connection = [{ connection_type = "CONNECTION_TYPE_DISCOVERY", forwarding_rule = "f", ip_address = "10.20.0.21", network = "n", port = 6379, project_id = "p", psc_connection_id = "2", service_attachment = "s" }] },
      ] }]
      managed_server_ca = [{ ca_certs = [{ certificates = ["ONE", "TWO"] }] }]
    }
  }
}

variables {
  name               = "tw-redis"
  project_id         = "a-project"
  region             = "europe-west1"
  network_id         = "projects/a-project/global/networks/n"
  network_project_id = "a-project"
  subnetwork_id      = "projects/a-project/regions/europe-west1/subnetworks/n"

  deletion_protection = false
  engine_version      = "VALKEY_8_0"
  node_type           = "HIGHMEM_MEDIUM"
  shard_count         = 3
  replica_count       = 1
  maxmemory_policy    = "noeviction"
  maintenance_day     = "SUNDAY"
  maintenance_hour    = 3
}

run "a_cluster" {
  assert {
    condition     = google_memorystore_instance.main.mode == "CLUSTER" && google_memorystore_instance.main.shard_count == 3 && google_memorystore_instance.main.replica_count == 1
    error_message = "three shards with a replica each"
  }

  assert {
    condition     = google_memorystore_instance.main.authorization_mode == "IAM_AUTH" && google_memorystore_instance.main.transit_encryption_mode == "SERVER_AUTHENTICATION"
    error_message = "with IAM and TLS"
  }

  assert {
    condition     = google_memorystore_instance.main.engine_configs["maxmemory-policy"] == "noeviction"
    error_message = "an offset must not be evicted"
  }

  assert {
    condition     = google_network_connectivity_service_connection_policy.memorystore[0].service_class == "gcp-memorystore" && google_network_connectivity_service_connection_policy.memorystore[0].psc_config[0].subnetworks[0] == "projects/a-project/regions/europe-west1/subnetworks/n"
    error_message = "its endpoints are in the VMs' subnetwork"
  }

  assert {
    condition     = output.redis.url == "rediss://10.20.0.21:6379" && output.redis.ca_pem == "ONE\nTWO" && output.redis.passwords.edge == null
    error_message = "clients ask the endpoint that knows the nodes"
  }
}

run "more_shards_change_it_in_place" {
  variables {
    shard_count = 5
  }

  assert {
    condition     = google_memorystore_instance.main.shard_count == 5
    error_message = "one number"
  }
}

run "a_policy_that_is_there" {
  command = plan

  variables {
    makes_connection_policy = false
  }

  assert {
    condition     = length(google_network_connectivity_service_connection_policy.memorystore) == 0
    error_message = "a network has one in a region"
  }
}

run "refuses_no_shards" {
  command = plan

  variables {
    shard_count = 0
  }

  expect_failures = [var.shard_count]
}

run "refuses_half_a_shard" {
  command = plan

  variables {
    shard_count = 1.5
  }

  expect_failures = [var.shard_count]
}

run "refuses_no_replica" {
  command = plan

  variables {
    replica_count = 0
  }

  expect_failures = [var.replica_count]
}

run "refuses_a_node_type" {
  command = plan

  variables {
    node_type = "e2-standard-2"
  }

  expect_failures = [var.node_type]
}

run "refuses_a_version" {
  command = plan

  variables {
    engine_version = "REDIS_7_2"
  }

  expect_failures = [var.engine_version]
}

run "refuses_eviction" {
  command = plan

  variables {
    maxmemory_policy = "allkeys-lru"
  }

  expect_failures = [var.maxmemory_policy]
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
