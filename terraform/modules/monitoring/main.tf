# Metrics go from each VM's admin port, by the Ops Agent, to Managed Service for Prometheus, and the journal to Cloud Logging
# (modules/vm_group/agent.tf). Alerts are in alerts.tf and google.tf, the dashboard in dashboard.tf.

locals {
  # Where the start-up script leaves the agent's settings, and where the agent reads them.
  left = "/etc/tradewind/ops-agent.yaml"
  read = "/etc/google-cloud-ops-agent/config.yaml"

  agent_targets = !var.install_ops_agent ? {} : {
    for pair in setproduct(keys(var.groups), var.zones) : "${pair[0]}-${pair[1]}" => { service = pair[0], zone = pair[1], group = var.groups[pair[0]] }
  }
}

# VM Manager installs the agent after the boot, beside the service and not before it. The start-up script leaves the agent's
# settings when the token is there that they name, and restarts an agent that is there by then; else this does.
resource "google_os_config_os_policy_assignment" "ops_agent" {
  for_each = local.agent_targets

  project  = var.project_id
  location = each.value.zone
  name     = "${each.value.group.name}-ops-agent"

  # A roll-out takes longer than an apply may wait, and one that is waited for and fails is lost to the state.
  skip_await_rollout = true

  instance_filter {
    inclusion_labels {
      labels = { "tradewind-group" = each.value.group.name }
    }
  }

  os_policies {
    id   = "ops-agent"
    mode = "ENFORCEMENT"

    resource_groups {
      inventory_filters {
        os_short_name = "debian"
        os_version    = "12"
      }

      resources {
        id = "repository"

        repository {
          apt {
            archive_type = "DEB"
            uri          = "https://packages.cloud.google.com/apt"
            distribution = "google-cloud-ops-agent-bookworm-2"
            components   = ["main"]
            gpg_key      = "https://packages.cloud.google.com/apt/doc/apt-key.gpg"
          }
        }
      }

      resources {
        id = "package"

        pkg {
          desired_state = "INSTALLED"

          apt {
            name = "google-cloud-ops-agent"
          }
        }
      }

      # 100: as wanted; 101: not yet.
      resources {
        id = "settings"

        exec {
          validate {
            interpreter = "SHELL"
            script      = "test ! -e ${local.left} || cmp -s ${local.left} ${local.read} && exit 100; exit 101"
          }

          enforce {
            interpreter = "SHELL"
            script      = "cp ${local.left} ${local.read} && systemctl restart google-cloud-ops-agent && exit 100; exit 1"
          }
        }
      }
    }
  }

  rollout {
    min_wait_duration = "60s"

    disruption_budget {
      percent = 25
    }
  }
}
