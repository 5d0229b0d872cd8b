# What tests of the tier have Google answer.

mock_data "google_compute_zones" {
  defaults = { names = ["europe-west1-b", "europe-west1-c", "europe-west1-d"] }
}

mock_data "google_compute_lb_ip_ranges" {
  defaults = { http_ssl_tcp_internal = ["35.191.0.0/16", "130.211.0.0/22"] }
}

mock_resource "google_redis_instance" {
  defaults = { host = "10.0.0.5", port = 6378 }
}

mock_resource "google_compute_global_address" {
  defaults = { address = "203.0.113.7" }
}

mock_resource "google_compute_forwarding_rule" {
  defaults = { ip_address = "10.20.0.9" }
}

# The provider judges an IAM member, and an invented value is none.
mock_resource "google_service_account" {
  defaults = {
    email  = "vm@a-project.iam.gserviceaccount.com"
    member = "serviceAccount:vm@a-project.iam.gserviceaccount.com"
  }
}

# A group that is complete, as one is some minutes after an apply.
mock_data "google_compute_region_instance_group_manager" {
  defaults = {
    status = [{ is_stable = true, all_instances_config = [], stateful = [], version_target = [] }]
  }
}

mock_data "google_compute_region_instance_group" {
  defaults = { size = 1 }
}
