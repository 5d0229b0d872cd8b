mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

# Its checks have tests of their own; here a plan does not know their result, which a test takes for a failure.
override_module {
  target = module.status
}

# Each run breaks one rule of each variable that it names, none of which asks for another of them: a plan for each rule would
# take minutes.

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

# A name that is too long for an account, a project's name, a zone for a region, no token.
run "refuses_1" {
  command = plan

  variables {
    name        = "a-name-that-is-too-long"
    project_id  = "My Project"
    region      = "europe-west1-b"
    edge_count  = 0
    admin_token = null
    edge        = { auth = { kind = "none" }, balancer = { certificate = { self_links = ["projects/a-project/global/sslCertificates/mine"] } } }
    ingest      = { tokens_secret_id = "ingest-tokens", balancer = { exposure = "public" } }
  }

  expect_failures = [var.name, var.project_id, var.region, var.edge_count, var.admin_token, var.edge, var.ingest]
}

# An address for a host, tokens without TLS, one zone.
run "refuses_2" {
  command = plan

  variables {
    edge_count = 101
    edge       = { auth = { kind = "none" }, balancer = { host = "203.0.113.7", certificate = { domains = ["stream.example.com"] } } }
    ingest     = { tokens_secret_id = "ingest-tokens", balancer = { exposure = "external" } }
    zones      = ["europe-west1-b"]
  }

  expect_failures = [var.edge_count, var.edge, var.ingest, var.zones]
}

# Half an edge, a drain that the unit would cut, a zone of another region.
run "refuses_3" {
  command = plan

  variables {
    edge_count = 2.5
    edge       = { auth = { kind = "none" }, drain_seconds = 61, balancer = { certificate = { domains = ["stream.example.com"] } } }
    ingest     = { tokens_secret_id = "ingest-tokens", balancer = { timeout_sec = 1 } }
    zones      = ["europe-west1-b", "europe-west10-a"]
  }

  expect_failures = [var.edge_count, var.edge, var.ingest, var.zones]
}

