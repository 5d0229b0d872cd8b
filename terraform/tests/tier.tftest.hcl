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

# The first run, so that no state says what there is.
run "quotas" {
  command = plan

  assert {
    condition     = output.quotas == { CPUS = 5 * 4 + 5 * 2, SSD_TOTAL_GB = 200, INSTANCES = 10 }
    error_message = "two edges, two ingest, and three more of each while they are rolled"
  }
}

run "quotas_of_other_machines" {
  command = plan

  variables {
    autoscaler = { max_count = 10 }
    edge       = { auth = { kind = "none" }, machine = { type = "n2-standard-8", disk_size_gb = 50 }, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  assert {
    condition     = output.quotas == { N2_CPUS = 13 * 8, CPUS = 5 * 2, SSD_TOTAL_GB = 13 * 50 + 5 * 20, INSTANCES = 18 }
    error_message = "an autoscaler's greatest size, by the machine's family"
  }
}

run "protected" {
  command = plan

  variables {
    deletion_protection = true
  }

  assert {
    condition     = terraform_data.protection.input == "on"
    error_message = "a destroy is refused before anything goes"
  }
}

run "balanced_by_connections" {
  command = plan

  variables {
    edge = { auth = { kind = "none" }, balancer = { kind = "connections", certificate = { domains = ["stream.example.com"] } } }
  }

  assert {
    condition     = output.websocket_url == "wss://stream.example.com/ws"
    error_message = "the URL does not depend on the balancer"
  }
}

run "existing_network" {
  command = plan

  variables {
    network = {
      existing = {
        network_id    = "projects/host/global/networks/shared"
        subnetwork_id = "projects/host/regions/europe-west1/subnetworks/backends"
      }
    }
  }

  assert {
    condition     = module.network.network_id == "projects/host/global/networks/shared" && module.network.network_project_id == "host"
    error_message = "backends publish from where they are"
  }
}

run "edges_10" {
  command = plan

  variables {
    edge_count = 10
  }

  assert {
    condition     = output.edge_target_size == 10
    error_message = "one number scales the tier"
  }
}

# The project is as Google makes it: what the modules need must be switched on first.
run "apis" {
  command = plan

  assert {
    condition     = length(setsubtract(["cloudresourcemanager", "compute", "iam", "iap", "osconfig", "redis", "secretmanager", "servicenetworking", "storage"], keys(google_project_service.api))) == 0
    error_message = "an API that the modules use is not switched on"
  }
}

run "zones_by_themselves" {
  command = plan

  assert {
    condition     = output.zones == tolist(["europe-west1-b", "europe-west1-c", "europe-west1-d"]) && data.google_compute_zones.region[0].status == null
    error_message = "the region's zones, whether or not they are up just now"
  }
}

run "zones_said" {
  command = plan

  variables {
    zones = ["europe-west1-d", "europe-west1-c"]
  }

  assert {
    condition     = output.zones == tolist(["europe-west1-d", "europe-west1-c"]) && length(data.google_compute_zones.region) == 0
    error_message = "what is said is taken, and Google is not asked"
  }
}

run "admin_ports" {
  command = plan

  assert {
    condition     = output.admin_token_secret == "tradewind-admin-token"
    error_message = "infra/roll needs the token"
  }

  assert {
    condition = output.how_to_roll == join("\n", [
      "npm run roll -- --mig tradewind-edge --drain-seconds 60 --region europe-west1 --project a-project --token-secret tradewind-admin-token --iap",
      "npm run roll -- --mig tradewind-ingest --admin-port 9081 --drain-seconds 30 --region europe-west1 --project a-project --token-secret tradewind-admin-token --iap",
    ])
    error_message = "says how to roll the tier as it was made"
  }
}

run "admin_ports_for_a_range" {
  command = plan

  variables {
    admin = { source_ranges = ["10.20.3.250/32"], iap_tunnels = false }
  }

  assert {
    condition     = !strcontains(output.how_to_roll, "--iap")
    error_message = "without tunnels the roll asks the VMs' own addresses"
  }
}

run "admin_ports_on_loopback" {
  command = plan

  variables {
    admin = null
  }

  assert {
    condition     = output.admin_token_secret == null && output.how_to_roll == null && length(module.admin) == 0
    error_message = "without admin, no token and no rule"
  }
}

run "outputs" {
  assert {
    condition     = output.websocket_url == "wss://stream.example.com/ws" && output.edge_ip_address == "203.0.113.7" && output.redis_url == "rediss://10.0.0.5:6378"
    error_message = "says where clients connect to and where Redis is"
  }

  assert {
    condition     = output.ingest_url == "http://10.20.0.9" && strcontains(output.how_to_publish, "rediss://10.0.0.5:6378") && strcontains(output.how_to_publish, "http://10.20.0.9/v1/channels/")
    error_message = "says how to publish"
  }

  assert {
    condition = output.how_to_check == join("\n", [
      "gcloud compute backend-services get-health tradewind-edge --global --project a-project",
      "gcloud compute backend-services get-health tradewind-ingest --region europe-west1 --project a-project",
      "gcloud compute ssh EDGE_VM --zone ZONE --project a-project --tunnel-through-iap -- -N -L 8081:10.20.0.9:80",
      "npm run smoke -- wss://stream.example.com/ws --ingest http://127.0.0.1:8081 --token-file FILE --nodes 2",
    ])
    error_message = "says how to see that it works"
  }

  assert {
    condition     = strcontains(output.how_to_publish, "redis_ca_pem") && strcontains(output.how_to_publish, "In a network that is peered with it: not by Redis")
    error_message = "says where a backend can be, and what it needs there"
  }
}

run "autoscaled" {
  command = plan

  variables {
    autoscaler = { max_count = 10 }
  }

  assert {
    condition     = length(google_compute_region_autoscaler.edge) == 1 && output.edge_target_size == null
    error_message = "the autoscaler decides"
  }
}

run "existing_redis" {
  command = plan

  variables {
    redis       = { url = "rediss://redis.example.internal:6379", has_users = true, passwords = { edge = "redis-edge", ingest = "redis-ingest" }, publishers = { pricing = "redis-pricing" } }
    memorystore = null
  }

  assert {
    condition     = length(module.redis) == 0 && output.redis_url == "rediss://redis.example.internal:6379" && strcontains(output.how_to_publish, "redis-pricing for the user pricing")
    error_message = "no Memorystore, and publishers are told of the other one"
  }

  assert {
    condition     = module.vms["edge"].environment["REDIS_URL"] == "rediss://edge@redis.example.internal:6379" && strcontains(module.vms["ingest"].startup_script, base64encode("admin-token projects/a-project/secrets/tradewind-admin-token/versions/latest\nredis-password projects/a-project/secrets/redis-ingest/versions/latest\n"))
    error_message = "edge and ingest are users of their own"
  }
}

run "without_ingest" {
  command = plan

  variables {
    ingest  = null
    release = { bucket = "releases", edge = { version = "1.2.3", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" } }
  }

  assert {
    condition     = output.ingest_url == null
    error_message = "publishers write to Redis themselves"
  }
}

run "external_ingest" {
  command = plan

  variables {
    ingest = { tokens_secret_id = "ingest-tokens", balancer = { exposure = "external", certificate = { domains = ["ingest.example.com"] } } }
  }

  assert {
    condition     = output.ingest_url == "https://ingest.example.com"
    error_message = "HTTPS from everywhere"
  }
}
