# Whether a group has its VMs, which an apply does not wait for: they may be out of reach for a quota, or not start. Looked at
# in every plan and at the end of every apply; what fails is a warning. A module of its own: what a check reads comes
# after everything that must be destroyed first.

locals {
  advice = "Plan again in some minutes; if this stays: gcloud compute instance-groups managed list-errors ${var.name} --region ${var.region} --project ${var.project_id} (quota, stock-out, image), or journalctl -u google-startup-scripts on a VM."
}

check "group_is_stable" {
  data "google_compute_region_instance_group_manager" "now" {
    self_link = var.manager
  }

  assert {
    condition     = one(data.google_compute_region_instance_group_manager.now.status[*].is_stable) == true
    error_message = "The group ${var.name} is still making or replacing VMs, or cannot. ${local.advice}"
  }
}

check "group_has_its_size" {
  data "google_compute_region_instance_group" "now" {
    self_link = var.instance_group
  }

  assert {
    condition     = data.google_compute_region_instance_group.now.size >= var.least
    error_message = "The group ${var.name} has ${data.google_compute_region_instance_group.now.size} VMs of the ${var.least} that it must have. ${local.advice}"
  }
}
