# Metrics go from each VM's admin port, by the Ops Agent, to Managed Service for Prometheus, and the journal to Cloud Logging. Alerts are in
# alerts.tf, the dashboard in dashboard.tf.

locals {
  agent_targets = !var.install_ops_agent ? {} : {
    for pair in setproduct(keys(var.groups), var.zones) : "${pair[0]}-${pair[1]}" => { service = pair[0], zone = pair[1], group = var.groups[pair[0]] }
  }

  agent_settings = {
    for service, group in var.groups : service => yamlencode({
      metrics = {
        receivers = {
          tradewind = {
            type = "prometheus"
            config = {
              scrape_configs = [merge({
                job_name        = "tradewind-${service}"
                scrape_interval = "15s"
                static_configs  = [{ targets = ["127.0.0.1:${group.admin_port}"], labels = { instance_group = group.name } }]
                # The agent knows the VM's name; without this every VM would be called 127.0.0.1.
                relabel_configs = [{ source_labels = ["__meta_gce_instance_name"], target_label = "instance" }]
                # A file, which the start-up script writes: the settings can be read by whoever may see policies.
              }, var.admin_token_file == null ? {} : { authorization = { credentials_file = var.admin_token_file } })]
            }
          }
        }
        service = { pipelines = { tradewind = { receivers = ["tradewind"] } } }
      }
      # The services log JSON to the journal, which goes when a VM goes. The agent's own pipeline reads files only.
      logging = {
        receivers = { tradewind_journal = { type = "systemd_journald" } }
        processors = {
          tradewind_json = { type = "parse_json", field = "MESSAGE" }
          tradewind_severity = {
            type = "modify_fields"
            fields = {
              severity = {
                copy_from  = "jsonPayload.level"
                map_values = { trace = "DEBUG", debug = "DEBUG", info = "INFO", warn = "WARNING", error = "ERROR", fatal = "CRITICAL" }
              }
            }
          }
        }
        service = {
          pipelines = {
            tradewind = { receivers = ["tradewind_journal"], processors = ["tradewind_json", "tradewind_severity"] }
          }
        }
      }
    })
  }
}

# VM Manager installs and configures the agent after the boot, beside the service and not before it.
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

      resources {
        id = "settings"

        file {
          path    = "/etc/google-cloud-ops-agent/config.yaml"
          state   = "CONTENTS_MATCH"
          content = local.agent_settings[each.value.service]
        }
      }

      # 100: as wanted; 101: not yet.
      resources {
        id = "restart"

        exec {
          validate {
            interpreter = "SHELL"
            script      = "test -e /run/tradewind-ops-agent && test /run/tradewind-ops-agent -nt /etc/google-cloud-ops-agent/config.yaml && exit 100; exit 101"
          }

          enforce {
            interpreter = "SHELL"
            script      = "systemctl restart google-cloud-ops-agent && touch /run/tradewind-ops-agent && exit 100; exit 1"
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
