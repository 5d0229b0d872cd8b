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

# Made, and not only planned: Redis is known then, and with it all settings. In a file of its own, since a Redis that is there goes otherwise.
run "a_cluster_of_redis" {
  variables {
    memorystore   = null
    redis_cluster = { shard_count = 3 }
    publishers    = ["serviceAccount:pricing@a-project.iam.gserviceaccount.com"]
  }

  assert {
    condition     = length(module.redis) == 0 && length(module.redis_cluster) == 1
    error_message = "instead of one Redis"
  }

  assert {
    condition     = module.vms["edge"].environment["REDIS_MODE"] == "cluster" && module.vms["edge"].environment["REDIS_AUTH"] == "google" && !can(module.vms["edge"].environment["REDIS_PASSWORD_FILE"])
    error_message = "edges find the shards, and are who their VM is"
  }

  assert {
    condition     = join(",", keys(google_project_iam_member.redis_clients)) == "edge,serviceAccount:pricing@a-project.iam.gserviceaccount.com" && google_project_iam_member.redis_clients["edge"].role == "roles/memorystore.dbConnectionUser"
    error_message = "edges and publishers may connect"
  }

  assert {
    condition     = google_project_iam_member.redis_clients["edge"].condition[0].expression == "resource.name == \"projects/a-project/locations/europe-west1/instances/tradewind-redis\""
    error_message = "to this instance, and to no other"
  }

  assert {
    condition     = contains(keys(google_project_service.api), "memorystore") && contains(keys(google_project_service.api), "networkconnectivity") && !contains(keys(google_project_service.api), "servicenetworking")
    error_message = "its APIs, and not those of the peering"
  }
}
