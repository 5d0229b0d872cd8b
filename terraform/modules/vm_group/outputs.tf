output "environment" {
  description = "Settings of the service, secrets apart."
  value       = local.environment
}

output "group_id" {
  description = "ID of the managed instance group, for an autoscaler."
  value       = google_compute_region_instance_group_manager.vm.id
}

output "group_name" {
  description = "Name of the managed instance group."
  value       = google_compute_region_instance_group_manager.vm.name
}

output "instance_group" {
  description = "The instance group, for a balancer."
  value       = google_compute_region_instance_group_manager.vm.instance_group
}

output "self_link" {
  description = "Self link of the managed instance group."
  value       = google_compute_region_instance_group_manager.vm.self_link
}

output "service_account_email" {
  description = "Service account of the VMs."
  value       = google_service_account.vm.email
}

output "startup_script" {
  description = "What the VMs run at boot, as rendered."
  value       = google_compute_region_instance_template.vm.metadata["startup-script"]
}

output "target_size" {
  description = "Number of VMs that the group is told to have; not set while an autoscaler decides."
  value       = var.target_size
}