# A drain in which no edge would start, ingest without a release, no Redis.
run "refuses_4" {
  command = plan

  variables {
    autoscaler  = { max_count = 101 }
    edge        = { auth = { kind = "none" }, drain_seconds = 19, balancer = { certificate = { domains = ["stream.example.com"] } } }
    release     = { bucket = "releases", edge = { version = "1", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" } }
    memorystore = null
  }

  expect_failures = [var.autoscaler, var.edge, var.release, var.redis]
}

# A greatest size below the least, more clients than files, two Redis.
run "refuses_5" {
  command = plan

  variables {
    edge_count = 3
    autoscaler = { max_count = 2 }
    edge       = { auth = { kind = "none" }, max_connections = 500001, balancer = { certificate = { domains = ["stream.example.com"] } } }
    redis      = { url = "redis://redis.example.internal:6379", passwords = { edge = "redis", ingest = "redis" } }
  }

  expect_failures = [var.autoscaler, var.edge, var.redis]
}

# A variable that Terraform sets, a password in a URL, Memorystore's publishers of another Redis.
run "refuses_6" {
  command = plan

  variables {
    autoscaler  = { max_count = 5, cpu_target = 0.95 }
    edge        = { auth = { kind = "none" }, environment = { REDIS_URL = "redis://elsewhere" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
    memorystore = null
    redis       = { url = "redis://edge:hush@redis.example.internal:6379", passwords = { edge = "redis-edge", ingest = "redis-ingest" } }
    publishers  = ["serviceAccount:pricing@a-project.iam.gserviceaccount.com"]
  }

  expect_failures = [var.autoscaler, var.edge, var.redis, var.publishers]
}

# An idle limit below the ping, ingest without its password.
run "refuses_7" {
  command = plan

  variables {
    autoscaler  = { max_count = 5, connections_target = 1 }
    edge        = { auth = { kind = "none" }, balancer = { timeout_sec = 30, certificate = { domains = ["stream.example.com"] } } }
    memorystore = null
    redis       = { url = "redis://redis.example.internal:6379", passwords = { edge = "redis-edge" } }
  }

  expect_failures = [var.autoscaler, var.edge, var.redis]
}

# A hasty autoscaler, no ingest VMs.
run "refuses_8" {
  command = plan

  variables {
    autoscaler = { max_count = 5, cooldown_sec = 5 }
    ingest     = { tokens_secret_id = "ingest-tokens", count = 0 }
  }

  expect_failures = [var.autoscaler, var.ingest]
}

# Too many ingest VMs.
run "refuses_9" {
  command = plan

  variables {
    ingest = { tokens_secret_id = "ingest-tokens", count = 21 }
  }

  expect_failures = [var.ingest]
}

# A variable of ingest that Terraform sets.
run "refuses_10" {
  command = plan

  variables {
    ingest = { tokens_secret_id = "ingest-tokens", environment = { HOST = "127.0.0.1" } }
  }

  expect_failures = [var.ingest]
}

# A certificate of one's own without its host.
run "refuses_11" {
  command = plan

  variables {
    ingest = { tokens_secret_id = "ingest-tokens", balancer = { exposure = "external", certificate = { self_links = ["x"] } } }
  }

  expect_failures = [var.ingest]
}

# A line break behind a URL, which would begin another setting.
run "refuses_12" {
  command = plan

  variables {
    memorystore = null
    redis       = { url = "redis://10.1.2.3:6379\nHOST=127.0.0.1", passwords = { edge = "edge", ingest = "ingest" } }
  }

  expect_failures = [var.redis]
}

# A certificate that an internal balancer would ignore.
run "refuses_13" {
  command = plan

  variables {
    ingest = { tokens_secret_id = "ingest-tokens", balancer = { certificate = { domains = ["ingest.example.com"] } } }
  }

  expect_failures = [var.ingest]
}

# What says whom edges serve, one fault in each.
run "refuses_keys_by_a_url_without_a_way_out" {
  command = plan

  variables {
    edge = { auth = { kind = "jwt", jwks_url = "https://id.example.com/jwks.json" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_tokens_without_a_key" {
  command = plan

  variables {
    edge = { auth = { kind = "jwt" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_tokens_with_two_keys" {
  command = plan

  variables {
    edge = { auth = { kind = "jwt", hs256_secret_id = "key", keys_secret_id = "keys" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_a_key_without_tokens" {
  command = plan

  variables {
    edge = { auth = { kind = "none", hs256_secret_id = "key" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_an_issuer_without_tokens" {
  command = plan

  variables {
    edge = { auth = { kind = "none", issuer = "https://id.example.com" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_another_kind" {
  command = plan

  variables {
    edge = { auth = { kind = "basic" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_a_key_by_its_path" {
  command = plan

  variables {
    edge = { auth = { kind = "jwt", hs256_secret_id = "projects/p/secrets/key" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_keys_by_a_plain_url" {
  command = plan

  variables {
    edge    = { auth = { kind = "jwt", jwks_url = "http://id.example.com/jwks.json" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
    network = { nat = true }
  }

  expect_failures = [var.edge]
}

run "refuses_an_origin_with_a_path" {
  command = plan

  variables {
    edge = { auth = { kind = "none" }, origins = ["https://app.example.com/"], balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_an_origin_with_the_default_port" {
  command = plan

  variables {
    edge = { auth = { kind = "none" }, origins = ["https://app.example.com:443"], balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_any_origin" {
  command = plan

  variables {
    edge = { auth = { kind = "none" }, origins = ["*"], balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_a_proxy_by_its_name" {
  command = plan

  variables {
    edge = { auth = { kind = "none" }, trusted_proxies = ["proxy.example.com"], balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_identity_by_the_environment" {
  command = plan

  variables {
    edge = { auth = { kind = "none" }, environment = { EDGE_AUTH = "jwt" }, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  expect_failures = [var.edge]
}

run "refuses_a_cluster_beside_memorystore" {
  command = plan

  variables {
    redis_cluster = { shard_count = 3 }
  }

  expect_failures = [var.redis]
}

run "refuses_a_group_for_a_cluster" {
  command = plan

  variables {
    memorystore   = null
    redis_cluster = { shard_count = 3 }
    publishers    = ["group:all@example.com"]
  }

  expect_failures = [var.publishers]
}
