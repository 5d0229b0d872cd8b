# What the Ops Agent does: the service's metrics to Managed Prometheus, and its journal to Cloud Logging.

locals {
  agent_settings = yamlencode({
    metrics = {
      receivers = {
        tradewind = {
          type = "prometheus"
          config = {
            scrape_configs = [merge({
              job_name        = "tradewind-${var.service}"
              scrape_interval = "15s"
              static_configs  = [{ targets = ["127.0.0.1:${var.admin.port}"], labels = { instance_group = var.name } }]
              # The agent knows the VM's name; without this every VM would be called 127.0.0.1.
              relabel_configs = [{ source_labels = ["__meta_gce_instance_name"], target_label = "instance" }]
              # A file, which must be there when the agent starts, or it refuses all of this.
            }, local.admin_is_open ? { authorization = { credentials_file = "/etc/tradewind/admin-token" } } : {})]
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
