mock_provider "google" {
  mock_data "google_compute_region_instance_group_manager" {
    defaults = {
      status = [{ is_stable = true, all_instances_config = [], stateful = [], version_target = [] }]
    }
  }

  mock_data "google_compute_region_instance_group" {
    defaults = { size = 3 }
  }
}

variables {
  name           = "tw-edge"
  project_id     = "a-project"
  region         = "europe-west1"
  least          = 3
  manager        = "https://www.googleapis.com/compute/v1/projects/a-project/regions/europe-west1/instanceGroupManagers/tw-edge"
  instance_group = "https://www.googleapis.com/compute/v1/projects/a-project/regions/europe-west1/instanceGroups/tw-edge"
}

# No warning, which would fail the run.
run "says_nothing_of_a_group_that_is_complete" {
  command = plan
}

run "warns_while_vms_are_made" {
  command = plan

  override_data {
    target = data.google_compute_region_instance_group_manager.now
    values = {
      status = [{ is_stable = false, all_instances_config = [], stateful = [], version_target = [] }]
    }
  }

  expect_failures = [check.group_is_stable]
}

run "warns_of_a_group_that_is_too_small" {
  variables {
    least = 4
  }

  expect_failures = [check.group_has_its_size]
}
