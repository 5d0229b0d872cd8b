output "environment" {
  description = "Settings of the console, secrets apart."
  value       = local.environment
}

output "how_to_open" {
  description = "How an operator opens it: a tunnel, then http://localhost:8090 and the token."
  value       = "gcloud compute start-iap-tunnel ${google_compute_instance.vm.name} ${local.port} --local-host-port=localhost:${local.port} --zone ${google_compute_instance.vm.zone} --project ${var.project_id}"
}

output "service_account_email" {
  description = "Service account of the VM, for the firewall of a Redis of your own."
  value       = google_service_account.vm.email
}

output "startup_script" {
  description = "What the VM runs at boot, as rendered."
  value       = local.startup_script
}
