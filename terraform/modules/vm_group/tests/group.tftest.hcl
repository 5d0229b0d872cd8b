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

  mock_data "google_compute_region_instance_group" {
    defaults = { size = 1 }
  }
}

variables {
  name       = "tw-edge"
  service    = "edge"
  port       = 8080
  admin      = { port = 9080, token_secret_id = "tw-admin-token" }
  project_id = "a-project"
  region     = "europe-west1"
  zones      = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]

  redis_url                = "rediss://10.0.0.5:6378"
  redis_ca_pem             = "a certificate"
  redis_password_secret_id = "redis-auth"

  machine_type = "e2-standard-4"
  image        = "projects/debian-cloud/global/images/family/debian-12"
  disk_size_gb = 20

  network_id         = "projects/a-project/global/networks/n"
  network_project_id = "a-project"
  subnetwork_id      = "projects/a-project/regions/europe-west1/subnetworks/s"

  release_bucket  = "releases"
  release_version = "1.2.3"
  release_sha256  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

  target_size      = 3
  environment      = { EDGE_CHANNELS = "BTC.*,ETH.*" }
  secret_variables = { INGEST_TOKENS = "tokens" }
}

run "group" {
  command = plan

  assert {
    condition     = google_compute_region_instance_group_manager.vm.target_size == 3
    error_message = "target_size must reach the group"
  }

  assert {
    condition     = google_compute_region_instance_group_manager.vm.update_policy[0].type == "OPPORTUNISTIC"
    error_message = "a new template must not replace VMs by itself"
  }

  assert {
    condition     = google_compute_region_instance_group_manager.vm.update_policy[0].max_surge_fixed == 3 && google_compute_region_instance_group_manager.vm.update_policy[0].max_unavailable_fixed == 0
    error_message = "a roll adds a VM a zone and takes none away"
  }

  assert {
    condition     = google_compute_health_check.alive.http_health_check[0].request_path == "/healthz"
    error_message = "auto-healing asks whether the process is alive, not whether it is ready"
  }

  assert {
    condition     = length(google_compute_region_instance_template.vm.network_interface[0].access_config) == 0
    error_message = "a VM has no public address"
  }

  assert {
    condition     = google_compute_firewall.balancer.source_ranges == toset(["35.191.0.0/16", "130.211.0.0/22"])
    error_message = "only the balancer may reach the port"
  }

  assert {
    condition     = google_compute_region_instance_group_manager.vm.auto_healing_policies[0].initial_delay_sec > 600
    error_message = "a VM that waits for its rights must not be replaced meanwhile"
  }

  assert {
    condition     = local.environment["ADMIN_HOST"] == "0.0.0.0" && local.environment["ADMIN_PORT"] == "9080" && google_secret_manager_secret_iam_member.variables["ADMIN_TOKEN"].secret_id == "tw-admin-token"
    error_message = "infra/roll reaches the admin port, which asks for a token that the VM may read"
  }

  assert {
    condition     = tonumber(local.environment["HTTP_KEEP_ALIVE_SECONDS"]) > 600
    error_message = "the balancer keeps idle connections for 600 s and must be the first to let them go"
  }
}

run "admin_on_loopback" {
  command = plan

  variables {
    admin = { port = 9080 }
  }

  assert {
    condition     = local.environment["ADMIN_HOST"] == "127.0.0.1" && !contains(keys(google_secret_manager_secret_iam_member.variables), "ADMIN_TOKEN") && !contains(keys(local.secret_files), "admin-token")
    error_message = "without a token nobody but the VM itself reaches the admin port"
  }
}

# What Google tells about zones must not move a group that is there.
run "made_in_three_zones" {}

run "zones_change" {
  command = plan

  variables {
    zones = ["europe-west1-b", "europe-west1-d"]
  }

  assert {
    condition     = google_compute_region_instance_group_manager.vm.distribution_policy_zones == toset(["europe-west1-b", "europe-west1-c", "europe-west1-d"])
    error_message = "a group stays in the zones that it was made in"
  }

  assert {
    condition     = google_compute_region_instance_group_manager.vm.update_policy[0].max_surge_fixed >= 3
    error_message = "a regional group's surge may not be less than its zones"
  }
}

# The group is made with one size, then left to an autoscaler, then given a size again: it must be the same group.
run "made" {}

run "handed_over" {
  variables {
    target_size = null
  }

  assert {
    condition     = output.group_id == run.made.group_id
    error_message = "switching the autoscaler on must not rebuild the group"
  }
}

run "handed_back" {
  variables {
    target_size = 7
  }

  assert {
    condition     = output.group_id == run.made.group_id && output.target_size == 7
    error_message = "switching it off must not rebuild the group"
  }
}

