# The console on one small VM: operators come through a tunnel of Identity-Aware Proxy, and log in with a token.

locals {
  # What Google's Identity-Aware Proxy forwards TCP from.
  iap_range = "35.235.240.0/20"

  port        = 8090
  admin_port  = 9091
  settings    = "/etc/tradewind"
  secret_path = "projects/${var.project_id}/secrets"

  # Files on the VM, and the secrets that they hold.
  secrets = { for file, secret in {
    "admin-token"    = var.admin_token_secret_id
    "console-token"  = var.token_secret_id
    "edge-token"     = var.edge_token_secret_id
    "ingest-token"   = var.ingest_token_secret_id
    "redis-password" = var.redis_password_secret_id
  } : file => secret if secret != null }

  # A tunnel ends at the VM's own address, so that the console does not listen on its loopback only.
  environment = merge(
    {
      HOST                     = "0.0.0.0"
      PORT                     = tostring(local.port)
      ADMIN_HOST               = "127.0.0.1"
      ADMIN_PORT               = tostring(local.admin_port)
      REDIS_URL                = var.redis_url
      CONSOLE_TOKEN_FILE       = "${local.settings}/console-token"
      CONSOLE_ADMIN_TOKEN_FILE = "${local.settings}/admin-token"
      CONSOLE_NODE_NETWORKS    = join(",", var.node_networks)
    },
    var.redis_password_secret_id == null ? { REDIS_AUTH = "google" } : { REDIS_PASSWORD_FILE = "${local.settings}/redis-password" },
    var.redis_mode == "single" ? {} : { REDIS_MODE = var.redis_mode },
    var.redis_ca_pem == "" ? {} : { REDIS_CA_FILE = "${local.settings}/redis-ca.pem" },
    length(var.edge_urls) == 0 ? {} : { CONSOLE_EDGE_URLS = join(",", var.edge_urls) },
    var.edge_token_secret_id == null ? {} : { CONSOLE_EDGE_TOKEN_FILE = "${local.settings}/edge-token" },
    var.ingest_url == null ? {} : { CONSOLE_INGEST_URL = var.ingest_url },
    var.ingest_token_secret_id == null ? {} : { CONSOLE_INGEST_TOKEN_FILE = "${local.settings}/ingest-token" },
  )

  # The Ops Agent, where it is installed, takes the console's own metrics to Managed Prometheus: ConsoleBlind goes by them.
  agent_settings = yamlencode({
    metrics = {
      receivers = {
        tradewind = {
          type = "prometheus"
          config = {
            scrape_configs = [{
              job_name        = "tradewind-console"
              scrape_interval = "15s"
              static_configs  = [{ targets = ["127.0.0.1:${local.admin_port}"], labels = { instance_group = var.name } }]
              relabel_configs = [{ source_labels = ["__meta_gce_instance_name"], target_label = "instance" }]
            }]
          }
        }
      }
      service = { pipelines = { tradewind = { receivers = ["tradewind"] } } }
    }
  })

  startup_script = templatefile("${path.module}/../../startup/vm-startup.sh.tftpl", {
    service                 = "console"
    version                 = var.release_version
    bucket                  = var.release_bucket
    object                  = coalesce(var.release_object, "tradewind-console-${var.release_version}-linux-x64.tar.gz")
    sha256                  = var.release_sha256
    environment_base64      = base64encode(join("", [for name, value in local.environment : "${name}=${value}\n"]))
    secret_files_base64     = base64encode(join("", [for file, secret in local.secrets : "${file} ${local.secret_path}/${secret}/versions/latest\n"]))
    secret_variables_base64 = ""
    redis_ca_base64         = base64encode(var.redis_ca_pem)
    agent_base64            = base64encode(local.agent_settings)
    root                    = ""
    metadata_host           = "http://metadata.google.internal"
    storage_host            = "https://storage.googleapis.com"
    secret_manager_host     = "https://secretmanager.googleapis.com"
    functions               = file("${path.module}/../../startup/functions.sh")
  })
}

# It keeps nothing but 24 hours of figures in memory, so another release or setting is another VM.
resource "terraform_data" "startup" {
  input = sha256(local.startup_script)
}

resource "google_compute_instance" "vm" {
  # checkov:skip=CKV_GCP_38: Google encrypts it; a key of the customer would have to be given at each boot
  project                   = var.project_id
  zone                      = var.zone
  name                      = var.name
  machine_type              = var.machine_type
  labels                    = { "tradewind-service" = "console", "tradewind-group" = var.name }
  allow_stopping_for_update = true

  boot_disk {
    initialize_params {
      image = var.image
      size  = var.disk_size_gb
      type  = "pd-balanced"
    }
  }

  # No access_config: the VM has no public address.
  network_interface {
    network    = var.network_id
    subnetwork = var.subnetwork_id
    nic_type   = "GVNIC"
  }

  metadata = {
    "block-project-ssh-keys" = "TRUE"
    "enable-osconfig"        = "TRUE"
    "enable-oslogin"         = "TRUE"
    "startup-script"         = local.startup_script
  }

  scheduling {
    automatic_restart   = true
    on_host_maintenance = "MIGRATE"
    preemptible         = false
    provisioning_model  = "STANDARD"
  }

  # What the account may do is its roles' business.
  service_account {
    email  = google_service_account.vm.email
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
  }

  shielded_instance_config {
    enable_integrity_monitoring = true
    enable_secure_boot          = true
    enable_vtpm                 = true
  }

  # Neither a newer image nor other zones are a reason to replace it.
  lifecycle {
    ignore_changes       = [zone, boot_disk[0].initialize_params[0].image]
    replace_triggered_by = [terraform_data.startup]
  }

  depends_on = [
    google_secret_manager_secret_iam_member.vm,
    google_storage_bucket_iam_member.release,
  ]
}

# gcloud compute start-iap-tunnel: who may open one is IAM's business (roles/iap.tunnelResourceAccessor).
resource "google_compute_firewall" "operators" {
  project                 = var.network_project_id
  name                    = "${var.name}-from-iap"
  network                 = var.network_id
  direction               = "INGRESS"
  source_ranges           = [local.iap_range]
  target_service_accounts = [google_service_account.vm.email]

  allow {
    protocol = "tcp"
    ports    = [tostring(local.port)]
  }
}

# Drains and sheds go to the nodes' admin ports.
resource "google_compute_firewall" "nodes" {
  project                 = var.network_project_id
  name                    = "${var.name}-to-admin-ports"
  network                 = var.network_id
  direction               = "INGRESS"
  source_service_accounts = [google_service_account.vm.email]
  target_service_accounts = [for node in values(var.nodes) : node.service_account_email]

  allow {
    protocol = "tcp"
    ports    = [for node in values(var.nodes) : tostring(node.admin_port)]
  }
}

resource "google_service_account" "vm" {
  project      = var.project_id
  account_id   = var.name
  display_name = "Tradewind console"

  # One that a lost answer left behind is taken over.
  create_ignore_already_exists = true
}

resource "google_project_iam_member" "log_writer" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.vm.member
}

resource "google_project_iam_member" "metric_writer" {
  project = var.project_id
  role    = "roles/monitoring.metricWriter"
  member  = google_service_account.vm.member
}

resource "google_storage_bucket_iam_member" "release" {
  bucket = var.release_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.vm.member
}

resource "google_secret_manager_secret_iam_member" "vm" {
  for_each = local.secrets

  project   = var.project_id
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.vm.member
}
