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

# Made, and not only planned: Redis is known then, and with it all settings.
run "drain" {
  variables {
    edge = { auth = { kind = "none" }, drain_seconds = 20, balancer = { certificate = { domains = ["stream.example.com"] } } }
  }

  assert {
    condition     = module.vms["edge"].environment["DRAIN_SECONDS"] == "20" && tonumber(module.vms["edge"].environment["DRAIN_ACCEPT_SECONDS"]) + 2 < 20
    error_message = "the shortest drain leaves time for the clients, or no edge would start"
  }
}

# Without these no edge would start, since it listens on all addresses.
run "open_to_everybody" {
  assert {
    condition     = module.vms["edge"].environment["EDGE_AUTH"] == "none" && module.vms["edge"].environment["EDGE_PLAIN_BEHIND_TLS"] == "true"
    error_message = "an edge behind the balancer is plain, and says whom it serves"
  }

  assert {
    condition     = module.vms["edge"].environment["EDGE_TRUSTED_PROXIES"] == "35.191.0.0/16,130.211.0.0/22,203.0.113.7"
    error_message = "the balancer's word about a client's address is believed, from its front ends and by its own address"
  }

  assert {
    condition     = length([for name in keys(module.vms["edge"].environment) : name if can(regex("JW|ORIGINS", name))]) == 0
    error_message = "nothing else is set for tokens and origins"
  }
}

run "tokens_by_a_key" {
  variables {
    edge = {
      auth            = { kind = "jwt", hs256_secret_id = "jwt-key", issuer = "https://id.example.com", audience = "tradewind" }
      origins         = ["https://app.example.com", "http://localhost:3000"]
      trusted_proxies = ["198.51.100.0/24", "2001:db8::1"]
      balancer        = { certificate = { domains = ["stream.example.com"] } }
    }
  }

  assert {
    condition     = module.vms["edge"].environment["EDGE_AUTH"] == "jwt" && module.vms["edge"].environment["EDGE_JWT_HS256_KEY_FILE"] == "/etc/tradewind/jwt-key" && module.vms["edge"].environment["EDGE_JWT_ISSUER"] == "https://id.example.com" && module.vms["edge"].environment["EDGE_JWT_AUDIENCE"] == "tradewind"
    error_message = "edges verify tokens with the key in the file that the start-up script writes"
  }

  assert {
    condition     = module.vms["edge"].environment["EDGE_ORIGINS"] == "https://app.example.com,http://localhost:3000" && endswith(module.vms["edge"].environment["EDGE_TRUSTED_PROXIES"], ",203.0.113.7,198.51.100.0/24,2001:db8::1")
    error_message = "origins and further proxies are told"
  }

  assert {
    condition     = strcontains(base64decode(regex("secret_files='([^']*)'", module.vms["edge"].startup_script)[0]), "jwt-key projects/a-project/secrets/jwt-key/versions/latest\n")
    error_message = "the key is a secret's, and in no template"
  }
}

run "tokens_by_a_url" {
  variables {
    network = { nat = true }
    edge = {
      auth     = { kind = "jwt", jwks_url = "https://id.example.com/.well-known/jwks.json" }
      balancer = { certificate = { domains = ["stream.example.com"] } }
    }
  }

  assert {
    condition     = module.vms["edge"].environment["EDGE_JWKS_URL"] == "https://id.example.com/.well-known/jwks.json" && !can(module.vms["edge"].environment["EDGE_JWT_KEYS_FILE"])
    error_message = "with a way out, keys may come from a URL"
  }
}

run "admin_open" {
  assert {
    condition     = module.vms["edge"].environment["ADMIN_HOST"] == "0.0.0.0" && module.vms["edge"].environment["ADMIN_PORT"] == "9080"
    error_message = "infra/roll reaches the admin port"
  }
}

run "autoscaled" {
  command = plan

  variables {
    autoscaler = { max_count = 10 }
  }

  assert {
    condition     = output.edge_target_size == null
    error_message = "a size of Terraform's would fight the autoscaler"
  }

  assert {
    condition     = google_compute_region_autoscaler.edge[0].autoscaling_policy[0].mode == "ONLY_SCALE_OUT"
    error_message = "an autoscaler must not cut clients"
  }

  assert {
    condition     = google_compute_region_autoscaler.edge[0].autoscaling_policy[0].min_replicas == 3 && google_compute_region_autoscaler.edge[0].autoscaling_policy[0].max_replicas == 10
    error_message = "from edge_count to max_count"
  }

  assert {
    condition     = google_compute_region_autoscaler.edge[0].autoscaling_policy[0].metric[0].single_instance_assignment == 28000
    error_message = "an edge must hold 70 % of its 40,000 clients"
  }
}

run "own_certificate" {
  command = plan

  variables {
    edge = { auth = { kind = "none" }, balancer = { host = "stream.example.com", certificate = { self_links = ["projects/a-project/global/sslCertificates/mine"] } } }
  }

  assert {
    condition     = output.websocket_url == "wss://stream.example.com/ws"
    error_message = "clients ask for the host that the certificate is for"
  }
}