run "secret_files" {
  variables {
    secret_files = { "jwt-key" = "jwt" }
  }

  assert {
    condition     = strcontains(output.startup_script, "secret_files='${base64encode("admin-token projects/a-project/secrets/tw-admin-token/versions/latest\njwt-key projects/a-project/secrets/jwt/versions/latest\nredis-password projects/a-project/secrets/redis-auth/versions/latest\n")}'")
    error_message = "the script writes each secret into its file"
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.files["jwt-key"].secret_id == "jwt"
    error_message = "the VMs may read it"
  }
}

run "startup_script" {
  assert {
    condition     = strcontains(output.startup_script, "object='tradewind-edge-1.2.3-linux-x64.tar.gz'") && strcontains(output.startup_script, "sha256='${var.release_sha256}'")
    error_message = "the script fetches the release's object and knows its checksum"
  }

  assert {
    condition     = strcontains(output.startup_script, "environment='${base64encode("ADMIN_HOST=0.0.0.0\nADMIN_PORT=9080\nDRAIN_ACCEPT_SECONDS=12\nEDGE_CHANNELS=BTC.*,ETH.*\nHOST=0.0.0.0\nHTTP_KEEP_ALIVE_SECONDS=620\nPORT=8080\nREDIS_CA_FILE=/etc/tradewind/redis-ca.pem\nREDIS_PASSWORD_FILE=/etc/tradewind/redis-password\nREDIS_URL=rediss://10.0.0.5:6378\n")}'")
    error_message = "the script holds the settings"
  }

  assert {
    condition     = strcontains(output.startup_script, "secret_variables='${base64encode("ADMIN_TOKEN projects/a-project/secrets/tw-admin-token/versions/latest\nINGEST_TOKENS projects/a-project/secrets/tokens/versions/latest\n")}'")
    error_message = "the script knows where secrets are, not what they are"
  }

  assert {
    condition     = strcontains(output.startup_script, "secret_files='${base64encode("admin-token projects/a-project/secrets/tw-admin-token/versions/latest\nredis-password projects/a-project/secrets/redis-auth/versions/latest\n")}'")
    error_message = "the admin port's token is a file too, for the Ops Agent"
  }

  assert {
    condition     = strcontains(output.startup_script, "metadata_host='http://metadata.google.internal'")
    error_message = "Google's hosts are the default"
  }
}

run "agent" {
  command = plan

  assert {
    condition     = yamldecode(local.agent_settings).metrics.receivers.tradewind.config.scrape_configs[0].authorization.credentials_file == "/etc/tradewind/admin-token"
    error_message = "the admin port tells its metrics to who has the token"
  }

  assert {
    condition     = yamldecode(local.agent_settings).logging.service.pipelines.tradewind.processors == ["tradewind_json", "tradewind_severity"]
    error_message = "what the services log goes to Cloud Logging as JSON with its severity"
  }
}

run "agent_without_a_token" {
  command = plan

  variables {
    admin = { port = 9080 }
  }

  assert {
    condition     = !strcontains(local.agent_settings, "credentials_file")
    error_message = "no file is named that is not there"
  }
}

run "refuses_zero_size" {
  command = plan

  variables {
    target_size = 0
  }

  expect_failures = [var.target_size]
}

run "refuses_too_large_size" {
  command = plan

  variables {
    target_size = 101
  }

  expect_failures = [var.target_size]
}

run "refuses_half_a_vm" {
  command = plan

  variables {
    target_size = 1.5
  }

  expect_failures = [var.target_size]
}

run "refuses_bad_checksum" {
  command = plan

  variables {
    release_sha256 = "abc"
  }

  expect_failures = [var.release_sha256]
}

run "refuses_bucket_url" {
  command = plan

  variables {
    release_bucket = "gs://releases"
  }

  expect_failures = [var.release_bucket]
}

run "refuses_secret_in_environment" {
  command = plan

  variables {
    environment = { ADMIN_TOKEN = "hush" }
  }

  expect_failures = [var.environment]
}

run "refuses_quote_in_environment" {
  command = plan

  variables {
    environment = { EDGE_CHANNELS = "a'b" }
  }

  expect_failures = [var.environment]
}

run "refuses_secret_path" {
  command = plan

  variables {
    secret_variables = { INGEST_TOKENS = "projects/p/secrets/tokens" }
  }

  expect_failures = [var.secret_variables]
}

run "refuses_service" {
  command = plan

  variables {
    service = "fanout"
  }

  expect_failures = [var.service]
}

run "refuses_privileged_port" {
  command = plan

  variables {
    port = 80
  }

  expect_failures = [var.port]
}

run "refuses_privileged_admin_port" {
  command = plan

  variables {
    admin = { port = 443 }
  }

  expect_failures = [var.admin]
}

run "refuses_long_name" {
  command = plan

  variables {
    name = "a-name-that-is-longer-than-an-account"
  }

  expect_failures = [var.name]
}

run "refuses_twice_a_zone" {
  command = plan

  variables {
    zones = ["europe-west1-b", "europe-west1-b"]
  }

  expect_failures = [var.zones]
}

run "refuses_machine_type" {
  command = plan

  variables {
    machine_type = "E2 standard 4"
  }

  expect_failures = [var.machine_type]
}
